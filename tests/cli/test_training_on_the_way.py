"""Limits hold while two-level trains its surrogate, and a stopped training resumes to the bit."""

import json
import signal
import tomllib

import numpy as np
import pytest
import xarray as xr
from commands import PATIENCE, start, wait_for

from pdeinv.io.netcdf import read_tree

pytestmark = pytest.mark.usefixtures("solves_here")

TRAINING = ("surrogate.round_size=12", "surrogate.moves=150", "surrogate.max_rounds=8",
            "surrogate.target_sd=50")  # fmt: skip
LENGTHS = ("engine.draws=6", "engine.warmup=0", "engine.tuning=20", "engine.chains=2",
           "engine.subchain=2")  # fmt: skip


def two_level(out, *more, settings=(*TRAINING, *LENGTHS)):
    sets = [word for s in settings for word in ("--set", s)]
    words = ("invert", "obs.nc", "--config", "small.toml", "--engine", "two-level", "--seed", 1)
    return (*words, *sets, *more, "--out", out)


@pytest.fixture(scope="module")
def whole(small, call, tmp_path_factory):
    """An uninterrupted run."""
    out = tmp_path_factory.mktemp("whole") / "whole.nc"
    words = [small / w if w in ("obs.nc", "small.toml") else w for w in two_level(out)]
    result = call(*words)
    assert result.exit_code == 0, result.stderr
    return out


def same(a, b):
    """The very same draws, from the very same training."""
    one, two = read_tree(a), read_tree(b)
    for group in ("unconstrained_posterior", "two_level"):
        xr.testing.assert_identical(one[group].to_dataset(), two[group].to_dataset())
    for name in ("n_forward_training", "sd_misfit_difference_heldout", "explorers_r_hat"):
        assert one.attrs[f"pdeinv_{name}"] == two.attrs[f"pdeinv_{name}"]


def ask_by_signal(process, _run):
    process.send_signal(signal.SIGTERM)


def ask_by_file(_process, run):
    (run / "STOP").touch()


@pytest.mark.parametrize("ask", [pytest.param(ask_by_signal, marks=pytest.mark.slow), ask_by_file])
def test_a_training_that_is_stopped_among_its_moves_resumes_to_the_bit(ask, call, work, whole):
    run = work / "out.nc.run"
    process = start(*two_level("out.nc"))
    wait_for((run / "explorers1" / "run.json").exists, process, 0.005)
    ask(process, run)
    _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 75, stderr
    assert "continue with --resume" in stderr
    assert not (run / "rounds.json").exists()  # it was training indeed
    assert not (work / "out.nc").exists()
    assert json.loads(call("info", run, "--json").stdout)["training_rounds_done"] >= 1
    result = call(*two_level("out.nc", "--resume"))
    assert result.exit_code == 0, result.stderr
    same(whole, work / "out.nc")
    assert not list(run.glob("explorers*"))
    kept = json.loads((run / "training_seconds.json").read_text())
    told = read_tree(work / "out.nc").attrs
    assert (kept["seconds"], kept["cpu_seconds"]) == (
        told["pdeinv_seconds_training"], told["pdeinv_cpu_seconds_training"],
    )  # fmt: skip


def test_solves_of_training_count_and_a_larger_budget_goes_on(call, work, whole):
    told = call(*two_level("out.nc", "--max-solves", 30))
    assert told.exit_code == 1
    assert "budget spent in training, before the first draw" in told.stderr
    assert "--resume" in told.stderr
    result = call(*two_level("out.nc", "--resume", "--max-solves", 100_000))
    assert result.exit_code == 0, result.stderr
    same(whole, work / "out.nc")


def test_chains_have_what_training_left(call, work, whole):
    spent = read_tree(whole).attrs["pdeinv_n_forward_training"]
    result = call(*two_level("out.nc", "--max-solves", int(spent) + 4))
    assert result.exit_code == 0, result.stderr
    tree = read_tree(work / "out.nc")
    assert tree.attrs["pdeinv_message"].startswith("not converged: budget spent; ")
    assert tree["unconstrained_posterior"].sizes["draw"] < 6


def test_seconds_hold_while_explorers_move(call, work):
    many = [s.replace("moves=150", "moves=100000") for s in (*TRAINING, *LENGTHS)]
    told = call(*two_level("out.nc", "--max-seconds", 3, settings=many))
    assert told.exit_code == 1, told.stderr
    assert "budget spent in training" in told.stderr


@pytest.mark.parametrize(
    "other", ["problem.unknown.modes=3", "noise.rel=0.05", "surrogate.inflation=3.0"]
)
def test_a_training_of_another_run_is_refused(other, call, work):
    call(*two_level("out.nc", "--max-solves", 30))
    assert list((work / "out.nc.run").glob("round0.npz"))
    told = call(*two_level("out.nc", "--resume", "--set", other))
    assert told.exit_code == 2
    assert "belong to another configuration" in told.stderr


def test_a_training_that_goes_on_is_not_disturbed(call, work):
    process = start(*two_level("out.nc"))
    try:
        wait_for((work / "out.nc.run" / "training.json").exists, process, 0.005)
        told = call(*two_level("out.nc", "--resume"))
        assert told.exit_code == 2
        assert "another run is writing" in told.stderr
    finally:
        process.kill()
        process.communicate()


def test_the_configuration_beside_the_result_says_the_measured_pace(whole):
    beside = tomllib.loads(whole.with_name(f"{whole.name}.toml").read_text())
    assert beside["engine"]["subchain"] >= 1


def test_the_result_holds_both_chains_and_what_the_tests_found(whole):
    tree = read_tree(whole)
    group = tree["two_level"]
    assert group["base_misfit"].shape == tree["sample_stats"]["misfit"].shape == (2, 6)
    assert np.isfinite(group["base_coarse_misfit"]).all()
    solved = np.isfinite(group["base_misfit"].values)
    assert solved.any()
    assert not solved.all()  # every fifth
    tests = json.loads((whole.parent / "whole.nc.run" / "tests.json").read_text())
    assert tests[-1]["pairs"] == tests[-2]["pairs"]  # the one that was tested twice is used
    meta = json.loads((whole.parent / "whole.nc.run/surrogate/metadata.json").read_text())
    assert meta["sizes"]["train"] == tests[-1]["pairs"]
    attrs = tree.attrs
    assert attrs["pdeinv_training_agreed"] == 1
    assert attrs["pdeinv_explorers_r_hat"] == tests[-1]["r_hat"] <= 1.05
    assert attrs["pdeinv_mean_misfit_difference_heldout"] == tests[-1]["mean"]
    assert attrs["pdeinv_surrogate_cost"] > 0
    assert attrs["pdeinv_surrogate_gain"] > 0


def test_corrections_beyond_the_draws_are_refused(call, work):
    told = call(*two_level("out.nc", "--set", "engine.correction_every=7"))
    assert told.exit_code == 2
    assert "correction_every = 7 exceeds draws = 6" in told.stderr
    assert not (work / "out.nc.run").exists()


def test_what_two_level_cannot_train_is_refused_before_the_first_solve(call, work, monkeypatch):
    monkeypatch.setattr("pdeinv.bayes.posterior.Posterior.linearize", None)
    told = call(*two_level("out.nc", "--set", "surrogate.name=gp", settings=LENGTHS))
    assert told.exit_code == 2
    assert "cannot be trained on the way" in told.stderr
    assert not (work / "out.nc.run").exists()


def test_info_tells_the_last_test_of_a_trained_and_of_a_given_surrogate(call, work, whole):
    trained = json.loads(call("info", f"{whole}.run", "--json").stdout)
    assert trained["test_passed"] is True
    assert trained["test_r_hat_of_explorers"] <= 1.05
    words = two_level("given.nc", "--surrogate", f"{whole}.run/surrogate", settings=LENGTHS)
    assert call(*words).exit_code == 0
    given = json.loads(call("info", work / "given.nc.run", "--json").stdout)
    assert given["test_passed"] is True
    found = read_tree(work / "given.nc").attrs["pdeinv_mean_misfit_difference_heldout"]
    assert given["test_mean_misfit_difference"] == found
    assert "training_rounds_done" not in given
    assert "test_mean_misfit_difference" in call("info", work / "given.nc.run").stdout
