"""Searches through bands of frequencies: what they reach, what they tell, and how they resume."""

from functools import partial

import numpy as np
import pytest

from pdeinv.bayes.misfits import MisfitConfig, judged
from pdeinv.bayes.named_priors import normal
from pdeinv.bayes.noise import Noise
from pdeinv.bayes.posterior import Posterior, WhitenedModel
from pdeinv.engines.bands import stage_of
from pdeinv.engines.gaussian.laplace import Laplace, LaplaceConfig
from pdeinv.engines.gaussian.map import Map, MapConfig
from pdeinv.engines.regularized.gauss_newton import GaussNewton, GaussNewtonConfig
from pdeinv.engines.run.driver import run
from pdeinv.engines.run.spec import Budget, Run
from pdeinv.errors import CapabilityError, ConfigError, Preempted
from pdeinv.model.forward import Capability
from pdeinv.model.spaces import Space, Variable

TIMES = 0.01 * np.arange(1, 601)
NOISE = Noise(np.full(600, 0.02))
TRUTH = 0.45
BANDS = {"bands": (0.6, 1.2), "band_iterations": 15}


def ricker(t):
    a = (np.pi * 2.0 * t) ** 2
    return (1 - 2 * a) * np.exp(-a)


def slope(t):
    a = (np.pi * 2.0 * t) ** 2
    return 2 * (np.pi * 2.0) ** 2 * t * (2 * a - 3) * np.exp(-a)


class Arrival:
    """A wavelet of 2 Hz that arrives at 3 s and a delay, the unknown."""

    kind = "reference"
    capabilities = frozenset({Capability.JVP, Capability.VJP})

    def __init__(self, coords=True):
        at = {"time": (("obs",), TIMES)} if coords else {}
        self.m_space = Space((Variable("delay", (), (), "s"),))
        self.d_space = Space((Variable("u", ("obs",), (600,), "1", "", at),))

    def __call__(self, m):
        return ricker(TIMES - 3 - m[0])

    def linearize(self, m):
        return At(self(m), -slope(TIMES - 3 - m[0]))


class At:
    def __init__(self, value, column):
        self.value, self.column = value, column

    def jvp(self, v):
        return self.column * v[0]

    def vjp(self, w):
        return np.array([self.column @ w])


def posterior(coords=True, law=NOISE, mean=0.0):
    prior = normal("delay", mean=mean, std=1.0, units="s")
    data = ricker(TIMES - 3 - TRUTH) + NOISE.sample(np.random.default_rng(0))
    return Posterior(prior, WhitenedModel(prior, Arrival(coords)), data, law)


def engines(**more):
    given = {**BANDS, **more}
    return {
        "map": Map(MapConfig(starts=1, method="lbfgs", **given)),
        "map newton": Map(MapConfig(starts=1, method="newton-cg", **given)),
        "laplace": Laplace(LaplaceConfig(starts=1, draws=5, **given)),
        "gauss-newton": GaussNewton(
            GaussNewtonConfig(regularization="prior", reference=None, **given)
        ),
    }


def at_noise(**more):
    return Map(MapConfig(starts=1, **{**BANDS, "method": "lbfgs", "discrepancy": 1.05, **more}))


NAMES = pytest.mark.parametrize("name", list(engines()))


@NAMES
def test_bands_lead_to_an_arrival_that_is_a_period_off(name, tmp_path):
    found = run(engines()[name], posterior, Run(1, tmp_path / "bands")).outcome
    assert found.converged, found.message
    assert np.mean(found.xi) == pytest.approx(TRUTH, abs=0.01)
    assert "after bands below 0.6, 1.2" in found.message
    assert found.stats["misfit"].flat[0] == pytest.approx(300, rel=0.2)
    bands = found.groups["bands"]
    np.testing.assert_array_equal(bands["band"], [0.6, 1.2])
    assert (bands["misfit_end"] < bands["misfit_start"]).all()
    assert (bands["iterations"] > 0).all()
    alone = run(engines(bands=())[name], posterior, Run(1, tmp_path / "alone")).outcome
    assert abs(np.mean(alone.xi) - TRUTH) > 0.2
    assert "bands" not in alone.groups


def test_the_course_is_that_of_the_last_stage(tmp_path):
    found = run(engines()["map"], posterior, Run(1, tmp_path)).outcome
    course = found.groups["course"]["objective"].values
    assert len(course) == found.summary["iterations"]
    assert (np.diff(course) <= 0).all()


def test_scores_go_through_bands_too(tmp_path):
    law = judged(MisfitConfig(kind="correlation"), NOISE, {"time": TIMES})
    found = run(engines()["map"], partial(posterior, law=law), Run(1, tmp_path)).outcome
    assert found.xi.item() == pytest.approx(TRUTH, abs=0.01)


@pytest.mark.parametrize("name", [*engines(), "map stopped"])
def test_a_resumed_search_has_the_same_bits(name, tmp_path):
    engine = {**engines(), "map stopped": at_noise()}[name]
    whole = run(engine, posterior, Run(1, tmp_path / "whole")).outcome
    for n in range(1, 40):
        stopped = tmp_path / f"{n % 2}"

        def stop(chain, step, steps, note, n=n, folder=stopped):
            if step >= n:
                (folder / "STOP").touch()

        spec = Run(1, stopped, checkpoint_seconds=0.0)
        try:
            run(engine, posterior, spec, stop)
            break
        except Preempted:
            (stopped / "STOP").unlink()
        again = run(engine, posterior, Run(1, stopped, resume=True)).outcome
        np.testing.assert_array_equal(again.xi, whole.xi)
        assert again.groups["bands"].equals(whole.groups["bands"])
        if n > 3:
            break


@pytest.mark.parametrize("name", ["map", "gauss-newton"])
def test_a_search_that_is_cut_in_a_band_tells_the_misfit_of_all(name, tmp_path):
    spec = Run(1, tmp_path, budget=Budget(n_forward=5))
    found = run(engines()[name], posterior, spec).outcome
    assert not found.converged
    assert "in bands below 0.6" in found.message
    assert "cut short" in found.message
    expected = posterior().misfit(found.xi[0, 0])
    np.testing.assert_allclose(found.stats["misfit"].item(), expected)


def test_misfit_per_datum_counts_what_the_filter_leaves(tmp_path):
    law = judged(MisfitConfig(above=0.8, below=3.0), NOISE, {"time": TIMES})
    found = run(engines(bands=())["map"], partial(posterior, law=law), Run(1, tmp_path)).outcome
    assert 0 < law.count < 0.2 * law.size
    assert found.summary["misfit_per_datum"] == found.summary["misfit"] / law.count


def test_progress_tells_the_band(tmp_path):
    notes = []

    def told(chain, step, steps, note):
        notes.append(note)

    run(engines()["map"], posterior, Run(1, tmp_path), told)
    assert notes[-1].startswith("misfit")
    assert engines()["map"].n_steps == 200 + 30 + 8 + 6 + 1 - 7


def test_data_without_time_are_refused_before_a_solve(tmp_path):
    for engine in engines().values():
        with pytest.raises(CapabilityError, match=r"bands of frequencies needs data with a time"):
            run(engine, partial(posterior, coords=False), Run(1, tmp_path))
    with pytest.raises(ConfigError, match=r"engine\.bands: .*Hz for s.* hold frequencies below 50"):
        run(engines(bands=(70.0,))["map"], posterior, Run(1, tmp_path))


@pytest.mark.parametrize("kind", ["least-squares", "sobolev", "envelope", "correlation"])
def test_a_band_outside_the_misfits_own_is_refused_before_a_solve(tmp_path, kind):
    """One below ``above`` holds nothing; one beyond ``below`` is the last stage once more."""
    law = judged(MisfitConfig(kind=kind, above=0.8, below=3.0), NOISE, {"time": TIMES})
    outside = {(0.6, 1.2): "misfit.above = 0.8 cycles", (1.2, 3.0): "misfit.below = 3 cycles"}
    for bands, told in outside.items():
        with pytest.raises(ConfigError, match=told):
            run(engines(bands=bands)["map"], partial(posterior, law=law), Run(1, tmp_path))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bands": (3.0, 2.0)}, "rising"),
        ({"bands": (1.0, 2.0), "band_iterations": (3,)}, "expected 2 numbers"),
        ({"bands": (1.0,), "band_iterations": 0}, "at least 1"),
    ],
)
def test_wrong_bands_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        MapConfig(**options)


@pytest.mark.parametrize("method", ["lbfgs", "newton-cg"])
def test_each_band_ends_at_its_noise_level(method, tmp_path):
    """The first iterate within τ² n/2 is the last of its stage, which is no minimum."""
    found = run(at_noise(method=method), posterior, Run(1, tmp_path / "stopped")).outcome
    bands = found.groups["bands"]
    own = stage_counts(posterior())
    assert (bands["misfit_end"] <= 0.5 * 1.05**2 * own).all()
    assert (bands["misfit_start"] > 0.5 * 1.05**2 * own).any()
    assert found.stats["misfit"].item() <= 300 * 1.05**2
    assert found.converged
    assert "stopped at the noise level" in found.message
    assert "no minimum" in found.message
    whole = run(at_noise(method=method, discrepancy=None), posterior, Run(1, tmp_path / "whole"))
    assert bands["iterations"].sum() < whole.outcome.groups["bands"]["iterations"].sum()


def stage_counts(p):
    config = MapConfig(**BANDS)
    return np.array([stage_of(p, config, k).count for k in range(2)])


def test_a_start_that_fits_the_data_is_left_where_it_is(tmp_path):
    at_truth = partial(posterior, mean=TRUTH)
    found = run(at_noise(), at_truth, Run(1, tmp_path)).outcome
    assert found.xi.item() == 0
    assert "after 0 iterations" in found.message
    np.testing.assert_array_equal(found.groups["bands"]["iterations"], 0)


def test_a_search_that_misses_the_noise_level_goes_on_to_its_minimum(tmp_path):
    """A side minimum: no band leads away from it, and the verdict is as without the option."""
    found = run(at_noise(bands=(), band_iterations=20), posterior, Run(1, tmp_path)).outcome
    assert abs(found.xi.item() - TRUTH) > 0.2
    assert not found.converged


def test_a_noise_level_is_asked_of_one_search_about_additive_noise(tmp_path):
    with pytest.raises(ValueError, match=r"expected starts = 1, got none; set engine\.starts = 1"):
        MapConfig(discrepancy=1.0)
    law = judged(MisfitConfig(kind="correlation"), NOISE, {"time": TIMES})
    with pytest.raises(ConfigError, match=r"engine\.discrepancy is a rule about additive noise"):
        run(at_noise(), partial(posterior, law=law), Run(1, tmp_path))
