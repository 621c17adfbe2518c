"""The engines that report a learned inverse: what they say, how they polish, what they refuse."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from pdeinv.bayes.causal import Causal
from pdeinv.bayes.linear_gaussian import LinearGaussian
from pdeinv.bayes.noise import Noise
from pdeinv.bayes.passband import InBand
from pdeinv.bayes.prior import nearest
from pdeinv.engines.base import check_posterior
from pdeinv.engines.ended import Ended
from pdeinv.engines.gaussian.map import Map
from pdeinv.engines.learned.crowd import CrowdSearch
from pdeinv.engines.learned.linear_image import LinearImage
from pdeinv.engines.regularized.gauss_newton import GaussNewtonState
from pdeinv.engines.requests import Linearize, Misfit, drive
from pdeinv.engines.run.driver import run
from pdeinv.engines.run.spec import Run
from pdeinv.errors import CapabilityError
from pdeinv.model.learned import Estimate, Family, TrainedNoise
from pdeinv.model.traces import traces_of

CASE = LinearGaussian.example(np.random.default_rng(4), 3, 12)
TRUE = np.array([0.5, -1.0, 0.3])


def posterior(estimate, factor=1.0):
    """Data of a known unknown, their noise as it is stated times a factor."""
    on = CASE.posterior()
    clean = on.model(TRUE)
    noise = factor * on.noise.sample(np.random.default_rng(1))
    return replace(on, data=clean + noise, estimate=estimate)


def of_xi(mean, likeness=None):
    return Estimate(np.asarray(mean, float), np.full(3, 0.5), "xi", likeness)


def engine(**options):
    return LinearImage(LinearImage.Config(**options))


def go(on, folder, **options):
    return run(engine(**options), lambda: on, Run(seed=1, folder=folder)).outcome


def test_an_estimate_of_xi_is_reported_with_its_misfit(tmp_path):
    on = posterior(of_xi(TRUE))
    found = go(on, tmp_path)
    assert np.array_equal(found.xi[0, 0], TRUE)
    assert found.summary["misfit"] == pytest.approx(float(on.misfit(TRUE)))
    assert found.converged
    assert np.array_equal(found.groups["learned"]["sd"], np.full(3, 0.5))


def test_an_estimate_of_the_unknown_is_reported_as_that(tmp_path):
    on = posterior(None)
    m = on.prior.unwhiten(TRUE)
    on = replace(on, estimate=Estimate(m, np.full(3, 0.1), "m"))
    found = go(on, tmp_path)
    assert found.xi.shape == (1, 1, 0)
    assert np.array_equal(found.m[0, 0], m)
    assert found.summary["misfit"] == pytest.approx(float(on.misfit(TRUE)))


def test_an_estimate_that_does_not_explain_the_data_has_not_converged(tmp_path):
    found = go(posterior(of_xi(TRUE + 5)), tmp_path)
    assert found.ended is Ended.UNPOLISHED
    assert "misfit" in found.message
    assert "set engine.polish ('map', 'gauss-newton')" in found.message


def test_a_polish_that_misses_the_noise_is_not_asked_for_again(tmp_path):
    found = go(posterior(of_xi(TRUE), 9.0), tmp_path, polish="map")
    assert not found.converged
    assert "not polished" not in found.message


@pytest.mark.parametrize(
    ("share", "said"), [(1 / 101, "fewer than 1 in 100 of"), (2 / 101, "fewer than 1 in 49 of")]
)
def test_a_small_share_of_odd_data_is_told_in_words(share, said, tmp_path):
    assert said in go(posterior(of_xi(TRUE, np.asarray(share))), tmp_path).message


@pytest.mark.parametrize(("share", "unlike"), [(0.04, True), (0.06, False), (None, False)])
def test_data_unlike_those_of_the_training_are_flagged(share, unlike, tmp_path):
    likeness = None if share is None else np.asarray(share)
    found = go(posterior(of_xi(TRUE, likeness)), tmp_path)
    assert (found.ended is Ended.UNLIKE) == unlike
    assert found.converged != unlike
    assert found.message.startswith("fewer than 1 in 24 of" if unlike else "estimate of")
    assert ("likeness" in found.summary) == (share is not None)


def beside(ratio):
    """An estimate of data with so many times the noise of a training that served 0.2 to 5 times."""
    usual = np.array([0.1, 0.2, 0.3])
    return replace(of_xi(TRUE), noise=TrainedNoise.of(ratio * usual, usual, (0.2, 5.0)))


@pytest.mark.parametrize(
    ("ratio", "far"), [(1000, True), (9.9, False), (0.11, False), (0.09, True)]
)
@pytest.mark.parametrize("polish", ["none", "map"])
def test_noise_far_from_that_of_the_training_is_not_converged(ratio, far, polish, tmp_path):
    found = go(posterior(beside(ratio)), tmp_path, polish=polish)
    assert (found.ended is Ended.UNTRAINED) == far
    assert found.converged != far
    assert found.message.startswith("the noise of the data") == far
    assert ("training, whose noise_range is 0.2 to 5 times" in found.message) == far
    assert ("train with a noise_range that holds it" in found.message) == far
    assert found.summary["noise_over_training"] == pytest.approx(ratio)


def test_a_polish_that_moved_is_judged_by_the_model_whatever_the_noise(tmp_path):
    away = replace(beside(0.01), mean=TRUE + np.array([2.0, 0, 0]))
    found = go(posterior(away), tmp_path, polish="map")
    assert found.converged
    assert "is 0.01 times that of the training" in found.message


@pytest.mark.parametrize("polish", ["map", "gauss-newton", "lbfgs", "eki"])
def test_a_polish_stops_at_the_noise_level_and_stays_near_the_estimate(polish, tmp_path):
    on = posterior(of_xi(TRUE + np.array([2.0, 0, 0])))
    raw, found = go(on, tmp_path / "raw"), go(on, tmp_path / "polished", polish=polish)
    wanted = 0.5 * on.n_data
    assert raw.summary["misfit"] > 3 * wanted
    assert found.converged
    assert found.summary["misfit"] <= 1.03 * wanted
    assert found.summary["estimate_misfit_per_datum"] == raw.summary["misfit_per_datum"]
    assert found.groups["polish"]["misfit"].values[-1] == found.summary["misfit"]


def test_a_polish_in_xi_leaves_what_the_data_do_not_see_where_the_estimate_has_it(tmp_path):
    blind = replace(CASE, matrix=CASE.matrix * np.array([1.0, 1.0, 0.0]))
    on = blind.posterior()
    off = TRUE + np.array([2.0, 0.0, 4.0])
    on = replace(on, data=on.model(TRUE), estimate=of_xi(off))
    found = go(on, tmp_path, polish="map").xi[0, 0]
    away = on.prior.field.apply(np.eye(3)).T @ (found - off)
    assert abs(away[2]) < np.abs(away[:2]).max()
    prior_mean = run(Map(Map.Config()), lambda: replace(on, estimate=None), Run(1, tmp_path / "m"))
    assert np.linalg.norm(found - off) < np.linalg.norm(prior_mean.outcome.xi[0, 0] - off)


def test_a_polish_by_gradients_asks_for_no_jacobian_and_stops_where_it_can_stop(tmp_path):
    on = posterior(of_xi(TRUE + np.array([2.0, 0, 0])))
    asked, search = [], engine(polish="lbfgs", max_iterations=50)

    def answered(steps):
        found = None
        try:
            while True:
                request = steps.send(found)
                asked.append(request)
                misfit = isinstance(request, Misfit)
                found = on.misfit(request.xi) if misfit else on.linearize(request.xi)
        except StopIteration as end:
            return end.value

    rng, wanted = np.random.default_rng(0), 0.5 * on.n_data
    state = answered(search.init(on, rng))
    before = state
    while not search.finished(state):
        before, state = state, answered(search.step(on, state, rng))
    assert {type(r) for r in asked} <= {Misfit, Linearize}
    assert state.misfit <= wanted < before.misfit
    assert state.polished.n == before.polished.n + 1


def test_a_polish_by_gradients_that_is_cut_says_so(tmp_path):
    on = posterior(of_xi(TRUE + np.array([2.0, 0, 0])))
    found = go(on, tmp_path, polish="lbfgs", max_iterations=1)
    assert found.summary["iterations"] == 1
    assert found.summary["misfit"] < found.summary["estimate_misfit_per_datum"] * on.n_data
    assert not found.converged


@dataclass(frozen=True)
class Bare:
    """A model that can be asked for values alone."""

    inner: Any
    capabilities = frozenset()

    def __getattr__(self, name):
        return getattr(object.__getattribute__(self, "inner"), name)

    def __call__(self, xi):
        return self.inner(xi)


def bare(on):
    return replace(on, model=Bare(on.model))


def test_a_polish_by_an_ensemble_needs_no_derivatives(tmp_path):
    on = bare(posterior(of_xi(TRUE + np.array([2.0, 0, 0]))))
    check_posterior(engine(polish="eki"), on)
    with pytest.raises(CapabilityError):
        check_posterior(engine(polish="map"), on)
    found = go(on, tmp_path, polish="eki", ensemble_size=50)
    assert found.converged
    assert found.summary["misfit"] <= 0.5 * on.n_data


def test_a_polish_by_an_ensemble_begins_about_the_estimate():
    on, at = posterior(None), np.array([30.0, -20.0, 10.0])
    crowd = drive(on, CrowdSearch(0.0, 200).begun(on, at, np.random.default_rng(5)))
    assert crowd.xi.mean(axis=0) == pytest.approx(at, abs=0.3)
    assert crowd.xi.std(axis=0) == pytest.approx(np.ones(3), rel=0.2)


def test_a_polish_by_an_ensemble_stays_in_the_span_of_its_members():
    on = LinearGaussian.example(np.random.default_rng(4), 6, 12).posterior()
    at, search, rng = 2.0 + np.zeros(6), CrowdSearch(0.0, 4), np.random.default_rng(5)
    crowd = drive(on, search.begun(on, at, rng))
    middle = crowd.xi.mean(axis=0)
    members = crowd.xi - middle
    start = GaussNewtonState(at, 1e9, 1e9, 0.0, np.inf, np.zeros(0), at, ended=Ended.RUNNING)
    moved = start
    while moved.ended is Ended.RUNNING:
        moved, crowd = drive(on, search.step(on, moved, crowd, rng))
    assert np.linalg.matrix_rank(members) == 3
    assert moved.ended is Ended.CONVERGED
    assert moved.misfit < on.misfit(at)
    shift = moved.p - middle
    assert np.linalg.matrix_rank(np.vstack([members, shift]), tol=1e-8) == 3
    assert np.linalg.norm(shift) > 0.1


def test_a_polish_by_an_ensemble_ends_where_all_data_count(tmp_path):
    at = TRUE + np.array([2.0, 0, 0])
    found = go(posterior(of_xi(at)), tmp_path, polish="eki", discrepancy=0.01, ensemble_size=2000)
    whiten = CASE.posterior().noise.whiten
    a = whiten(np.stack([CASE.posterior().model(e) for e in np.eye(3)])
               - CASE.posterior().model(np.zeros(3))).T  # fmt: skip
    r = whiten(posterior(None).data - CASE.posterior().model(at))
    mean = at + np.linalg.solve(a.T @ a + np.eye(3), a.T @ r)
    sd = np.sqrt(np.diag(np.linalg.inv(a.T @ a + np.eye(3))))
    assert np.abs(found.xi[0, 0] - mean).max() < 0.2 * sd.max()
    assert found.converged
    assert found.summary["misfit"] < found.summary["estimate_misfit_per_datum"] * 12


def test_the_most_probable_member_of_a_family_is_that_of_the_formula(tmp_path):
    rng = np.random.default_rng(2)
    family = Family(np.array([0.3, 0.0, -0.2]), rng.standard_normal((3, 2)))
    on = posterior(None)
    on = replace(on, estimate=Estimate(np.zeros(3), np.ones(3), "m", None, family))
    found = go(on, tmp_path, polish="family")
    whiten = on.noise.whiten
    a = whiten((CASE.matrix @ family.modes).T).T
    r = whiten(on.data - on.model.model(family.mean))
    z = np.linalg.solve(a.T @ a + np.eye(2), a.T @ r)
    assert found.m[0, 0] == pytest.approx(family.member(z), rel=1e-6)


def test_an_inverse_that_knows_no_family_cannot_be_polished_to_one(tmp_path):
    with pytest.raises(CapabilityError, match="needs a surrogate that knows the family"):
        go(posterior(of_xi(TRUE)), tmp_path, polish="family")


def test_an_estimate_that_fits_is_not_polished(tmp_path):
    on = replace(posterior(of_xi(TRUE)), data=CASE.posterior().model(TRUE))
    found = go(on, tmp_path, polish="map")
    assert np.array_equal(found.xi[0, 0], TRUE)
    assert found.summary["iterations"] == 0


def test_in_a_band_an_estimate_has_to_fit_what_the_band_has_of_the_noise(tmp_path):
    on = posterior(None)
    traces = traces_of({"t": np.arange(float(on.n_data))}, "here")
    law = Noise.of_traces(InBand(Causal(traces, below=0.1), on.noise))
    on = replace(on, likelihood=law)
    enough, every = 0.5 * law.count, 0.5 * on.n_data
    shifts = (TRUE + s * np.array([1.0, 0, 0]) for s in np.linspace(0, 5, 501))
    start = next(xi for xi in shifts if 1.3 * enough < on.misfit(xi) < every)
    found = go(replace(on, estimate=of_xi(start)), tmp_path, polish="map")
    assert found.summary["iterations"] > 0
    assert found.summary["misfit"] <= 1.03 * enough


def test_an_engine_of_a_learned_inverse_wants_one():
    with pytest.raises(CapabilityError, match="engine 'linear-image' reports what a trained inve"):
        check_posterior(engine(), posterior(None))


def test_an_engine_that_begins_in_xi_refuses_an_image():
    on = posterior(Estimate(np.zeros(3), np.ones(3), "m"))
    with pytest.raises(CapabilityError, match="begins in whitened coordinates"):
        check_posterior(Map(Map.Config()), on)


def test_the_nearest_xi_of_an_unknown_that_is_known_well_is_its_own():
    prior = CASE.posterior().prior
    found = nearest(prior, prior.unwhiten(TRUE), np.full(3, 1e-6))
    assert found == pytest.approx(TRUE, abs=1e-4)
    vague = nearest(prior, prior.unwhiten(TRUE), np.full(3, 1e6))
    assert np.linalg.norm(vague) < 1e-3
