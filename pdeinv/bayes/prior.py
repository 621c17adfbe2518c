"""Priors as maps of white noise, so that every engine works on xi ~ N(0, I).

The unknown is m = T(mean + L xi). In xi the prior is standard normal whatever m is, hence an engine
that is right for N(0, I) is right for every prior mean, covariance and transform here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np

from pdeinv.bayes.fields.base import GaussianField
from pdeinv.bayes.transforms import Transform
from pdeinv.model.spaces import Space
from pdeinv.typing import Array

__all__ = ["FieldPrior", "Prior", "ProductPrior", "cost", "sample"]


@runtime_checkable
class Prior(Protocol):
    """The distribution of the unknown m as a deterministic map of xi ~ N(0, I)."""

    @property
    def space(self) -> Space:
        """Where m lives."""

    @property
    def dim(self) -> int:
        """The length of xi."""

    @property
    def differentiable(self) -> bool:
        """Whether the derivative actions exist."""

    def unwhiten(self, xi: Array) -> Array:
        """m(xi): (..., dim) to (..., n_m)."""

    def unwhiten_jvp(self, xi: Array, dxi: Array) -> Array:
        """dm(xi)[dxi], shape (n_m,)."""

    def unwhiten_vjp(self, xi: Array, w: Array) -> Array:
        """dm(xi)^T w, shape (dim,)."""


def cost(xi: Array) -> Array:
    """R = ½ ‖xi‖², the negative log prior density in xi up to a constant; (..., dim) to (...)."""
    return np.asarray(0.5 * np.sum(np.square(xi), axis=-1))


def sample(prior: Prior, rng: np.random.Generator, n: int) -> Array:
    """``n`` independent prior draws of m, shape (n, n_m)."""
    return prior.unwhiten(rng.standard_normal((n, prior.dim)))


@dataclass(frozen=True)
class FieldPrior:
    """m = T(mean + L xi) on one variable.

    Attributes:
        space: the unknown's space.
        field: the Gaussian field.
        transform: applied to each component.
    """

    space: Space
    field: GaussianField
    transform: Transform

    @property
    def dim(self) -> int:
        """The length of the field's xi."""
        return self.field.dim

    @property
    def differentiable(self) -> bool:
        """As the transform."""
        return self.transform.differentiable

    def gaussian(self, xi: Array) -> Array:
        """The underlying Gaussian x = mean + L xi."""
        return np.asarray(self.field.mean + self.field.apply(np.asarray(xi, dtype=np.float64)))

    def unwhiten(self, xi: Array) -> Array:
        """T(mean + L xi)."""
        return self.transform(self.gaussian(xi))

    def unwhiten_jvp(self, xi: Array, dxi: Array) -> Array:
        """T'(x) L dxi."""
        return self.transform.derivative(self.gaussian(xi)) * self.field.apply(dxi)

    def unwhiten_vjp(self, xi: Array, w: Array) -> Array:
        """L^T (T'(x) w)."""
        return self.field.apply_transpose(self.transform.derivative(self.gaussian(xi)) * w)


@dataclass(frozen=True)
class ProductPrior:
    """Independent priors on several variables; xi and m are concatenated in order."""

    factors: tuple[Prior, ...]

    @cached_property
    def space(self) -> Space:
        """The variables of all factors."""
        return Space(tuple(v for p in self.factors for v in p.space.variables))

    @property
    def dim(self) -> int:
        """The sum of the factors' dims."""
        return sum(p.dim for p in self.factors)

    @property
    def differentiable(self) -> bool:
        """Whether every factor is."""
        return all(p.differentiable for p in self.factors)

    def _split(self, array: Array, sizes: Sequence[int]) -> list[Array]:
        return np.split(np.asarray(array), np.cumsum(sizes)[:-1], axis=-1)

    def _xis(self, xi: Array) -> list[Array]:
        return self._split(xi, [p.dim for p in self.factors])

    def unwhiten(self, xi: Array) -> Array:
        """Each factor's m, concatenated."""
        parts = zip(self.factors, self._xis(xi), strict=True)
        return np.concatenate([p.unwhiten(x) for p, x in parts], axis=-1)

    def unwhiten_jvp(self, xi: Array, dxi: Array) -> Array:
        """Each factor's derivative action, concatenated."""
        parts = zip(self.factors, self._xis(xi), self._xis(dxi), strict=True)
        return np.concatenate([p.unwhiten_jvp(x, d) for p, x, d in parts], axis=-1)

    def unwhiten_vjp(self, xi: Array, w: Array) -> Array:
        """Each factor's adjoint action, concatenated."""
        ws = self._split(w, [p.space.size for p in self.factors])
        parts = zip(self.factors, self._xis(xi), ws, strict=True)
        return np.concatenate([p.unwhiten_vjp(x, v) for p, x, v in parts], axis=-1)
