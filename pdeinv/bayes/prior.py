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
from numpy.typing import NDArray
from scipy.special import ndtri

from pdeinv.bayes.fields.base import GaussianField
from pdeinv.bayes.transforms import Exponential, Identity, Interval, Transform, is_positive
from pdeinv.errors import CapabilityError, DataSchemaError
from pdeinv.model.spaces import Space
from pdeinv.typing import Array

__all__ = ["FieldPrior", "Prior", "ProductPrior", "cost", "nearest", "positive", "sample", "whiten"]

TOLERANCE = 1e-6
"""How far m(xi) may be from m in :func:`whiten`, relative to the spread of all m."""

ROUNDING = 1e-6
"""Numbers that are all the same count as spread by so much of themselves."""


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
    """R = ½ ‖xi‖², the negative log prior density in xi up to a constant; (..., dim) to (...).

    Infinite where the sum is too large for a number.
    """
    with np.errstate(over="ignore"):
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


def positive(prior: Prior) -> NDArray[np.bool_]:
    """Which entries of m are positive whatever xi is, shape (n_m,)."""
    if isinstance(prior, ProductPrior):
        return np.concatenate([positive(p) for p in prior.factors])
    known = is_positive(prior.transform) if isinstance(prior, FieldPrior) else False
    return np.broadcast_to(known, (prior.space.size,)).copy()


def whiten(prior: Prior, m: Array) -> Array:
    """xi with m(xi) = m, shape (n, dim), for m of shape (n, n_m).

    x = T^(-1)(m) is unique, and xi the solution of mean + L xi = x, which must exist and be unique:
    a truncated expansion has one only for unknowns that it can express.

    Raises:
        CapabilityError: the prior's map has no inverse (level sets, more xi than values).
        DataSchemaError: an unknown that the prior cannot give.
    """
    if isinstance(prior, ProductPrior):
        cuts = np.cumsum([p.space.size for p in prior.factors])[:-1]
        parts = zip(prior.factors, np.split(m, cuts, axis=-1), strict=True)
        return np.concatenate([whiten(p, part) for p, part in parts], axis=-1)
    if not isinstance(prior, FieldPrior):
        raise CapabilityError(f"the prior of {'+'.join(prior.space.names)} cannot be inverted")
    return _whiten_field(prior, m)


def nearest(prior: Prior, m: Array, std: Array) -> Array:
    """The most probable xi of an unknown (n_m,) that is known to within ``std``, shape (dim,).

    min ½ ‖(mean + L xi - x) / s‖² + ½ ‖xi‖² with x = T^(-1)(m) and s the standard deviation of x,
    to first order, times the root of n_m: neighbours err alike, so that all together count as one.

    Raises:
        CapabilityError: the prior's map has no inverse (level sets).
    """
    if not isinstance(prior, FieldPrior):
        raise CapabilityError(f"the prior of {'+'.join(prior.space.names)} cannot be inverted")
    name = prior.space.names[0]
    x = _before(prior.transform, m[None], name)[0]
    ahead = _before(prior.transform, m[None] + 1e-4 * std, name)[0]
    s = np.sqrt(len(m)) * np.maximum(np.abs(ahead - x) / 1e-4, 1e-9)
    root = prior.field.apply(np.eye(prior.dim)).T / s[:, None]
    normal = root.T @ root + np.eye(prior.dim)
    return np.asarray(np.linalg.solve(normal, root.T @ ((x - prior.field.mean) / s)))


def _whiten_field(prior: FieldPrior, m: Array) -> Array:
    name = prior.space.names[0]
    if prior.dim > prior.space.size:
        raise CapabilityError(
            f"'{name}' does not determine xi: its prior has {prior.dim} of them for "
            f"{prior.space.size} values"
        )
    x = _before(prior.transform, m, name)
    root = prior.field.apply(np.eye(prior.dim)).T
    xi, _, rank, _ = np.linalg.lstsq(root, (x - prior.field.mean).T)
    if rank < prior.dim:
        raise CapabilityError(f"'{name}' does not determine xi: its prior is degenerate")
    miss = np.abs(prior.unwhiten(xi.T) - m).max(axis=1)
    spread = max(float(np.std(m)), ROUNDING * float(np.max(np.abs(m), initial=0.0)), 1e-300)
    bad = np.flatnonzero(miss > TOLERANCE * spread)
    if len(bad):
        raise DataSchemaError(
            f"'{name}' of sample {bad[0]} (and {len(bad) - 1} more) is none that the prior can "
            f"give: the nearest differs by {miss[bad[0]]:.3g}; correct the prior's configuration"
        )
    return np.asarray(xi.T)


def _before(transform: Transform, m: Array, name: str) -> Array:
    """T^(-1)(m).

    Raises:
        CapabilityError: T has no inverse.
        DataSchemaError: a value that T does not take.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        if isinstance(transform, Identity):
            x = np.asarray(m, dtype=np.float64)
        elif isinstance(transform, Exponential):
            x = np.log(m)
        elif isinstance(transform, Interval):
            x = ndtri((m - transform.low) / (transform.high - transform.low))
        else:
            raise CapabilityError(
                f"'{name}' does not determine xi: {type(transform).__name__} has no inverse"
            )
    if not np.isfinite(x).all():
        raise DataSchemaError(f"'{name}' holds values that its prior cannot give, or none at all")
    return x
