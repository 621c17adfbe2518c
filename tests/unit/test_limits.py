"""Time limits, the file STOP, and the Slurm script."""

import subprocess

import pytest

from pdeinv.cli.sbatch import Slurm, script
from pdeinv.cli.stop import Limits, seconds_of
from pdeinv.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30", 1800), ("5:30", 330), ("11:30:00", 41400), ("1-00:00:01", 86401), ("2-3", 183600),
    ],
)  # fmt: skip
def test_times_are_read_as_slurm_writes_them(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "1h", "1:2:3:4", "-5"])
def test_other_times_are_refused(text):
    with pytest.raises(ConfigError, match=r"--time-limit: expected HH:MM:SS"):
        seconds_of(text)


def test_the_limit_leaves_time_for_two_of_the_longest_steps(tmp_path):
    now = [0.0]
    limits = Limits(tmp_path, 100.0, lambda: now[0])
    for t in (0, 1, 2, 12, 13, 79):  # the longest wait is 66 s from here on
        now[0] = t
        assert limits.reached() == (t == 79)
    patient = Limits(tmp_path, 179.0, lambda: now[0])
    now[0] = 79 + 96
    patient.reached()
    now[0] = 79 + 97
    assert not patient.reached()
    now[0] = 79 + 98
    assert patient.reached()


def test_the_file_stop_is_seen_and_an_old_one_forgotten(tmp_path):
    now = [0.0]
    (tmp_path / "STOP").touch()
    limits = Limits(tmp_path, None, lambda: now[0])
    now[0] = 5.0
    assert not limits.reached()
    (tmp_path / "STOP").touch()
    now[0] = 5.5
    assert not limits.reached()  # looks once a second
    now[0] = 6.1
    assert limits.reached()


@pytest.mark.parametrize("slurm", [
    Slurm(nodes=2, gpus=4, partition="gpu", account="a project", time="1-00:00:00"),
    Slurm(gpus=0),
])  # fmt: skip
def test_the_script_is_valid_bash_and_asks_for_what_was_named(slurm, tmp_path):
    command = ["pdeinv", "train-surrogate", "fno", "--data", "my data.nc", "--resume"]
    text = script(slurm, "train-fno", max(1, slurm.gpus), command)
    (tmp_path / "job.sh").write_text(text)
    subprocess.run(["bash", "-n", tmp_path / "job.sh"], check=True)
    lines = text.splitlines()
    assert lines[0] == "#!/bin/bash"
    for line in ("#SBATCH --signal=USR1@120", "#SBATCH --requeue", "#SBATCH --open-mode=append"):
        assert line in lines
    assert ("#SBATCH --gpus-per-node=4" in lines) == bool(slurm.gpus)
    assert ("#SBATCH --account='a project'" in lines) == (slurm.account is not None)
    assert f"#SBATCH --nodes={slurm.nodes}" in lines
    (launch,) = (line for line in lines if line.startswith("srun "))
    assert launch.endswith("pdeinv train-surrogate fno --data 'my data.nc' --resume")


@pytest.mark.parametrize(("code", "requeued"), [(75, True), (0, False), (1, False)])
def test_the_script_queues_again_after_75_alone(code, requeued, tmp_path):
    """Run with stand-ins for Slurm's commands: exit code and requeueing, not Slurm itself."""
    for name, body in (("srun", f"exit {code}"), ("scontrol", 'echo "$@" > asked')):
        (tmp_path / name).write_text(f"#!/bin/bash\n{body}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "job.sh").write_text(script(Slurm(), "train", 1, ["pdeinv"]))
    found = subprocess.run(
        ["bash", "job.sh"],
        check=False,
        cwd=tmp_path,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "SLURM_JOB_ID": "7", "SLURM_CPUS_PER_TASK": "1"},
    )
    assert found.returncode == code
    assert (tmp_path / "asked").exists() == requeued
    if requeued:
        assert (tmp_path / "asked").read_text() == "requeue 7\n"
