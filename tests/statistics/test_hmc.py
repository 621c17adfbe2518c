"""Hamiltonian Monte Carlo against exact moments and quadrature, and with planted faults."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy import stats
from smooth_functionals import smooth

from pdeinv.bayes.diagnostics import summary
from pdeinv.bayes.fields.base import IndependentField
from pdeinv.bayes.linear_gaussian import LinearGaussian
from pdeinv.bayes.noise import Noise
from pdeinv.bayes.posterior import Posterior, WhitenedModel
from pdeinv.bayes.prior import FieldPrior, cost
from pdeinv.bayes.transforms import Identity
from pdeinv.engines.acceptance import log_acceptance
from pdeinv.engines.mcmc import hmc
from pdeinv.engines.mcmc.adaptation import Moments, Path, rebased
from pdeinv.engines.mcmc.hmc import Hmc, HmcConfig, HmcState
from pdeinv.engines.mcmc.kernel import Kernel
from pdeinv.engines.requests import Steps
from pdeinv.engines.run.driver import run
from pdeinv.engines.run.spec import Run
from pdeinv.model.forward import DERIVATIVES, Capability, Linearization
from pdeinv.model.spaces import Space, Variable

SHARP = LinearGaussian.example(np.random.default_rng(7))
CASE = replace(SHARP, noise=SHARP.noise.tempered(10.0))
"""Data and prior weigh about as much."""
LOOSE = replace(CASE, noise=CASE.noise.tempered(1e16))
FAR = {"warmup": 0, "path": 2.0}
"""Options under which nothing adapts, so that a wrong reference stays as it is."""


def moments(draws, centre):
    """Means and second moments about ``centre`` of each chain (chain, draw, k)."""
    off, pairs = draws - centre, np.triu_indices(draws.shape[-1])
    return np.hstack([off.mean(axis=1), np.mean(off[..., pairs[0]] * off[..., pairs[1]], axis=1)])


def expected(covariance):
    return np.concatenate([np.zeros(len(covariance)), covariance[np.triu_indices_from(covariance)]])


def z_scores(estimates, truth):
    """Student's t of independent chains, as normal scores of the same probability."""
    n = len(estimates)
    t = (estimates.mean(axis=0) - truth) / (estimates.std(axis=0, ddof=1) / np.sqrt(n))
    return stats.norm.isf(stats.t.sf(np.abs(t), n - 1))


class Displaced(Hmc):
    """Turns about a Gaussian that is not the posterior, in steps too long to be exact.

    The Laplace approximation of a linear case is the posterior: all would be accepted.
    """

    kernel = Kernel

    def init(self, posterior, rng) -> Steps[HmcState]:
        state = yield from super().init(posterior, rng)
        old, place = state.kernel.reference, state.here.place
        moved = replace(old, mean=old.mean + 0.8, excess=0.5 * old.excess)
        kernel = self.kernel(moved, np.log(1.2), guided=True)
        here = yield from kernel.at(place)
        return replace(state, kernel=kernel, here=here, moments=Moments.none(moved))


@pytest.mark.parametrize(
    "case", [CASE, pytest.param(LOOSE, marks=pytest.mark.slow)], ids=["data", "no data"]
)
def test_moments_are_exact_whatever_the_reference(case, tmp_path):
    """With no data they are those of the prior."""
    mean, covariance = case.exact()
    z = linear_scores(Displaced, case, mean, covariance, tmp_path)
    assert z.max() < 4


def linear_scores(kind, case, mean, covariance, folder):
    engine = kind(HmcConfig(chains=16, draws=1200, **FAR))
    found = run(engine, case.posterior, Run(1, folder)).outcome
    m = case.posterior().prior.unwhiten(found.xi)
    return z_scores(moments(m, mean), expected(covariance))


class WithoutPrior(Kernel):
    """Forgets ½|xi|² in density and gradient."""

    def _point(self, z, place=None):
        found = yield from super()._point(z, place)
        xi = found.place.xi
        return replace(
            found, psi=found.psi - cost(xi), gradient=found.gradient - self.reference.root(xi)
        )


class Improper(Displaced):
    kernel = WithoutPrior


class PathByPlace(Displaced):
    """Goes far from one half of the space and not far from the other."""

    def trajectory(self, state, rng):
        path = Path(np.log(0.2 if state.here.z[0] > 0 else 1.6))
        return (yield from super().trajectory(replace(state, path=path), rng))


class Trusting:
    """Accepts whatever does not diverge."""

    def trajectory(self, state, rng):
        found = yield from super().trajectory(state, rng)
        return found if found.divergent else replace(found, chance=1.0)


class TrustingDisplaced(Trusting, Displaced):
    pass


@pytest.mark.parametrize(
    "kind", [pytest.param(Improper, marks=pytest.mark.slow), PathByPlace, TrustingDisplaced]
)
def test_a_planted_fault_is_caught(kind, tmp_path):
    """Negative control."""
    assert linear_scores(kind, CASE, *CASE.exact(), tmp_path).max() > 6


def test_a_wrong_sign_of_the_energy_error_is_caught(tmp_path, monkeypatch):
    """Negative control."""
    monkeypatch.setattr(hmc, "log_acceptance", lambda ratio: log_acceptance(-ratio))
    assert linear_scores(Displaced, CASE, *CASE.exact(), tmp_path).max() > 6


@dataclass(frozen=True)
class Bent:
    """Data b - a² and a: the posterior is a banana."""

    m_space = Space((Variable("m", ("i",), (2,)),))
    d_space = Space((Variable("d", ("j",), (2,)),))
    capabilities = DERIVATIVES | {Capability.BATCH}
    kind = "reference"

    def __call__(self, m, /):
        return np.stack([m[..., 1] - m[..., 0] ** 2, m[..., 0]], axis=-1)

    def linearize(self, m, /):
        jacobian = np.array([[-2 * m[0], 1.0], [1.0, 0.0]])
        return Linearization(self(m), lambda v: jacobian @ v, lambda w: jacobian.T @ w)


def banana():
    field = IndependentField(np.array([0.5, 0.0]), np.array([1.0, 1.0]))
    prior = FieldPrior(Bent.m_space, field, Identity())
    return Posterior(
        prior, WhitenedModel(prior, Bent()), np.array([-1.0, 0.3]), Noise(np.array([0.6, 1.0]))
    )


def quadrature():
    """Mean and covariance of xi by the trapezoidal rule."""
    axis = np.linspace(-6, 6, 401)
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    weight = np.exp(-banana().neg_log_posterior(grid))
    mean = np.average(grid, axis=0, weights=weight)
    return mean, np.cov(grid.T, aweights=weight, ddof=0)


def banana_scores(kind, folder, **options):
    found = run(kind(HmcConfig(chains=16, **options)), banana, Run(2, folder)).outcome
    mean, covariance = quadrature()
    return z_scores(moments(found.xi, mean), expected(covariance))


def test_a_banana_has_the_moments_of_quadrature(tmp_path):
    assert banana_scores(Hmc, tmp_path, draws=800, warmup=200, target_acceptance=0.6).max() < 4


def harsh():
    """A ridge of width 0.1 along b = a², a within 2."""
    return replace(banana(), data=np.array([0.0, 0.3]), likelihood=Noise(np.array([0.1, 2.0])))


@pytest.mark.slow
def test_a_harsh_banana_converges_where_many_paths_diverge_at_first(tmp_path, monkeypatch):
    def drawn(folder):
        options = {"chains": 8, "draws": 700, "warmup": 400}
        return run(Hmc(HmcConfig(**options)), harsh, Run(7, tmp_path / folder)).outcome

    found = drawn("careful")
    assert summary(found.xi).r_hat < 1.02
    monkeypatch.setattr(hmc, "FEW_DIVERGE", 1.0)  # negative control
    careless = drawn("careless")
    assert careless.summary["divergences"] > 5 * max(10, found.summary["divergences"])
    assert summary(careless.xi).r_hat > summary(found.xi).r_hat


class Free(Kernel):
    """Nothing kicks: the draws are those of the Gaussian reference."""

    def _point(self, z, place=None):
        found = yield from super()._point(z, place)
        return replace(found, psi=0.0, gradient=0.0 * z)


class Gaussian(Hmc):
    """Turns about the Laplace approximation and never looks at the posterior."""

    def init(self, posterior, rng) -> Steps[HmcState]:
        state = yield from super().init(posterior, rng)
        kernel = Free(state.kernel.reference, state.kernel.log_step, guided=True)
        return replace(state, kernel=kernel, here=(yield from kernel.at(state.here.place)))


def test_a_gaussian_is_no_banana(tmp_path):
    """Negative control."""
    assert banana_scores(Gaussian, tmp_path, draws=800, warmup=50).max() > 4


class AboutThePrior(Hmc):
    """Turns about the prior, so that the data are all that is accepted or not."""

    def init(self, posterior, rng) -> Steps[HmcState]:
        state = yield from super().init(posterior, rng)
        old = state.kernel.reference
        prior = replace(old, mean=0.0 * old.mean, excess=0.0 * old.excess)
        kernel = replace(state.kernel, reference=prior, log_step=float(np.log(0.3)))
        here = rebased(state.here, old, prior)
        return replace(state, kernel=kernel, here=here)


class Flat(Kernel):
    """Moves along straight lines: the classical leapfrog for H = Φ + R + ½|v|²."""

    def leapfrog(self, point, velocity, step):
        velocity = velocity - 0.5 * step * (point.gradient + point.z)
        point = yield from self._point(point.z + step * velocity)
        return point, velocity - 0.5 * step * (point.gradient + point.z)


class Straight(AboutThePrior):
    def init(self, posterior, rng) -> Steps[HmcState]:
        state = yield from super().init(posterior, rng)
        return replace(state, kernel=Flat(state.kernel.reference, state.kernel.log_step, True))


def acceptance(kind, dim, folder):
    engine = kind(HmcConfig(chains=1, draws=400, warmup=0, path=1.5))
    return run(engine, lambda: smooth(dim), Run(0, folder)).outcome.summary["acceptance_rate"]


def test_acceptance_is_the_same_in_every_dimension(tmp_path):
    few, many = (acceptance(AboutThePrior, dim, tmp_path) for dim in (16, 2048))
    assert 0.5 < few < 0.99
    assert abs(many - few) < 0.08


def test_acceptance_of_straight_leapfrogs_is_not(tmp_path):
    """Negative control."""
    few, many = (acceptance(Straight, dim, tmp_path) for dim in (16, 2048))
    assert many < few - 0.1
