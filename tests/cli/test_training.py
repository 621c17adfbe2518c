"""``train-surrogate`` as a job: several processes, signals, limits, logs, and the Slurm script."""

import errno
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from datetime import timedelta

import numpy as np
import pytest

from pdeinv.cli.progress import training_view
from pdeinv.cli.terminal import Terminal
from pdeinv.errors import RunFailed
from pdeinv.executors.place import Place
from pdeinv.executors.ranks import opened
from pdeinv.plugins.fitting import EpochRow
from pdeinv.surrogates.common.storage import load_arrays

pytestmark = pytest.mark.usefixtures("solves_here")

PATIENCE = 120


@pytest.fixture(scope="module")
def data(small, call, tmp_path_factory):
    out = tmp_path_factory.mktemp("data") / "data.nc"
    words = ("generate", "--obs", small / "obs.nc", "--n", 60, "--seed", 5, "--out", out)
    assert call(*words).exit_code == 0
    return out


def train(data, out, epochs=20, **options):
    options = {"epochs": epochs, "patience": epochs, "batch_size": 8, "widths": [16], **options}
    sets = [word for k, v in options.items() for word in ("--set", f"surrogate.{k}={v}")]
    return ("train-surrogate", "latent", "--data", data, "--seed", 6, *sets, "--out", out)


def start(*words, **environ):
    return subprocess.Popen(
        [sys.executable, "-m", "pdeinv", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environ},
    )


def wait_for(condition, processes):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert all(p.poll() is None for p in processes), [p.communicate() for p in processes]
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def rows(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def weights(folder):
    return load_arrays(folder / "weights.safetensors")[0]


def close(one, two):
    a, b = weights(one), weights(two)
    scale = {k: np.abs(v).max() for k, v in a.items()}
    return max(np.abs(a[k] - b[k]).max() / max(scale[k], 1e-30) for k in a)


@pytest.fixture(scope="module")
def whole(call, data, tmp_path_factory):
    """The uninterrupted training by one process."""
    out = tmp_path_factory.mktemp("whole") / "ckpt"
    result = call(*train(data, out))
    assert result.exit_code == 0, result.stderr
    return out


def slurm(rank, size, port):
    """The variables of one task of srun."""
    return {
        "SLURM_JOB_ID": "7",
        "SLURM_STEP_ID": "0",
        "SLURM_PROCID": str(rank),
        "SLURM_LOCALID": str(rank),
        "SLURM_NTASKS": str(size),
        "SLURM_JOB_NODELIST": "127.0.0.1",
        "MASTER_PORT": str(port),
    }


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.slow
def test_tasks_of_srun_share_a_training_stop_on_a_signal_to_one_and_go_on(call, data, work):
    """Slurm's variables are set by hand here; there is no Slurm."""
    port = free_port()
    words = train(data, work / "long", 100000)
    tasks = [start(*words, **slurm(k, 2, port)) for k in range(2)]
    wait_for(lambda: (work / "long.run" / "log.jsonl").exists() and rows(work / "long.run"), tasks)
    tasks[1].send_signal(signal.SIGUSR1)
    said = [t.communicate(timeout=PATIENCE) for t in tasks]
    assert [t.returncode for t in tasks] == [75, 75], said
    assert "continue with --resume" in said[0][1]
    assert said[1] == ("", "")
    assert not (work / "long").exists()
    done = len(rows(work / "long.run"))
    limited = call(*words, "--resume", "--time-limit", "0:04")
    assert limited.exit_code == 75
    found = rows(work / "long.run")
    assert len(found) >= done
    assert [r["epoch"] for r in found] == list(range(1, len(found) + 1))


@pytest.fixture
def once_alone(monkeypatch):
    """This process has waited for others in vain before, which the next meeting must survive."""
    with monkeypatch.context() as patch:
        patch.setattr("pdeinv.executors.meeting.PATIENCE", timedelta(seconds=1))
        place = Place(1, 2, 1, "127.0.0.1", 1)
        with pytest.raises(RunFailed, match="no meeting place"), opened(place):
            pass


@pytest.mark.usefixtures("once_alone")
def test_devices_starts_processes_whose_work_equals_that_of_one(call, data, work, whole):
    result = call(*train(data, work / "ckpt"), "--devices", 2, "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["errors"].keys() == {"relative_l2", "rms_over_sigma"}
    assert close(whole, work / "ckpt") < 1e-5
    assert [r["epoch"] for r in rows(work / "ckpt.run")] == list(range(1, 21))


def test_a_process_that_is_lost_at_its_start_is_not_waited_for(call, data, work, monkeypatch):
    monkeypatch.setattr("pdeinv.jobs.train._follow", max)  # its arguments do not compare
    result = call(*train(data, work / "ckpt"), "--devices", 2)
    assert result.exit_code == RunFailed.exit_code
    assert "a training process ended with exit code 1 before it began" in result.stderr
    assert not (work / "ckpt").exists()


def test_resume_with_nothing_to_resume_begins(call, data, work, whole):
    """A requeued job repeats one command; its first start finds no checkpoint."""
    assert call(*train(data, "ckpt"), "--resume").exit_code == 0
    assert close(whole, work / "ckpt") == 0


def test_the_file_stop_stops(call, data, work):
    run = work / "ckpt.run"

    def stop():
        wait_for(lambda: (run / "log.jsonl").exists() and rows(run), [])
        (run / "STOP").touch()

    operator = threading.Thread(target=stop)
    operator.start()
    result = call(*train(data, work / "ckpt", 100000))
    operator.join()
    assert result.exit_code == 75, result.stderr


def test_the_log_has_a_line_per_epoch_and_tensorboard_the_same_numbers(call, data, work):
    words = (*train(data, "ckpt", 4), "--tensorboard", "events")
    assert call(*words).exit_code == 0
    found = rows(work / "ckpt.run")
    assert [r["epoch"] for r in found] == [1, 2, 3, 4]
    assert all(r["seconds"] > 0 and r["samples_per_second"] > 0 for r in found)
    assert found[0]["rate"] > found[-1]["rate"] > 0
    assert 0 < found[-1]["valid_relative"] < 2
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(work / "events"))
    events.Reload()
    assert {"train", "valid", "rate", "valid_relative"} <= set(events.Tags()["scalars"])
    np.testing.assert_allclose(
        [e.value for e in events.Scalars("valid")], [r["valid"] for r in found], rtol=1e-6
    )


@pytest.mark.parametrize(
    ("folder", "why"),
    [
        ("obs.nc", "obs.nc is no folder; choose another --tensorboard"),
        ("obs.nc/events", "obs.nc is no folder; choose another --tensorboard"),
        ("ckpt/events", "ckpt/events lies in ckpt, which is replaced"),
        ("ckpt.run", "ckpt.run lies in ckpt.run, which is replaced"),
    ],
)
def test_a_folder_of_events_that_cannot_be_is_refused(folder, why, call, data, work):
    before = sorted(work.iterdir())
    result = call(*train(data, "ckpt", 1), "--tensorboard", folder)
    assert result.exit_code == 2
    assert why in result.stderr
    assert sorted(work.iterdir()) == before


@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_other_precisions_train_too(dtype, call, data, work, whole):
    result = call(*train(data, "ckpt"), "--dtype", dtype)
    assert result.exit_code == 0, result.stderr
    difference = close(whole, work / "ckpt")
    assert 1e-9 < difference < (1e-3 if dtype == "float64" else 0.5)
    assert call(*train(data, "ckpt"), "--resume").exit_code == 2  # another precision


def test_the_slurm_script_is_printed_and_nothing_else_is_done(call, data, work):
    before = sorted(work.iterdir())
    words = ("--print-sbatch", "--nodes", 2, "--gpus", 4, "--partition", "gpu", "--device", "cuda")
    result = call(*train(data, "ckpt"), *words)
    assert result.exit_code == 0, result.stderr
    assert sorted(work.iterdir()) == before
    (work / "job.sh").write_text(result.stdout)
    subprocess.run(["bash", "-n", work / "job.sh"], check=True)
    assert "#SBATCH --ntasks-per-node=4" in result.stdout
    (launch,) = (s for s in result.stdout.splitlines() if s.startswith("srun "))
    assert "--device cuda" in launch
    assert "'surrogate.widths=[16]'" in launch
    assert launch.endswith("--resume")
    found = call(*train(data, "ckpt"), *words, "--json")
    assert json.loads(found.stdout)["script"].startswith("#!/bin/bash")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--dtype", "half"), "--dtype: expected one of float32, bfloat16, float64, got 'half'"),
        (("--time-limit", "1h"), "--time-limit: expected HH:MM:SS"),
        (("--devices", 2, "--device", "cuda"), "device 'cuda' is not available"),
        (("--devices", 2, "--device", "cuda:0"), "device 'cuda:0' is not available"),
        (("--device", "mps"), "device 'mps' is not available"),
        (("--set", "surrogate.ema=1"), "surrogate.ema"),
        (("--set", "problem.name='heat'"), "is of problem 'darcy', and [problem] names 'heat'"),
        (("--set", "problem.cells=64"), "problem.cells = 8, and [problem] asks for 64; generate"),
        (("--set", "problem.unknown.std=2"), "problem.unknown.std = "),
        (("--set", "problem.celss=8"), "unknown key 'problem.celss'; did you mean 'cells'?"),
    ],
)
def test_wrong_options_are_one_line(words, message, call, data, work):
    before = sorted(work.iterdir())
    result = call(*train(data, "ckpt"), *words)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert sorted(work.iterdir()) == before


def test_a_run_file_that_agrees_with_the_data_set_passes(call, data, work):
    """The very file that the data were made with, with numbers in another spelling."""
    words = ("--config", "small.toml", "--set", "problem.cells=8.0")
    assert call(*train(data, "ckpt", 1), *words).exit_code == 0


def test_an_evaluation_by_another_configuration_is_refused(call, work, whole):
    found = call("evaluate", whole, "--n", 2, "--set", "problem.cells=64")
    assert found.exit_code == 2
    assert "trained for darcy with cells = 8, this run has 64" in found.stderr


def test_a_folder_that_cannot_be_written_is_told_before_it_is_locked(call, data, work, monkeypatch):
    def refused(*_):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("pdeinv.io.lock._lock", refused)
    monkeypatch.setattr(os, "access", lambda _, mode, **__: mode == os.R_OK)
    result = call(*train(data, "ckpt"))
    assert result.exit_code == 2
    assert result.stderr.endswith(" is not writable; choose another --out\n")


def test_a_training_that_cannot_begin_leaves_nothing_in_the_way(call, data, work):
    words = ("train-surrogate", "fno", "--data", data, "--set", "surrogate.time=steps", "--out")
    result = call(*words, "ckpt")
    assert result.exit_code == 2
    assert "generate --grid" in result.stderr
    assert not list(work.glob("ckpt*"))


def test_a_surrogate_without_epochs_does_not_start_processes(call, data, work):
    result = call("train-surrogate", "gp", "--data", data, "--out", "gp", "--devices", 2)
    assert result.exit_code == 2
    assert "surrogate 'gp' trains in one process; leave out --devices" in result.stderr


def test_under_a_launcher_devices_is_refused(call, data, work):
    result = call(*train(data, "ckpt"), "--devices", 2, env=slurm(0, 2, 1))
    assert result.exit_code == 2
    assert "a launcher has started 2 already" in result.stderr


class Screen(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_shows_a_table_and_a_log_a_line(monkeypatch):
    row = EpochRow(3, 9, 0.5, 0.25, 0.125, 3, 1e-3, 2.0, 40.0, 0.5)
    screen = Screen()
    with training_view(Terminal(stdout=io.StringIO(), stderr=screen)) as view:
        for done in (row, EpochRow(9, 9, 0.4, 0.3, 0.2, 3, 1e-4, 2.0, 40.0, 0.0)):
            view.progress(done.epoch, done.epochs, done.train, done.valid)
            view.watch(done)
            view.tick(done.epoch, 1, 2)
    shown = screen.getvalue()
    for text in ("validation", "3/9", "0.25", "0.125", "50 %", "9/9"):
        assert text in shown
    moments = iter([0.0, 61.0, 62.0, 200.0])
    monkeypatch.setattr("pdeinv.cli.progress.time.monotonic", lambda: next(moments))
    log = io.StringIO()
    with training_view(Terminal(stdout=io.StringIO(), stderr=log)) as view:
        view.progress(3, 9, 0.5, 0.25)
        view.tick(3, 1, 4)
        view.tick(3, 3, 4)
    first, second = log.getvalue().splitlines()
    assert first == "train 0:01:01: training 3/9 loss 0.5, validation 0.25"
    assert second == "train 0:03:20: training 3/9 step 3/4 loss 0.5, validation 0.25"
    silent = Screen()
    with training_view(Terminal(quiet=True, stderr=silent)) as view:
        view.progress(3, 9, 0.5, 0.25)
        view.watch(row)
    assert silent.getvalue() == ""
