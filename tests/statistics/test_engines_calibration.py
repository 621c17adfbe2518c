"""Simulation-based calibration of the samplers, and of the test itself by planted faults."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from ours import ours

from pdeinv.bayes.coverage import rank, uniformity
from pdeinv.bayes.fields.base import DenseField
from pdeinv.bayes.linear_gaussian import LinearGaussian
from pdeinv.bayes.noise import Noise
from pdeinv.bayes.posterior import Posterior, WhitenedModel
from pdeinv.bayes.prior import FieldPrior
from pdeinv.bayes.transforms import Identity
from pdeinv.engines.acceptance import log_acceptance
from pdeinv.engines.mcmc import hmc
from pdeinv.engines.run.driver import run
from pdeinv.engines.run.spec import Run
from pdeinv.errors import ShapeError
from pdeinv.model.forward import DERIVATIVES, Capability, Linearization
from pdeinv.model.spaces import Space, Variable
from pdeinv.plugins import registry

L = 99
REJECT = 1e-3


@dataclass(frozen=True)
class Bent:
    """Two unknowns, three data: a curved ridge, far from Gaussian."""

    scale: float = 1.0
    kind: str = "reference"

    m_space = Space((Variable("m", ("i",), (2,)),))
    d_space = Space((Variable("d", ("j",), (3,)),))
    capabilities = frozenset({Capability.BATCH})

    def __call__(self, m, /):
        a, b = m[..., 0], m[..., 1]
        return self.scale * np.stack([a * b, np.sin(a) + b, 0.5 * a**2], axis=-1)

    def linearize(self, m, /):
        raise AssertionError("an undeclared capability was used")


class Smooth(Bent):
    """The same with derivatives, for engines that ask for them."""

    capabilities = Bent.capabilities | DERIVATIVES

    def linearize(self, m, /):
        (a, b), zero = m, 0.0
        jacobian = self.scale * np.array([[b, a], [np.cos(a), 1.0], [a, zero]])
        return Linearization(self(m), lambda v: jacobian @ v, lambda w: jacobian.T @ w)


PRIOR = FieldPrior(
    Bent().m_space,
    DenseField.from_covariance(np.array([1.0, -0.5]), np.array([[1.0, 0.4], [0.4, 0.8]])),
    Identity(),
)
NOISE = Noise(np.array([0.5, 0.4, 0.6]))


def simulated(rng, kind=Bent):
    """A truth (whitened) and the posterior of its data."""
    model, xi = WhitenedModel(PRIOR, kind()), rng.standard_normal(2)
    coarse = WhitenedModel(PRIOR, Bent(scale=1.05, kind="surrogate"))
    y = model(xi) + NOISE.sample(rng)
    return xi, Posterior(PRIOR, model, y, NOISE, Posterior(PRIOR, coarse, y, NOISE))


def ranks_of(engine, n_runs, folder):
    """Ranks of both unknowns and of the misfit, (n_runs, 3)."""
    rng, found = np.random.default_rng(5), []
    kind = Smooth if engine.requires else Bent
    for seed in range(n_runs):
        xi, on = simulated(rng, kind)
        outcome = run(engine, lambda on=on: on, Run(seed, folder)).outcome
        draws = outcome.xi.reshape(-1, 2)
        misfit = outcome.stats["misfit"].reshape(-1, 1)
        keep = np.linspace(0, len(draws) - 1, L).astype(int)
        table = np.hstack([PRIOR.unwhiten(draws), misfit])[keep]
        found.append(rank(table, np.append(PRIOR.unwhiten(xi), on.misfit(xi))))
    return np.stack(found)


OPTIONS = {
    "pcn": {"chains": 1, "warmup": 300, "draws": 14 * L, "thin": 14, "beta": 0.4},
    "hmc": {"chains": 1, "warmup": 100, "draws": 4 * L, "thin": 4},
    "emcee": {"ensembles": 1, "walkers": 32, "warmup": 150, "draws": 120, "thin": 30},
    "pnp-dm": {"chains": 1, "warmup": 300, "draws": 20 * L, "thin": 20, "coupling": 0.2},
    "two-level": {"chains": 1, "warmup": 10, "draws": L, "tuning": 60, "subchain": 3},
}
LINEAR_ONLY = {"gaussian"}
"""Refuses the bent model; its moments are compared with the exact ones of a linear case."""

EXACT = [
    n
    for n in ours("engines")
    if registry.load("engines", n).produces == "posterior" and n not in LINEAR_ONLY
]


def test_every_engine_that_claims_a_posterior_is_calibrated_here():
    assert set(EXACT) == set(OPTIONS)


@pytest.mark.slow
@pytest.mark.parametrize("name", EXACT)
def test_ranks_are_uniform(name, tmp_path):
    kind = registry.load("engines", name)
    ranks = ranks_of(kind(kind.Config(**OPTIONS[name])), 300, tmp_path)
    assert uniformity(ranks, L).min() > REJECT


@pytest.mark.slow
def test_hmc_with_a_wrong_sign_of_the_energy_error_is_rejected(tmp_path, monkeypatch):
    """Negative control."""
    monkeypatch.setattr(hmc, "log_acceptance", lambda ratio: log_acceptance(-ratio))
    options = {**OPTIONS["hmc"], "target_acceptance": 0.5}
    ranks = ranks_of(hmc.Hmc(hmc.HmcConfig(**options)), 100, tmp_path)
    assert uniformity(ranks, L).min() < REJECT


def gaussian_ranks(factor=1.0, *, prior=False, n_runs=1000):
    """Ranks in a linear case under exact draws, their spread times ``factor``, or prior draws."""
    rng = np.random.default_rng(8)
    case, ranks = LinearGaussian.example(rng), []
    root, prior_root = np.linalg.cholesky(case.exact()[1]), np.linalg.cholesky(case.prior_cov)
    for _ in range(n_runs):
        m = case.prior_mean + prior_root @ rng.standard_normal(3)
        here = replace(case, data=case.matrix @ m + case.noise.sample(rng))
        mean = here.exact()[0]
        noise = rng.standard_normal((L, 3))
        draws = mean + factor * noise @ root.T
        if prior:
            draws = case.prior_mean + noise @ prior_root.T
        misfits = here.noise.misfit(np.vstack([draws, m]) @ here.matrix.T, here.data)
        ranks.append(rank(np.column_stack([draws, misfits[:-1]]), np.append(m, misfits[-1])))
    return np.stack(ranks)


def test_exact_draws_pass():
    assert uniformity(gaussian_ranks(), L).min() > REJECT


@pytest.mark.parametrize("factor", [0.8, 1.25])
def test_a_wrong_spread_is_rejected(factor):
    """Negative control."""
    assert uniformity(gaussian_ranks(factor), L).min() < REJECT


def test_an_engine_that_returns_the_prior_is_found_by_the_misfit_alone():
    """Negative control: the components' ranks cannot see this fault."""
    p = uniformity(gaussian_ranks(prior=True), L)
    assert p[:3].min() > REJECT
    assert p[3] < REJECT


def test_too_few_runs_are_refused():
    with pytest.raises(ShapeError, match="at least 50 runs for 10 bins, got \\(49, 2\\)"):
        uniformity(np.zeros((49, 2), dtype=int), L)
