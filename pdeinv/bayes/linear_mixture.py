"""The exact posterior of linear data under a mixture of Gaussians, the yardstick of many modes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.special import softmax

from pdeinv.bayes.denoisers import MixtureDenoiser
from pdeinv.bayes.fields.base import IndependentField
from pdeinv.bayes.noise import Noise
from pdeinv.bayes.posterior import Posterior, WhitenedModel
from pdeinv.bayes.prior import FieldPrior
from pdeinv.bayes.transforms import Identity
from pdeinv.model.forward import LinearModel
from pdeinv.model.spaces import Space, Variable
from pdeinv.typing import Array

__all__ = ["LinearMixture"]


def _line(name: str, n: int) -> Space:
    return Space((Variable(name, (f"{name}_dim",), (n,)),))


@dataclass(frozen=True)
class LinearMixture:
    """y = A xi + eta with xi ~ Σ_k w_k N(m_k, diag(v)) and independent eta ~ N(0, σ²).

    The posterior is Σ_k p_k N(m_k + K (y - A m_k), V - K A V), V = diag(v),
    K = V A^T S^(-1), S = A V A^T + Γ, p_k ∝ w_k N(y; A m_k, S): each component as in
    :class:`pdeinv.bayes.linear_gaussian.LinearGaussian`, weighed by its evidence.

    Attributes:
        matrix: A, shape (n_d, dim).
        law: the mixture.
        noise: σ.
        data: y.
    """

    matrix: Array
    law: MixtureDenoiser
    noise: Noise
    data: Array

    @classmethod
    def simulated(
        cls, matrix: Array, law: MixtureDenoiser, noise_std: float, rng: np.random.Generator
    ) -> LinearMixture:
        """With data of a truth that is drawn from the mixture."""
        noise = Noise(np.full(len(matrix), noise_std))
        k = int(rng.choice(len(law.weights), p=law.weights))
        truth = law.means[k] + np.sqrt(law.variance) * rng.standard_normal(matrix.shape[1])
        return cls(matrix, law, noise, matrix @ truth + noise.sample(rng))

    def posterior(self) -> Posterior:
        """As engines see it: whitened coordinates whose law is told by its denoiser."""
        n_d, dim = self.matrix.shape
        space = _line("m", dim)
        prior = FieldPrior(space, IndependentField(np.zeros(dim), np.ones(dim)), Identity())
        model = LinearModel(space, _line("d", n_d), self.matrix, np.zeros(n_d))
        whitened = WhitenedModel(prior, model)
        return Posterior(prior, whitened, self.data, self.noise, denoiser=self.law)

    @cached_property
    def _factor(self) -> tuple[Array, bool]:
        """Of S."""
        scatter = (self.matrix * self.law.variance) @ self.matrix.T
        found: tuple[Array, bool] = cho_factor(scatter + np.diag(self.noise.std**2), lower=True)
        return found

    def _lifted(self, residual: Array) -> Array:
        """K r for (..., n_d)."""
        weighted = cho_solve(self._factor, residual.T).T
        return np.asarray((weighted @ self.matrix) * self.law.variance)

    @cached_property
    def weights(self) -> Array:
        """p_k, shape (k,)."""
        off = self.data - self.law.means @ self.matrix.T
        square = np.sum(off * cho_solve(self._factor, off.T).T, axis=1)
        return np.asarray(softmax(np.log(self.law.weights) - 0.5 * square))

    @cached_property
    def means(self) -> Array:
        """Of the components, shape (k, dim)."""
        off = self.data - self.law.means @ self.matrix.T
        return np.asarray(self.law.means + self._lifted(off))

    @cached_property
    def covariance(self) -> Array:
        """Of each component, shape (dim, dim)."""
        half = self.matrix * self.law.variance
        return np.asarray(np.diag(self.law.variance) - half.T @ cho_solve(self._factor, half))

    def sample(self, rng: np.random.Generator, n: int) -> Array:
        """``n`` independent draws, shape (n, dim): prior draws, corrected by their own data."""
        k = rng.choice(len(self.weights), size=n, p=self.weights)
        white = rng.standard_normal((n, len(self.law.variance)))
        prior = self.law.means[k] + np.sqrt(self.law.variance) * white
        seen = prior @ self.matrix.T + self.noise.sample(rng, n)
        return np.asarray(prior + self._lifted(self.data - seen))
