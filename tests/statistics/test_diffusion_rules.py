"""The rules of diffusion engines on a linear-Gaussian case: what each is off by, by its figure."""

import numpy as np
import pytest

from pdeinv.bayes.denoisers import MixtureDenoiser
from pdeinv.bayes.linear_mixture import LinearMixture
from pdeinv.engines.diffusion.dds import conjugate_rows
from pdeinv.engines.diffusion.levels import ancestral
from pdeinv.engines.diffusion.particles import ParticlesConfig, ParticlesEngine
from pdeinv.engines.diffusion.prior import denoiser_of
from pdeinv.engines.ended import Ended
from pdeinv.engines.run.driver import run
from pdeinv.engines.run.spec import Budget, Run
from pdeinv.errors import CapabilityError, RunFailed
from pdeinv.plugins import registry
from pdeinv.plugins.conformance import check_engine

DIM, N_D, DRAWS = 24, 8, 400


def case(noise):
    """A smoothing operator: the state of u'' = a at eight points."""
    k = np.arange(1, DIM + 1)
    matrix = np.sin(np.pi * np.outer(np.linspace(0.1, 0.9, N_D), k)) / (k**2 * (k**2 + 9.0))
    matrix /= np.sqrt(np.mean(np.sum(matrix**2, axis=1)))
    law = MixtureDenoiser(np.ones(1), np.zeros((1, DIM)), np.ones(DIM))
    return LinearMixture.simulated(matrix, law, noise, np.random.default_rng(1))


def judged(name, noise, folder, **options):
    """Bias of the mean in posterior sd, mean ratio of sds, ratio of the sd of fitted data."""
    kind, on = registry.load("engines", name), case(noise)
    size = {"ensemble_size": DRAWS} if name == "enkg" else {"chains": 1, "particles": DRAWS}
    engine = kind(kind.Config(**size, **options))
    xi = run(engine, on.posterior, Run(0, folder)).outcome.xi[0]
    std = np.sqrt(np.diag(on.covariance))
    bias = np.sqrt(max(0.0, np.mean(((xi.mean(axis=0) - on.means[0]) / std) ** 2) - 1 / DRAWS))
    fitted = np.mean((xi @ on.matrix.T).var(axis=0))
    exact = np.mean(np.diag(on.matrix @ on.covariance @ on.matrix.T))
    return bias, np.mean(xi.std(axis=0) / std), np.sqrt(fitted / exact)


@pytest.mark.parametrize(
    ("name", "options", "bias", "ratio"),
    [
        ("pigdm", {}, 0.1, (0.93, 1.03)),
        ("dmps", {}, 0.25, (0.85, 1.03)),
        ("diffpir", {"fresh": 1.0}, 0.1, (0.6, 0.78)),
        ("diffpir", {}, 0.15, (0.8, 0.98)),
        ("daps", {"levels": 60}, 0.25, (1.12, 1.4)),
        ("dds", {"gamma": 0.01}, 0.35, (0.7, 1.0)),
    ],
)
def test_a_rule_is_off_by_what_it_is_known_for(name, options, bias, ratio, tmp_path):
    found, width, _ = judged(name, 0.1, tmp_path, **options)
    assert found < bias
    assert ratio[0] < width < ratio[1]


@pytest.mark.parametrize(
    ("name", "options"),
    [("dps", {}), ("fundps", {"levels": 100}), ("diffusionpde", {"levels": 100})],
)
def test_guidance_by_the_gradient_fails_where_data_are_precise(name, options, tmp_path):
    """Negative control of the figures above: widths of fitted data are several times too large."""
    _, _, fitted = judged(name, 0.01, tmp_path, **options)
    assert fitted > 3


def test_particles_keep_what_a_pull_to_the_data_takes(tmp_path):
    """Without information every rule gives the prior back."""
    for name in ("pigdm", "dmps", "diffpir", "dps", "fundps"):
        bias, width, _ = judged(name, 1e6, tmp_path / name, levels=60)
        assert bias < 0.15, name
        assert 0.8 < width < 1.1, name


def test_red_diff_comes_near_the_most_probable_field(tmp_path):
    on = case(0.1)
    kind = registry.load("engines", "red-diff")
    found = run(kind(kind.Config()), on.posterior, Run(0, tmp_path)).outcome
    std = np.sqrt(np.diag(on.covariance))
    off = (found.xi[0, 0] - on.means[0]) / std
    assert np.sqrt(np.mean(off**2)) < 0.8
    assert np.sqrt(np.mean((on.means[0] / std) ** 2)) > 1


def test_an_ensemble_that_spans_too_little_has_collapsed(tmp_path):
    kind = registry.load("engines", "enkg")
    on = case(0.1)
    found = run(kind(kind.Config(ensemble_size=12)), on.posterior, Run(0, tmp_path)).outcome
    assert found.ended is Ended.COLLAPSED
    assert "12 members span at most 11 of 24 directions" in found.message


def test_conjugate_gradients_of_rows_end_at_the_solution():
    rng = np.random.default_rng(0)
    root = rng.standard_normal((5, 5))
    matrix, right = root @ root.T + np.eye(5), rng.standard_normal((3, 5))
    right[1] = 0
    found = conjugate_rows(lambda v: v @ matrix, right, 9)
    assert np.allclose(found, np.linalg.solve(matrix, right.T).T)


def test_the_step_of_guidance_is_free_of_units(tmp_path):
    """Data and noise in other units leave every bit of the draws' law as it was."""
    small = judged("fundps", 0.1, tmp_path / "a", levels=40)
    on = case(0.1)
    scaled = LinearMixture(1e3 * on.matrix, on.law, on.noise.tempered(1e6), 1e3 * on.data)
    kind = registry.load("engines", "fundps")
    engine = kind(kind.Config(chains=1, particles=DRAWS, levels=40))
    xi = run(engine, scaled.posterior, Run(0, tmp_path / "b")).outcome.xi[0]
    assert np.mean(xi.std(axis=0) / np.sqrt(np.diag(on.covariance))) == pytest.approx(small[1])


def test_a_run_that_is_cut_short_has_only_noise(tmp_path):
    kind = registry.load("engines", "diffpir")
    with pytest.raises(RunFailed, match="where particles are noise still; raise the budget"):
        run(kind(kind.Config()), case(0.1).posterior, Run(0, tmp_path, budget=Budget(n_forward=1)))


class Blind(ParticlesEngine):
    """Draws of the prior by the one-step rule: a new sampler is its formula and nothing else."""

    name = "blind"
    Config = ParticlesConfig

    def led(self, posterior, state, on, rng):
        yield from ()
        clean = denoiser_of(posterior)(state.xi, on.here)
        return ancestral(state.xi, clean, on.here, on.there, rng.standard_normal(clean.shape))


def test_a_new_sampler_of_a_few_lines_keeps_the_whole_protocol():
    check_engine(Blind).raise_for_failures()


class Flat(MixtureDenoiser):
    """A denoiser without derivative."""

    @property
    def differentiable(self):
        return False


def test_a_denoiser_without_derivative_is_refused_where_one_is_needed(tmp_path):
    on = case(0.1)
    flat = Flat(on.law.weights, on.law.means, on.law.variance)
    bare = LinearMixture(on.matrix, flat, on.noise, on.data)
    for name in ("pigdm", "dps", "fundps", "diffusionpde"):
        kind = registry.load("engines", name)
        with pytest.raises(CapabilityError, match="needs the derivative of the denoiser"):
            run(kind(kind.Config()), bare.posterior, Run(0, tmp_path))
    kind = registry.load("engines", "diffpir")
    assert run(kind(kind.Config(levels=5)), bare.posterior, Run(0, tmp_path)).outcome.xi.size


class Counted(MixtureDenoiser):
    """One that counts how often it is asked."""

    calls = 0
    derivatives = 0

    def __call__(self, noisy, level):
        type(self).calls += 1
        return super().__call__(noisy, level)

    def vjp(self, noisy, level, w):
        type(self).derivatives += 1
        return super().vjp(noisy, level, w)


FEW = {
    "pnp-dm": {"chains": 4, "draws": 6, "warmup": 6},
    "red-diff": {"max_iterations": 7},
    "enkg": {"ensemble_size": 30, "levels": 10},
}


@pytest.mark.parametrize(
    "name",
    ["pnp-dm", "pigdm", "dmps", "dds", "diffpir", "daps", "dps", "fundps", "diffusionpde", "enkg",
     "red-diff"],
)  # fmt: skip
def test_the_calls_that_are_foretold_and_told_are_those_made(name, tmp_path):
    kind, on = registry.load("engines", name), case(0.1)
    law = Counted(on.law.weights, on.law.means, on.law.variance)
    posterior = LinearMixture(on.matrix, law, on.noise, on.data).posterior
    engine = kind(kind.Config(**FEW.get(name, {"chains": 2, "particles": 3, "levels": 9})))
    foretold = engine.expected(posterior)
    Counted.calls = Counted.derivatives = 0
    told = run(engine, posterior, Run(0, tmp_path)).outcome.summary
    made = Counted.calls, Counted.derivatives
    assert made == (told["n_denoiser"], told.get("n_denoiser_derivative", 0))
    assert made == (foretold["denoiser"], foretold.get("denoiser_derivative", 0))
