"""Stopped by a signal or killed, every long verb continues to what it would have made at once."""

import json
import os
import signal
import time

import pytest
import xarray as xr
from commands import PATIENCE, start, wait_for

# what is interrupted runs in processes of its own; the comparisons need none
pytestmark = pytest.mark.usefixtures("solves_here")

DRAWS = 15_000
"""Steps of a chain: some seconds, so that a signal arrives on the way."""


def same_posterior(a, b):
    one, two = (xr.open_datatree(f)["unconstrained_posterior"].to_dataset() for f in (a, b))
    xr.testing.assert_identical(one, two)


PCN = ("invert", "obs.nc", "--engine", "pcn", "--set", "engine.warmup=200", "--seed", 7,
       "--set", "engine.thin=5")  # fmt: skip


def pcn(draws, chains, out):
    return (*PCN, "--draws", draws, "--chains", chains, "--out", out)


@pytest.fixture(scope="module")
def reference(small, call, tmp_path_factory):
    """Two uninterrupted chains."""
    out = tmp_path_factory.mktemp("reference") / "ref.nc"
    words = [small / w if w == "obs.nc" else w for w in pcn(DRAWS, 2, out)]
    result = call(*words)
    assert result.exit_code == 0, result.stderr
    return out


@pytest.mark.parametrize(
    ("signum", "code"),
    [
        (signal.SIGTERM, 75),
        pytest.param(signal.SIGUSR1, 75, marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow),
    ],
)
def test_a_signal_saves_and_resume_equals_the_uninterrupted_run(
    signum, code, call, work, reference
):
    for wait in (0.7, 2, 4):
        stdout, stderr = _signalled(work / "out.nc.run", signum, code, wait)
        if "before anything was saved" not in stderr:  # on a machine that is busy with other things
            break
    assert json.loads(stdout)["error"]["exit_code"] == code
    assert "continue with --resume" in stderr
    assert not (work / "out.nc").exists()
    words = [w for w in pcn(DRAWS, 2, "out.nc") if w not in ("--seed", 7)]
    result = call(*words, "--resume")
    assert result.exit_code == 0, result.stderr
    same_posterior(reference, "out.nc")


def _signalled(run, signum, code, wait):
    """What a run says that gets a signal so many seconds after it has begun."""
    process = start(*pcn(DRAWS, 2, "out.nc"), "--json")
    # the chains run together, so that no state is there before their common end
    wait_for((run / "run.json").exists, process)
    time.sleep(wait)
    process.send_signal(signum)
    stdout, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == code, stderr
    return stdout, stderr


@pytest.mark.slow
def test_with_workers_a_signal_to_the_whole_group_saves_too(call, work, reference):
    run = work / "out.nc.run"
    process = start(*pcn(DRAWS, 2, "out.nc"), "--workers", 2)
    wait_for((run / "chain0.progress.json").exists, process)
    os.killpg(process.pid, signal.SIGUSR1)
    _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 75, stderr
    assert len(stderr.splitlines()) == 1, stderr
    assert call(*pcn(DRAWS, 2, "out.nc"), "--resume").exit_code == 0
    same_posterior(reference, "out.nc")


@pytest.mark.slow  # tests/robustness/test_driver_resume.py kills a run of each engine
def test_a_killed_inversion_resumes_to_the_same_result(call, work, reference):
    run = work / "out.nc.run"
    process = start(*pcn(DRAWS, 2, "out.nc"))
    wait_for((run / "chain0.state.npz").exists, process)
    process.kill()
    process.communicate()
    assert not (work / "out.nc").exists()
    found = json.loads(call("info", run, "--json").stdout)
    assert found["chains"][0]["step"] > 0
    assert call(*pcn(DRAWS, 2, "out.nc"), "--resume").exit_code == 0
    same_posterior(reference, "out.nc")


def test_resume_continues_to_a_larger_total(call, work, reference):
    assert call(*pcn(1000, 2, "out.nc")).exit_code == 0
    assert call(*pcn(DRAWS, 2, "out.nc"), "--resume").exit_code == 0
    same_posterior(reference, "out.nc")


def test_resume_refuses_another_configuration(call, work):
    assert call(*pcn(50, 1, "out.nc")).exit_code == 0
    result = call(*pcn(50, 1, "out.nc"), "--set", "engine.beta=0.9", "--resume")
    assert result.exit_code == 2
    assert "belong to another configuration" in result.stderr


def test_resume_refuses_checkpoints_in_another_basis(call, work, monkeypatch):
    assert call(*pcn(50, 1, "out.nc")).exit_code == 0
    monkeypatch.setattr("pdeinv.jobs.invert.run.BASIS", "another rule")
    result = call(*pcn(100, 1, "out.nc"), "--resume")
    assert result.exit_code == 2
    assert "belong to another configuration" in result.stderr


@pytest.mark.slow  # test_two_runs.py as well
def test_a_run_that_is_going_on_is_not_disturbed(call, work):
    process = start(*pcn(10**6, 1, "out.nc"))
    try:
        wait_for((work / "out.nc.run" / "run.json").exists, process)
        result = call(*pcn(10**6, 1, "out.nc"), "--resume")
        assert result.exit_code == 2
        assert "another run is writing" in result.stderr
    finally:
        process.kill()
        process.communicate()


N = 1600
"""Samples; so many that a signal comes before the last."""


def generate(out):
    words = ("generate", "--obs", "obs.nc", "--n", N, "--seed", 5, "--workers", 2)
    return (*words, "--out", out)


def same_samples(a, b):
    with xr.open_dataset(a) as one, xr.open_dataset(b) as two:
        xr.testing.assert_equal(one.load(), two.load())


@pytest.fixture(scope="module")
def dataset(small, call, tmp_path_factory):
    """The uninterrupted data set."""
    out = tmp_path_factory.mktemp("dataset") / "data.nc"
    words = [small / w if w == "obs.nc" else w for w in generate(out)]
    assert call(*words).exit_code == 0
    return out


# tests/robustness/test_generate.py kills a data set as well
@pytest.mark.parametrize(
    "signum", [signal.SIGTERM, pytest.param(signal.SIGKILL, marks=pytest.mark.slow)]
)
def test_an_interrupted_data_set_resumes_to_the_same_samples(signum, call, work, dataset):
    process = start(*generate("data.nc"))
    wait_for(lambda: len(list(work.glob("data.nc.run/batch*.npz"))) >= 3, process)
    process.send_signal(signum)
    _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == (75 if signum == signal.SIGTERM else -9), stderr
    if signum == signal.SIGTERM:
        assert not list(work.rglob(".*"))
    assert not (work / "data.nc").exists()
    assert call(*generate("data.nc"), "--resume").exit_code == 0
    same_samples(dataset, "data.nc")


def test_a_data_set_grows_on_resume(call, work, dataset):
    words = [48 if w == N else w for w in generate("data.nc")]
    assert call(*words).exit_code == 0
    assert call(*generate("data.nc"), "--resume").exit_code == 0
    same_samples(dataset, "data.nc")


def train(data, out):
    options = ("epochs=250", "patience=250", "widths=[32, 32]")
    sets = [word for o in options for word in ("--set", f"surrogate.{o}")]
    return ("train-surrogate", "latent", "--data", data, "--seed", 6, *sets, "--out", out)


def done(*words):
    """A command to its end; in a process with a past torch may add in another order."""
    process = start(*words)
    _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, stderr


@pytest.mark.slow  # tests/robustness/test_training_resume.py kills and resumes one in less time
def test_an_interrupted_and_killed_training_resumes_to_the_same_weights(work, dataset):
    done(*train(dataset, "whole"))
    saved = work / "ckpt.run" / "training.safetensors"
    process = start(*train(dataset, "ckpt"))
    wait_for(saved.exists, process)
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 75, stderr
    assert not (work / "ckpt").exists()
    before = saved.read_bytes()
    process = start(*train(dataset, "ckpt"), "--resume")
    wait_for(lambda: saved.read_bytes() != before or (work / "ckpt").exists(), process)
    process.kill()
    process.communicate()
    done(*train(dataset, "ckpt"), "--resume")
    for name in ("weights.safetensors", "metadata.json"):
        assert (work / "ckpt" / name).read_bytes() == (work / "whole" / name).read_bytes()
