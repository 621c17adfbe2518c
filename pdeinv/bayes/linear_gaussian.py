"""The exact posterior of a linear model with Gaussian prior and noise: the yardstick of engines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

from pdeinv.bayes.fields.base import DenseField
from pdeinv.bayes.noise import Noise
from pdeinv.bayes.posterior import Posterior, WhitenedModel
from pdeinv.bayes.prior import FieldPrior
from pdeinv.bayes.transforms import Identity
from pdeinv.model.forward import LinearModel
from pdeinv.model.spaces import Space, Variable
from pdeinv.model.strong_form import Equation, Side, StrongForm
from pdeinv.typing import Array

__all__ = ["LinearGaussian"]


@dataclass(frozen=True)
class _Row:
    """A m as a coefficient that is the same everywhere, shape (1, n_d)."""

    matrix: Array

    def __call__(self, m: Array) -> Array:
        return (self.matrix @ m)[None]

    def jvp(self, m: Array, dm: Array) -> Array:
        return self(dm)

    def vjp(self, m: Array, w: Array) -> Array:
        return np.asarray(self.matrix.T @ w[0])


def _line(name: str, n: int) -> Space:
    return Space((Variable(name, (f"{name}_dim",), (n,)),))


@dataclass(frozen=True)
class LinearGaussian:
    """y = A m + eta with m ~ N(m0, C) and eta ~ N(0, Γ).

    The posterior is N(m0 + K (y - A m0), C - K A C) with K = C A^T (A C A^T + Γ)^(-1)
    (Stuart 2010, Theorem 6.20).

    Attributes:
        matrix: A, shape (n_d, n_m).
        prior_mean: m0.
        prior_cov: C.
        noise: the noise with covariance Γ.
        data: y.
    """

    matrix: Array
    prior_mean: Array
    prior_cov: Array
    noise: Noise
    data: Array

    @classmethod
    def example(cls, rng: np.random.Generator, n_m: int = 3, n_d: int = 5) -> LinearGaussian:
        """A case with non-zero prior mean and full covariances of prior and noise."""
        a, b = rng.standard_normal((n_m, n_m)), rng.standard_normal((n_d, n_d))
        matrix = rng.standard_normal((n_d, n_m))
        prior_mean = 2.0 + rng.standard_normal(n_m)
        noise = Noise.from_covariance(0.2 * (b @ b.T / n_d + np.eye(n_d)))
        prior_cov = a @ a.T / n_m + 0.5 * np.eye(n_m)
        truth = prior_mean + np.linalg.cholesky(prior_cov) @ rng.standard_normal(n_m)
        return cls(matrix, prior_mean, prior_cov, noise, matrix @ truth + noise.sample(rng))

    def posterior(self, coarse: LinearGaussian | None = None) -> Posterior:
        """The posterior as engines see it, ``coarse`` (on the same prior) being its cheap twin."""
        n_d, n_m = self.matrix.shape
        space = _line("m", n_m)
        prior = FieldPrior(
            space, DenseField.from_covariance(self.prior_mean, self.prior_cov), Identity()
        )
        model = LinearModel(space, _line("d", n_d), self.matrix, np.zeros(n_d))
        twin = None if coarse is None else coarse._surrogate(prior)
        whitened = WhitenedModel(prior, model, self._strong_form)
        return Posterior(prior, whitened, self.data, self.noise, twin)

    def _strong_form(self) -> tuple[StrongForm, Mapping[str, Array]]:
        """y = u(1) with ∂u/∂s = A m and u(0) = 0: the same model for engines on residuals."""
        rate = _Row(self.matrix)
        size = float(np.abs(self.data).max())
        n_d = len(self.data)
        form = StrongForm(
            axes=("s",),
            box=((0.0, 1.0),),
            outputs=tuple(f"y{i}" for i in range(n_d)),
            scale=size,
            curved=(),
            interior=Equation(lambda u, c: u.first(0) - c["rate"], lambda _: {"rate": rate}, size),
            held={Side(0, 0): lambda x: x[:, :1] * x.new_zeros(1, n_d)},
            soft={},
            sensing=lambda _: (np.ones((n_d, 1)), lambda u: u.value.diagonal()),
            fields=("y",),
            nodes=lambda _: np.linspace(0.0, 1.0, 3)[:, None],
            dataset=lambda _m, u, _level: xr.Dataset({"y": (("node", "datum"), u)}),
        )
        return form, {}

    def _surrogate(self, prior: FieldPrior) -> Posterior:
        n_d, n_m = self.matrix.shape
        model = LinearModel(
            _line("m", n_m), _line("d", n_d), self.matrix, np.zeros(n_d), kind="surrogate"
        )
        return Posterior(prior, WhitenedModel(prior, model), self.data, self.noise)

    def exact(self) -> tuple[Array, Array]:
        """The posterior mean and covariance of m."""
        gamma = (
            np.diag(self.noise.std**2) if self.noise.covariance is None else self.noise.covariance
        )
        ca = self.prior_cov @ self.matrix.T
        gain = np.linalg.solve(self.matrix @ ca + gamma, ca.T).T
        mean = self.prior_mean + gain @ (self.data - self.matrix @ self.prior_mean)
        cov = self.prior_cov - gain @ ca.T
        return mean, 0.5 * (cov + cov.T)
