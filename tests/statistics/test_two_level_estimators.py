"""The two-level estimators against exact one-dimensional quadrature."""

import numpy as np
import pytest

from pdeinv.engines.mcmc.estimators import Pairs, plain, replicated, split

GRID = np.linspace(-8.0, 8.0, 40001)
N = 4000


def fine_misfit(x):
    return 0.5 * (np.exp(0.5 * x) - 1.5) ** 2 / 0.3**2


def surrogate_misfit(error):
    """A surrogate of x ↦ exp(x/2) whose error grows with x, so that r has no upper bound."""
    return lambda x: 0.5 * (np.exp(0.5 * x) + error * (1.0 + 0.3 * x) - 1.5) ** 2 / 0.3**2


def weights(misfit):
    density = np.exp(-misfit(GRID) + misfit(GRID).min() - 0.5 * GRID**2)
    return density / density.sum()


def draws(misfit, rng, n):
    return rng.choice(GRID, size=n, p=weights(misfit))


def pairs(x, coarse):
    return Pairs(x[:, None], fine_misfit(x), coarse(x))


def run(estimator, error, seed, n=N):
    rng = np.random.default_rng(seed)
    coarse = surrogate_misfit(error)
    base = np.array([weights(coarse) @ GRID])
    fine = pairs(draws(fine_misfit, rng, n), coarse)
    return (
        split(base, fine, pairs(draws(coarse, rng, n), coarse))
        if estimator == "split"
        else plain(base, fine)
    )


EXACT = weights(fine_misfit) @ GRID
SD = np.sqrt(weights(fine_misfit) @ (GRID - EXACT) ** 2)


@pytest.mark.parametrize("error", [0.03, 0.1, 0.3])
def test_split_estimate_is_unbiased_for_good_and_bad_surrogates(error):
    mean, mcse = replicated(lambda k: run("split", error, k), 60)
    assert abs(mean[0] - EXACT) < 4 * mcse[0] + 1e-4


def test_plain_estimate_is_right_for_a_good_surrogate():
    mean, mcse = replicated(lambda k: run("plain", 0.03, k), 60)
    assert abs(mean[0] - EXACT) < 4 * mcse[0]


def test_surrogate_mean_alone_is_wrong():
    """Negative control: the tests above can fail."""
    base = weights(surrogate_misfit(0.1)) @ GRID
    _, mcse = replicated(lambda k: run("split", 0.1, k), 60)
    assert abs(base - EXACT) > 10 * mcse[0]


def test_plain_variance_explodes_where_the_split_one_stays_bounded():
    error = -0.6
    spread = {
        kind: np.std([run(kind, error, k)[0] for k in range(60)], ddof=1) * np.sqrt(N) / SD
        for kind in ("split", "plain")
    }
    assert spread["split"] < 1.5
    assert spread["plain"] > 3 * spread["split"]


def test_correction_variance_falls_with_the_square_of_the_surrogate_error():
    def variance(error):
        base = weights(surrogate_misfit(error)) @ GRID
        return np.var([run("split", error, k)[0] - base for k in range(80)], ddof=1)

    ratio = variance(0.04) / variance(0.02)
    assert 2.0 < ratio < 8.0
