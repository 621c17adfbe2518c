"""Our Slurm scripts, with stand-ins for srun and scontrol: stopped, queued again, the same end."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import xarray as xr
from small_darcy import SMALL
from typer.testing import CliRunner

from pdeinv.cli.verbs import app

PAGE = Path(__file__).parents[2] / "docs" / "command-line.md"
SRUN = """#!/bin/bash
while [[ $1 == --* ]]; do shift; done
echo $$ > srun.pid
exec "$@"
"""
SCONTROL = """#!/bin/bash
echo "$*" >> scontrol.log
"""
PDEINV = f'#!/bin/bash\nexec "{sys.executable}" -m pdeinv "$@"\n'
RUN = (
    SMALL
    + """
[engine]
name = "pcn"
chains = 2
draws = 50000
warmup = 200
"""
)


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """A folder with observations, a run file, and the programs of a cluster on PATH."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in {"srun": SRUN, "scontrol": SCONTROL, "pdeinv": PDEINV}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_JOB_ID", "77")
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "1")
    Path("run.toml").write_text(RUN)
    done("solve", "--config", "run.toml", "--seed", 1, "--out", "truth.nc")
    noise = ("--sensors", "grid:3x3", "--noise-rel", 0.02, "--seed", 1)
    done("observe", "truth.nc", *noise, "--out", "obs.nc")
    return tmp_path


def done(*words):
    found = CliRunner().invoke(app, [str(w) for w in words])
    assert found.exit_code == 0, found.stderr
    return found.stdout


def job(script, started, *, whole_step):
    """Run a script until it says that it queued itself again, or ends; signal it once it works."""
    Path("job.sh").write_text(script)
    running = Path("srun.pid")
    running.unlink(missing_ok=True)
    with subprocess.Popen(
        ["bash", "job.sh"], stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        end = time.monotonic() + 120
        while process.poll() is None and not (running.exists() and started()):
            assert time.monotonic() < end
            time.sleep(0.05)
        if process.poll() is None:
            if whole_step:
                os.killpg(process.pid, signal.SIGUSR1)
            else:
                os.kill(int(running.read_text()), signal.SIGUSR1)
        errors = process.communicate(timeout=120)[1]
    return process.returncode, errors


def recipe():
    """The script of the page."""
    (found,) = re.findall(r"```\n(  #SBATCH --signal.*?)```", PAGE.read_text(), re.DOTALL)
    return "#!/bin/bash\n" + "\n".join(line.removeprefix("  ") for line in found.splitlines())


@pytest.mark.slow
def test_the_recipe_queues_itself_again_and_ends_as_if_it_had_never_stopped(cluster):
    script = recipe().replace("--resume", "--seed 7 --workers 2 --resume")

    def further():
        """Whether both chains have moved in this job."""
        files = list(Path("posterior.nc.run").glob("*.progress.json"))
        begun = Path("srun.pid").stat().st_mtime_ns
        return len(files) == 2 and min(f.stat().st_mtime_ns for f in files) > begun

    for stops in (1, 2):
        code, errors = job(script, further, whole_step=stops == 2)
        assert code == 75, errors
        assert errors.count("\n") == 1, errors
        assert "continue with --resume" in errors
        assert Path("scontrol.log").read_text().split("\n")[:-1] == ["requeue 77"] * stops
    code, errors = job(script, lambda: False, whole_step=False)
    assert code == 0, errors
    done("invert", "obs.nc", "--config", "run.toml", "--seed", 7, "--out", "whole.nc")
    found = [xr.open_datatree(f)["posterior"].to_dataset() for f in ("posterior.nc", "whole.nc")]
    xr.testing.assert_identical(*found)


@pytest.mark.slow
def test_the_printed_script_queues_itself_again(cluster):
    words = ("--config", "run.toml", "--sensors", "grid:3x3", "--n", 20, "--seed", 1)
    done("generate", *words, "--out", "data.nc")
    more = ("--gpus", 0, "--set", "surrogate.epochs=1000000", "--set", "surrogate.patience=1000000")
    script = done(
        "train-surrogate", "latent", "--data", "data.nc", "--out", "net", "--print-sbatch", *more
    )
    log = Path("net.run/log.jsonl")
    code, errors = job(
        script, lambda: log.exists() and log.read_text().count("\n") > 1, whole_step=True
    )
    assert code == 75, errors
    assert Path("scontrol.log").read_text() == "requeue 77\n"
    assert "Traceback" not in errors


@pytest.mark.slow
def test_the_printed_script_goes_on_in_the_next_job_of_submitit(cluster):
    """As the test above, each job by a scheduler of its own, to the end of an undisturbed one."""
    submitit = pytest.importorskip("submitit")
    words = ("--config", "run.toml", "--sensors", "grid:3x3", "--n", 20, "--seed", 1)
    done("generate", *words, "--out", "data.nc")
    more = ("--seed", 2, "--set", "surrogate.epochs=150", "--set", "surrogate.patience=150")
    for out in ("net", "whole"):
        train = ("train-surrogate", "latent", "--data", "data.nc", *more, "--out", out)
        Path(f"{out}.sh").write_text(done(*train, "--print-sbatch", "--gpus", 0))
    executor = submitit.LocalExecutor(folder=cluster / "jobs")
    log, running = Path("net.run/log.jsonl"), Path("srun.pid")

    def submitted(script):
        line = ["bash", "-c", f"bash {script}; echo code $?"]
        return executor.submit(submitit.helpers.CommandFunction(line, cwd=cluster))

    first, end = submitted("net.sh"), time.monotonic() + 120
    while not (log.exists() and log.read_text().count("\n") > 1):
        assert time.monotonic() < end
        assert not first.done(), first.result()
        time.sleep(0.02)
    os.kill(int(running.read_text()), signal.SIGUSR1)
    assert first.result().endswith("code 75")
    assert Path("scontrol.log").read_text() == "requeue 77\n"
    before = log.read_text().count("\n")
    assert submitted("net.sh").result().endswith("code 0")
    assert log.read_text().count("\n") == 150 > before
    assert submitted("whole.sh").result().endswith("code 0")
    one, two = (Path(name, "weights.safetensors").read_bytes() for name in ("net", "whole"))
    assert one == two
