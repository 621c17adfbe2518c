"""Every registered engine against exact Gaussian posteriors with non-zero prior mean."""

from dataclasses import replace

import numpy as np
import pytest
from ours import LEARNED, ours
from scipy import stats

from pdeinv.bayes.linear_gaussian import LinearGaussian
from pdeinv.engines.gaussian.laplace import Laplace, LaplaceConfig
from pdeinv.engines.mcmc.chains import Move
from pdeinv.engines.mcmc.pcn import Pcn, PcnConfig, PcnState
from pdeinv.engines.requests import Misfit, Steps
from pdeinv.engines.run.driver import run
from pdeinv.engines.run.spec import Run
from pdeinv.plugins import registry

CASE = LinearGaussian.example(np.random.default_rng(7))
COARSE = replace(CASE, matrix=1.02 * CASE.matrix)
MEAN, COVARIANCE = CASE.exact()
RUNS = 16
PAIRS = np.triu_indices(3)

OPTIONS = {
    "map": {"tolerance": 1e-10},
    "laplace": {"draws": 500, "tolerance": 1e-10},
    "pcn": {"chains": 1, "draws": 2500, "warmup": 300, "beta": 0.5},
    "hmc": {"chains": 1, "draws": 400, "warmup": 100},
    "emcee": {"ensembles": 1, "draws": 400, "warmup": 150, "thin": 5},
    "eki": {"ensemble_size": 800},
    "cma": {"tolerance": 1e-12},
    "database": {"n": 100},
    "gauss-newton": {"regularization": "prior", "tolerance": 1e-10},
    "gaussian": {"chains": 1, "draws": 500},
    "pinn": {"width": 4, "depth": 1, "points": 16, "adam_steps": 50, "penalty": 1e6},
    "pnp-dm": {
        **{"chains": 1, "walkers": 10, "coupling": 0.1},
        **{"draws": 400, "warmup": 100, "thin": 4},
    },
    "two-level": {"chains": 1, "draws": 60, "warmup": 10, "tuning": 60, "subchain": 2},
}
POINT_ERROR = {"pinn": 1e-4, "cma": 1e-4}
"""An equation holds as well as a finite penalty makes it; and without slopes a minimum is known to
the root of what its height is known to."""
RULES = ("daps", "dds", "diffpir", "diffusionpde", "dmps", "dps", "enkg", "fundps", "pigdm")
EXEMPT = {
    "d-bar": "has no prior, and works on boundary maps of a disc alone",
    **dict.fromkeys((*RULES, "red-diff"), "has an error; tests/statistics/test_diffusion_rules.py"),
    **dict.fromkeys(LEARNED, "reports an estimate, and no minimum"),
}
NAMES = [n for n in ours("engines") if n not in EXEMPT]
DRAWING = [n for n in NAMES if registry.load("engines", n).produces != "point"]


def make(name, **more):
    kind = registry.load("engines", name)
    return kind(kind.Config(**{**OPTIONS[name], **more}))


def build():
    return CASE.posterior(COARSE)


def draws(engine, folder, seed, on=build):
    """The draws of m of one run, (n, 3)."""
    found = run(engine, on, Run(seed, folder))
    return on().prior.unwhiten(found.outcome.xi).reshape(-1, 3)


def moments(m):
    """Means and, about the exact mean, second moments: unbiased for an exact engine."""
    off = m - MEAN
    return np.concatenate([m.mean(axis=0), np.mean(off[:, PAIRS[0]] * off[:, PAIRS[1]], axis=0)])


def z_scores(estimates, truth):
    """Student's t of independent estimates (run, k), as normal scores of the same probability."""
    n = len(estimates)
    t = (estimates.mean(axis=0) - truth) / (estimates.std(axis=0, ddof=1) / np.sqrt(n))
    return stats.norm.isf(stats.t.sf(np.abs(t), n - 1))


TRUTH = np.concatenate([MEAN, COVARIANCE[PAIRS]])


def test_every_registered_engine_is_tried():
    assert set(ours("engines")) == set(OPTIONS) | set(EXEMPT)


@pytest.mark.parametrize("name", DRAWING)
def test_mean_and_covariance_are_exact_within_four_standard_errors(name, tmp_path):
    found = [moments(draws(make(name), tmp_path, seed)) for seed in range(RUNS)]
    z = z_scores(np.stack(found), TRUTH)
    assert z.max() < 4


@pytest.mark.parametrize("name", [n for n in NAMES if n not in DRAWING])
def test_a_point_is_the_posterior_mean(name, tmp_path):
    assert np.allclose(draws(make(name), tmp_path, 0), MEAN, atol=POINT_ERROR.get(name, 1e-8))


class CentredOnZero(Pcn):
    """pCN of the unknown m as if its prior mean were zero: the error of two published codes."""

    def move(self, posterior, state, rng):
        beta = np.exp(state.log_beta)
        prior = posterior.prior
        lift = np.linalg.solve(prior.field.root, prior.field.mean)
        noise = rng.standard_normal(posterior.dim)
        proposal = np.sqrt(1 - beta**2) * (state.xi + lift) + beta * noise - lift
        misfit = float((yield Misfit(proposal)))
        accept = np.log(rng.random()) < state.misfit - misfit
        return Move(replace(state, xi=proposal, misfit=misfit) if accept else state, accept)

    def adapt(self, state, chance):
        return state


def test_a_sampler_without_the_prior_mean_is_caught(tmp_path):
    """Negative control."""
    engine = CentredOnZero(PcnConfig(chains=1, draws=1500, warmup=300, beta=0.5))
    found = [moments(draws(engine, tmp_path, seed)) for seed in range(RUNS)]
    assert z_scores(np.stack(found), TRUTH)[:3].max() > 6


def test_draws_that_are_a_tenth_too_narrow_are_caught(tmp_path):
    """Negative control."""
    engine = Laplace(LaplaceConfig(draws=500))
    found = [draws(engine, tmp_path, seed) for seed in range(RUNS)]
    narrow = [moments(MEAN + 0.9 * (m - MEAN)) for m in found]
    z = z_scores(np.stack(narrow), TRUTH)
    assert z[:3].max() < 4 < z[3:].max()


class Displaced(Pcn):
    """Moves about a Gaussian that is not the posterior: elsewhere, and wider along a few axes.

    The Laplace approximation of a linear case is exact, so that every ratio would be accepted.
    """

    def init(self, posterior, rng) -> Steps[PcnState]:
        state = yield from super().init(posterior, rng)
        about = state.modes.reference(0)
        moved = replace(about, mean=about.mean + 0.8, excess=0.5 * about.excess)
        return replace(state, modes=state.modes.with_references([moved]))


class Unweighted(Displaced):
    """Accepts by the misfit alone, as if the reference were the prior."""

    def move(self, posterior, state, rng):
        reference = state.modes.reference(0)
        z = reference.whiten(state.xi)
        beta = np.exp(state.log_beta)
        z = np.sqrt(1 - beta**2) * z + beta * rng.standard_normal(posterior.dim)
        xi = reference.unwhiten(z)
        misfit = float((yield Misfit(xi)))
        accept = np.log(rng.random()) < state.misfit - misfit
        return Move(replace(state, xi=xi, misfit=misfit) if accept else state, accept)

    def adapt(self, state, chance):
        return state


ABOUT_LAPLACE = PcnConfig(chains=1, draws=800, warmup=200, thin=4, proposal="laplace")


@pytest.mark.parametrize("kind", [Pcn, Displaced])
def test_pcn_about_a_gaussian_is_exact_whatever_the_gaussian(kind, tmp_path):
    found = [moments(draws(kind(ABOUT_LAPLACE), tmp_path, seed)) for seed in range(RUNS)]
    assert z_scores(np.stack(found), TRUTH).max() < 4


def test_pcn_about_a_gaussian_without_its_density_is_caught(tmp_path):
    """Negative control."""
    found = [moments(draws(Unweighted(ABOUT_LAPLACE), tmp_path, seed)) for seed in range(RUNS)]
    assert z_scores(np.stack(found), TRUTH).max() > 6


def test_pcn_about_the_exact_posterior_accepts_everything(tmp_path):
    found = run(Pcn(ABOUT_LAPLACE), build, Run(0, tmp_path)).outcome.summary
    assert found["acceptance_rate"] > 0.999
    assert found["beta"] == 1.0


LOOSE = replace(CASE, noise=CASE.noise.tempered(1e16))


@pytest.mark.parametrize("name", DRAWING)
def test_without_information_the_prior_comes_back(name, tmp_path):
    def on():
        return LOOSE.posterior(LOOSE)

    more = {"beta": 1.0} if name == "pcn" else {}
    if name == "emcee":
        more = {"spread": 0.5}
    found = [draws(make(name, **more), tmp_path, seed, on) for seed in range(RUNS)]
    off = [m - CASE.prior_mean for m in found]
    products = [np.mean(d[:, PAIRS[0]] * d[:, PAIRS[1]], axis=0) for d in off]
    estimates = np.hstack([np.stack([d.mean(axis=0) for d in off]), np.stack(products)])
    truth = np.concatenate([np.zeros(3), CASE.prior_cov[PAIRS]])
    assert z_scores(estimates, truth).max() < 4


def test_without_information_pcn_about_a_displaced_gaussian_brings_the_prior_back(tmp_path):
    engine = Displaced(ABOUT_LAPLACE)
    found = [draws(engine, tmp_path, seed, LOOSE.posterior) for seed in range(RUNS)]
    off = [m - CASE.prior_mean for m in found]
    products = [np.mean(d[:, PAIRS[0]] * d[:, PAIRS[1]], axis=0) for d in off]
    estimates = np.hstack([np.stack([d.mean(axis=0) for d in off]), np.stack(products)])
    truth = np.concatenate([np.zeros(3), CASE.prior_cov[PAIRS]])
    assert z_scores(estimates, truth).max() < 4


def test_without_information_map_is_the_prior_mean(tmp_path):
    found = run(make("map"), LOOSE.posterior, Run(0, tmp_path))
    assert np.abs(found.outcome.xi).max() < 1e-8
