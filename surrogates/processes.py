"""Independent Gaussian processes on few inputs: hyper-parameters by gpytorch, NumPy predicts."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular

from pdeinv.errors import MissingDependency
from pdeinv.typing import Array

from .fitting import FitRun

__all__ = ["ModeProcesses", "maximise"]


@dataclass(frozen=True)
class ModeProcesses:
    """One process per mode: z_r ~ GP(0, s_r² exp(-½ Σ_j (x_j - x'_j)²/l_rj²) + g_r).

    Attributes:
        points: training inputs, shape (n, dim).
        targets: scaled coefficients, shape (n_modes, n).
        lengths: l, shape (n_modes, dim).
        signal: s², shape (n_modes,).
        nugget: g, shape (n_modes,).
    """

    points: Array
    targets: Array
    lengths: Array
    signal: Array
    nugget: Array

    @cached_property
    def _inverse_squares(self) -> Array:
        return np.asarray(self.lengths**-2.0)

    @cached_property
    def _norms(self) -> Array:
        """Σ_j X_j²/l², shape (n_modes, n)."""
        return np.asarray(self._inverse_squares @ (self.points**2).T)

    def kernel(self, x: Array) -> Array:
        """Covariances with the training points, (n_modes, n, k) for ``x`` of shape (k, dim)."""
        cross = np.einsum("nj,rj,kj->rnk", self.points, self._inverse_squares, x, optimize=True)
        norms = self._inverse_squares @ (x**2).T
        distance = self._norms[:, :, None] + norms[:, None, :] - 2 * cross
        return np.asarray(self.signal[:, None, None] * np.exp(-0.5 * np.maximum(distance, 0)))

    @cached_property
    def factors(self) -> list[Array]:
        """Cholesky factors of the kernel matrices with their nuggets."""
        matrices = self.kernel(self.points)
        eye = np.eye(len(self.points))
        return [
            cholesky(k + g * eye, lower=True) for k, g in zip(matrices, self.nugget, strict=True)
        ]

    @cached_property
    def weights(self) -> Array:
        """(K + g)^(-1) z, shape (n_modes, n)."""
        pairs = zip(self.factors, self.targets, strict=True)
        return np.stack([cho_solve((f, True), z) for f, z in pairs])

    def mean(self, x: Array) -> Array:
        """Predicted coefficients (k, n_modes) at ``x`` of shape (k, dim)."""
        return np.asarray(np.einsum("rn,rnk->kr", self.weights, self.kernel(x)))

    def variance(self, x: Array) -> Array:
        """Predictive variances (k, n_modes), the nugget included."""
        k = self.kernel(x)
        shrunk = [
            np.sum(solve_triangular(f, kr, lower=True) ** 2, axis=0)
            for f, kr in zip(self.factors, k, strict=True)
        ]
        return np.asarray(np.maximum(self.signal + self.nugget - np.stack(shrunk, axis=1), 0.0))

    def jacobian(self, x: Array) -> tuple[Array, Array]:
        """Mean (n_modes,) and its derivative (n_modes, dim) at one point."""
        weighted = self.weights * self.kernel(x[None])[:, :, 0]
        mean = weighted.sum(axis=1)
        pull = weighted @ self.points - mean[:, None] * x
        return mean, np.asarray(pull * self._inverse_squares)


def _gpytorch() -> tuple[Any, Any]:
    """gpytorch and torch; the former's use of deprecated functions is no care of our users."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            import gpytorch
            import torch
    except ImportError:
        raise MissingDependency(
            "surrogate 'gp' needs gpytorch; install pdeinv[surrogate]"
        ) from None
    return gpytorch, torch


def maximise(x: Array, targets: Array, how: tuple[int, int, float], run: FitRun) -> ModeProcesses:
    """Hyper-parameters of all modes by Adam on the sum of their marginal likelihoods.

    Some evenly spaced samples decide the hyper-parameters; the processes then know all of them.

    Args:
        x: inputs, shape (n, dim).
        targets: scaled coefficients, shape (n_modes, n).
        how: samples that decide, Adam steps, learning rate.
        run: told the progress.
    """
    tune_points, iterations, learning_rate = how
    gpytorch, torch = _gpytorch()
    modes, dim = len(targets), x.shape[1]
    shape = torch.Size([modes])
    some = np.unique(np.linspace(0, len(x) - 1, min(tune_points, len(x))).astype(int))
    inputs = torch.as_tensor(x[some]).expand(modes, len(some), dim)
    outputs = torch.as_tensor(targets[:, some].copy())
    likelihood = gpytorch.likelihoods.GaussianLikelihood(
        noise_constraint=gpytorch.constraints.GreaterThan(1e-8), batch_shape=shape
    ).double()
    rbf = gpytorch.kernels.RBFKernel(ard_num_dims=dim, batch_shape=shape)
    kernel = gpytorch.kernels.ScaleKernel(rbf, batch_shape=shape)

    class Model(gpytorch.models.ExactGP):  # type: ignore[misc, name-defined]
        """The prior that gpytorch conditions."""

        def __init__(self) -> None:
            super().__init__(inputs, outputs, likelihood)
            self.mean_module = gpytorch.means.ZeroMean(batch_shape=shape)
            self.covar_module = kernel

        def forward(self, points: Any) -> Any:
            return gpytorch.distributions.MultivariateNormal(
                self.mean_module(points), self.covar_module(points)
            )

    model = Model().double()
    rbf.lengthscale = float(np.sqrt(dim)) * x.std()
    likelihood.noise = 1e-3
    objective = gpytorch.mlls.ExactMarginalLogLikelihood(likelihood, model)
    optimiser = torch.optim.Adam(model.parameters(), lr=learning_rate)
    # exact Cholesky at these sizes: the default's random probe vectors would not be reproducible
    with gpytorch.settings.fast_computations(False, False, False):
        for i in range(iterations):
            optimiser.zero_grad()
            loss = -objective(model(inputs), outputs).sum()
            loss.backward()
            optimiser.step()
            run.progress(i + 1, iterations, float(loss.detach()) / modes, float("nan"))
    return ModeProcesses(
        x,
        targets,
        rbf.lengthscale.detach().numpy()[:, 0, :].copy(),
        kernel.outputscale.detach().numpy().copy(),
        likelihood.noise.detach().numpy()[:, 0].copy(),
    )
