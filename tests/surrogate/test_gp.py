"""Gaussian processes: their likelihood against gpytorch, exact against sparse, and coverage."""

import warnings

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from pdeinv.surrogates.gaussian_process.regression import (
    Group,
    choose,
    correlations,
    likelihood,
    tune,
)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(3)
    x = rng.standard_normal((80, 3))
    z = np.stack([np.sin(x @ [1.0, 0.5, 0.0]), np.cos(x @ [0.2, 0.7, 0.3])])
    return x, z + 0.05 * rng.standard_normal(z.shape)


def test_likelihood_is_that_of_the_gaussian(data):
    x, z = data
    lengths = np.array([1.5, 2.0, 3.0])
    value, _, signal, nugget = likelihood(lengths, x, z)
    r = correlations(x, x, lengths)
    exact = sum(
        -multivariate_normal(cov=s * r + g * np.eye(80)).logpdf(row)
        for s, g, row in zip(signal, nugget, z, strict=True)
    )
    # the profile leaves out n/2 (1 + log 2π) by mode
    assert value + 80 * (1 + np.log(2 * np.pi)) == pytest.approx(exact, rel=1e-8)


def test_gradient_of_the_likelihood(data):
    x, z = data
    logs = np.log([1.5, 2.0, 3.0])
    _, gradient, _, _ = likelihood(np.exp(logs), x, z)
    for j in range(3):
        e = 1e-5 * np.eye(3)[j]
        up, down = (likelihood(np.exp(logs + s * e), x, z)[0] for s in (1, -1))
        assert gradient[j] == pytest.approx((up - down) / 2e-5, rel=1e-4, abs=1e-5)


def test_prediction_agrees_with_gpytorch(data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gpytorch, torch = pytest.importorskip("gpytorch"), pytest.importorskip("torch")
    x, z = data
    tuned = tune(x, z[:1], 30)
    lengths, signal, nugget = tuned.lengths, tuned.signal, tuned.nugget
    group = Group.condition(x, x, z[:1], tuned)
    likelihood_ = gpytorch.likelihoods.GaussianLikelihood().double()
    kernel = gpytorch.kernels.ScaleKernel(gpytorch.kernels.RBFKernel(ard_num_dims=3))

    class Model(gpytorch.models.ExactGP):
        def __init__(self):
            super().__init__(torch.as_tensor(x), torch.as_tensor(z[0]), likelihood_)
            self.mean_module, self.covar_module = gpytorch.means.ZeroMean(), kernel

        def forward(self, points):
            return gpytorch.distributions.MultivariateNormal(
                self.mean_module(points), self.covar_module(points)
            )

    model = Model().double()
    kernel.base_kernel.lengthscale = torch.as_tensor(lengths)
    kernel.outputscale, likelihood_.noise = float(signal[0]), float(nugget[0])
    fresh = np.random.default_rng(5).standard_normal((7, 3))
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = likelihood_(model.eval()(torch.as_tensor(fresh)))
    np.testing.assert_allclose(group.mean(fresh)[:, 0], found.mean.numpy(), atol=1e-5)
    np.testing.assert_allclose(group.variance(fresh)[:, 0], found.variance.numpy(), rtol=1e-3)


def test_all_points_inducing_is_exact_and_few_are_close(data):
    x, z = data
    tuned = tune(x, z, 30)
    exact = Group.condition(x, x, z, tuned)
    fresh = np.random.default_rng(5).standard_normal((40, 3))
    same = Group.condition(x.copy(), x, z, tuned)
    np.testing.assert_allclose(same.mean(fresh), exact.mean(fresh), atol=1e-4)
    np.testing.assert_allclose(same.variance(fresh), exact.variance(fresh), rtol=0.02)
    few = Group.condition(choose(x, tuned.lengths, 40), x, z, tuned)
    assert np.abs(few.mean(fresh) - exact.mean(fresh)).max() < 0.05
    # negative control: as many of the first points, not chosen, with a tenth of them
    poor = Group.condition(x[:4].copy(), x, z, tuned)
    assert np.abs(poor.mean(fresh) - exact.mean(fresh)).max() > 0.3


def test_chosen_points_are_different(data):
    x, _ = data
    chosen = choose(x, np.ones(3), 30)
    assert len(np.unique(chosen, axis=0)) == 30
    assert choose(x, np.ones(3), 100) is x


@pytest.mark.parametrize("count", [300, 60])
def test_intervals_cover_fresh_data(count):
    rng = np.random.default_rng(9)
    x, fresh = rng.standard_normal((300, 3)), rng.standard_normal((400, 3))

    def truth(points):
        return np.sin(points @ [1.0, 0.5, 0.2]) + 0.3 * points[:, 0] ** 2

    z = (truth(x) + 0.1 * rng.standard_normal(300))[None]
    noisy = truth(fresh) + 0.1 * rng.standard_normal(400)
    tuned = tune(x, z, 30)
    group = Group.condition(x if count == 300 else choose(x, tuned.lengths, count), x, z, tuned)
    error, sd = group.mean(fresh)[:, 0] - noisy, np.sqrt(group.variance(fresh)[:, 0])
    assert 0.92 < np.mean(np.abs(error) < 1.96 * sd) < 0.98
    # negative control: half the deviation covers far less
    assert np.mean(np.abs(error) < 1.96 * 0.5 * sd) < 0.8


def test_the_derivative_of_the_mean_is_its_difference_quotient(data):
    x, z = data
    group = Group.condition(x, x, z.copy(), tune(x, z, 20))
    here, step = 0.3 * np.ones(3), 1e-5
    value, slope = group.jacobian(here)
    assert np.allclose(value, group.mean(here[None])[0])
    for j, e in enumerate(np.eye(3)):
        apart = group.mean((here + step * e)[None])[0] - group.mean((here - step * e)[None])[0]
        assert np.allclose(slope[:, j], apart / (2 * step), rtol=1e-6, atol=1e-8)
