"""Explorers and chains of two-level start apart, and say whether they found the same posterior."""

import json
from dataclasses import replace

import numpy as np
import pytest
from folded import by_quadrature, two_modes

from pdeinv.bayes.linear_gaussian import LinearGaussian
from pdeinv.engines.mcmc.modes import Modes
from pdeinv.engines.mcmc.tuning import tune
from pdeinv.engines.requests import drive
from pdeinv.engines.run.spec import Run
from pdeinv.errors import Preempted
from pdeinv.jobs.two_level import explorers
from pdeinv.jobs.two_level.explorers import AGREED, Exploration, Explored
from pdeinv.rng import stream


def silent(*_):
    pass


def fail():
    raise AssertionError("no budget was given")


def side(on, xis):
    return on.prior.unwhiten(xis)[..., 0] > 0


def test_kernels_that_know_one_mode_start_in_either():
    """Never from one optimum: without further searches some chains are in each mode."""
    on = two_modes()
    sides = [
        bool(side(on, drive(on, tune(on, 20, stream(0, "chain", k), searches=0)).place.xi))
        for k in range(12)
    ]
    assert 2 <= sum(sides) <= 10


def test_a_stuck_search_does_not_lead():
    """A mode without mass gives way to the one that has most; one with mass stays first."""
    on = two_modes()
    modes = drive(on, tune(on, 20, stream(0, "chain", 0), searches=8)).kernel.modes
    assert modes.count == 2
    stuck = replace(modes, log_weight=np.log([1e-4, 1 - 1e-4]))
    led = stuck.leading_with_mass()
    np.testing.assert_array_equal(led.mean, modes.mean[::-1])
    np.testing.assert_array_equal(led.log_weight, stuck.log_weight[::-1])
    assert modes.leading_with_mass() is modes
    assert isinstance(led, Modes)


def test_what_others_have_seen_tunes_a_kernel_in_fewer_moves():
    """References begin with the moments of their draws, which a few moves do not learn."""
    case = LinearGaussian.example(np.random.default_rng(1), 12, 12)
    on, widest = case.posterior(), []
    draws = stream(1, "seen").multivariate_normal(np.full(12, 2.0), 9 * np.eye(12), 400)
    for seen in (None, draws):
        tuned = drive(replace(on, seen=seen), tune(replace(on, seen=seen), 16, stream(0, "chain")))
        widest.append(1 + tuned.kernel.kernel.reference.excess.max())
    assert widest[0] < 2  # no posterior is wider than the prior
    assert widest[1] > 5  # theirs, wrong as they are here


def explored(folder, moves=60, *, seed=3, told=silent, stop=None):
    spec = Run(seed, folder / "e", stop=stop or folder / "STOP")
    return Exploration(4, moves, spec, told)


def test_explorers_agree_on_one_posterior_and_know_its_mean(tmp_path):
    case = LinearGaussian.example(np.random.default_rng(1))
    on = case.posterior()
    found = explored(tmp_path, 200)(on, fail)
    assert found.agreement().reached
    assert 1 <= found.agreement().iact < 20
    m = on.prior.unwhiten(found.xi.reshape(-1, on.dim))
    spread = np.sqrt(np.diag(case.exact()[1]))
    assert np.abs((m.mean(axis=0) - case.exact()[0]) / spread).max() < 0.3
    assert found.seen.shape == (explorers.SEEN, on.dim)
    rows = found.thinned(10)
    assert rows.shape == (10, on.dim)
    assert all(any((row == x).all() for x in found.xi.reshape(-1, on.dim)) for row in rows)


def test_explorers_that_jump_between_modes_agree_on_their_weights(tmp_path):
    on = two_modes()
    found = explored(tmp_path, 400)(on, fail)
    assert found.agreement().reached
    assert abs(side(on, found.xi).mean() - by_quadrature()[0]) < 0.1


def test_explorers_in_different_modes_disagree_after_more_moves(tmp_path, monkeypatch):
    """Negative control: without jumps R-hat stays large, however often moves are doubled."""
    monkeypatch.setattr(explorers, "ExplorerConfig", lambda **how: _CONFIG(**how, searches=0))
    found = explored(tmp_path, seed=1)(two_modes(), fail)
    sides = side(two_modes(), found.xi).mean(axis=1)
    assert {0.0, 1.0} <= set(sides)  # some in each
    assert found.xi.shape[1] == 60 * 2**explorers.DOUBLINGS
    assert found.agreement().r_hat > AGREED


_CONFIG = explorers.ExplorerConfig


def test_the_misfit_counts_as_well():
    rng = np.random.default_rng(0)
    xi, misfit = rng.standard_normal((4, 200, 3)), rng.standard_normal((4, 200))
    good = Explored(xi, misfit, None).agreement()
    misfit[2] += 5
    bad = Explored(xi, misfit, None).agreement()
    assert good.reached
    assert not bad.reached
    assert bad.worst == "the misfit"


@pytest.mark.parametrize("after", [10, 70])
def test_explorers_that_were_stopped_go_on_to_the_same_draws(tmp_path, after, monkeypatch):
    """Also in the second helping of moves; what is judged is what an uninterrupted run judges."""
    monkeypatch.setattr(explorers, "AGREED", 0.0)  # so that moves are doubled
    case = LinearGaussian.example(np.random.default_rng(1))
    on, stop, seen = case.posterior(), tmp_path / "STOP", []
    whole = explored(tmp_path / "whole")(on, fail)

    def told(chain, step, n_steps, note):
        seen.append(step)
        if step >= after:
            stop.touch()

    monkeypatch.setattr("pdeinv.engines.run.chain.LOOK_SECONDS", 0.0)
    with pytest.raises(Preempted, match=f"saved in {tmp_path}"):
        explored(tmp_path, told=told, stop=stop)(on, fail)
    assert max(seen) < 240
    stop.unlink()
    again = explored(tmp_path, stop=stop)(on, fail)
    np.testing.assert_array_equal(again.xi, whole.xi)
    np.testing.assert_array_equal(again.misfit, whole.misfit)
    assert again.counters == whole.counters
    assert json.loads((tmp_path / "e" / "run.json").read_text())["engine"] == "explorer"
