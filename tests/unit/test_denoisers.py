"""Closed denoisers against quadrature and differences; levels and reverse draws against moments."""

from itertools import pairwise

import numpy as np
import pytest

from pdeinv.bayes.denoisers import GaussianDenoiser, MixtureDenoiser
from pdeinv.engines.diffusion.levels import SHORT, ancestral, conditional_draw, descending, flow
from pdeinv.errors import ShapeError

MIXTURE = MixtureDenoiser(
    np.array([0.3, 0.7]), np.array([[-2.0, 0.0], [1.5, 1.0]]), np.array([0.25, 1.0])
)
LEVELS = pytest.mark.parametrize("level", [0.1, 1.0, 8.0])


def density(x):
    parts = [
        w * np.exp(-0.5 * np.sum((x - m) ** 2 / MIXTURE.variance, axis=-1))
        for w, m in zip(MIXTURE.weights, MIXTURE.means, strict=True)
    ]
    return np.sum(parts, axis=0)


@LEVELS
def test_a_mixture_is_denoised_to_its_conditional_mean(level):
    axis = np.linspace(-9, 9, 721)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    for noisy in ([0.2, -0.4], [-1.0, 3.0]):
        weight = density(grid) * np.exp(-0.5 * np.sum((grid - noisy) ** 2, axis=1) / level**2)
        exact = weight @ grid / weight.sum()
        assert np.allclose(MIXTURE(np.array(noisy), level), exact, atol=1e-6)


@LEVELS
@pytest.mark.parametrize("denoiser", [MIXTURE, GaussianDenoiser(2)])
def test_the_adjoint_derivative_is_that_of_differences(denoiser, level):
    rng = np.random.default_rng(0)
    noisy, w = rng.standard_normal((2, 3, 2))
    found = denoiser.vjp(noisy, level, w)
    for i in range(3):
        for j in range(2):
            step = 1e-6 * np.eye(2)[j]
            slope = denoiser(noisy[i] + step, level) - denoiser(noisy[i] - step, level)
            assert found[i, j] == pytest.approx(slope @ w[i] / 2e-6, rel=1e-5, abs=1e-7)


def test_the_spread_is_that_of_the_widest_direction():
    rng = np.random.default_rng(1)
    k = rng.choice(2, size=200_000, p=MIXTURE.weights)
    draws = MIXTURE.means[k] + np.sqrt(MIXTURE.variance) * rng.standard_normal((200_000, 2))
    widest = np.sqrt(np.linalg.eigvalsh(np.cov(draws.T))[-1])
    assert widest <= MIXTURE.spread * 1.01
    assert MIXTURE.spread < 1.5 * widest


def test_fields_of_another_length_are_refused():
    with pytest.raises(ShapeError):
        GaussianDenoiser(3)(np.zeros(2), 1.0)
    with pytest.raises(ShapeError):
        MIXTURE(np.zeros(3), 1.0)


def test_levels_fall_from_the_first_to_the_last():
    found = descending(80.0, 0.01, 9)
    assert np.allclose(found[[0, -1]], [80.0, 0.01])
    assert (np.diff(found) < 0).all()


def reverse_moments(level, rule):
    rng = np.random.default_rng(2)
    denoiser, noisy = GaussianDenoiser(1), np.full((100_000, 1), 1.5)
    draws = rule(denoiser, noisy, descending(level, 0.1 * min(level, 1.0), 12, SHORT), rng)
    exact = 1.5 / (1 + level**2), level / np.sqrt(1 + level**2)
    return (draws.mean() - exact[0]) / exact[1], draws.std() / exact[1]


@pytest.mark.parametrize("level", [0.1, 0.3, 1.0, 3.0])
def test_a_reverse_draw_has_the_moments_of_the_clean_field(level):
    mean, width = reverse_moments(level, conditional_draw)
    assert abs(mean) < 0.02
    assert width == pytest.approx(1.0, abs=0.04)


def one_step_rule(denoise, noisy, levels, rng):
    for s, t in pairwise(levels.tolist()):
        noise = rng.standard_normal(noisy.shape)
        noisy = ancestral(noisy, denoise(noisy, s), s, t, noise)
    return denoise(noisy, levels[-1])


def test_the_one_step_rule_is_a_fifth_too_narrow():
    """Negative control: why the denoised field is extrapolated."""
    _, width = reverse_moments(0.3, one_step_rule)
    assert 0.75 < width < 0.87


def test_the_flow_brings_no_width_back():
    """Negative control: it ends at one point for one noisy field."""
    _, width = reverse_moments(0.3, lambda d, x, levels, _: flow(d, x, levels))
    assert width < 1e-9
