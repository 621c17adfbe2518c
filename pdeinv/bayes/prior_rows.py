"""The prior's map at several xi, where the bits of a row depend on that row alone.

``prior.unwhiten(xis)`` is the fast way to many unknowns, by products and transforms of all rows at
once, whose last bits depend on how many rows there are. Here each row is mapped by itself, as
:class:`pdeinv.model.forward.OffersRows` promises; what acts on single components may still be done
for all rows at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeGuard

import numpy as np

from pdeinv.bayes.fields.base import DenseField, GaussianField, IndependentField
from pdeinv.bayes.prior import FieldPrior, Prior, ProductPrior
from pdeinv.model.forward import Linearization, OffersRows, RowsLinearization
from pdeinv.typing import Array

__all__ = ["PriorRows", "linearize_rows", "linearize_through", "through", "unwhiten_rows"]


@dataclass(frozen=True)
class PriorRows:
    """m at several xi with the derivative at each.

    Attributes:
        m: m(xi_i), shape (n, n_m).
        jvp: one direction a row, (n, dim), to dm(xi_i)[dxi_i], (n, n_m).
        vjp: one covector a row, (n, n_m), to dm(xi_i)^T w_i, (n, dim).
    """

    m: Array
    jvp: Callable[[Array], Array]
    vjp: Callable[[Array], Array]


def unwhiten_rows(prior: Prior, xis: Array) -> Array:
    """m(xi_i), shape (n, n_m), for (n, dim)."""
    if isinstance(prior, ProductPrior):
        parts = zip(prior.factors, _split(xis, _dims(prior)), strict=True)
        return np.concatenate([unwhiten_rows(p, x) for p, x in parts], axis=1)
    if _plain(prior):
        return prior.transform(_gaussians(prior, xis))
    return _each(prior.unwhiten, prior.space.size, xis)


def linearize_rows(prior: Prior, xis: Array) -> PriorRows:
    """m and its derivative at each row of ``xis`` (n, dim)."""
    if isinstance(prior, ProductPrior):
        return _product(prior, xis)
    if _plain(prior):
        return _field(prior, xis)
    return PriorRows(
        unwhiten_rows(prior, xis),
        lambda dxis: _each(prior.unwhiten_jvp, prior.space.size, xis, dxis),
        lambda ws: _each(prior.unwhiten_vjp, prior.dim, xis, ws),
    )


def _plain(prior: Prior) -> TypeGuard[FieldPrior]:
    """Whether it is a field's prior as it comes: a subclass may map in another way."""
    return type(prior) is FieldPrior


def _each(act: Callable[..., Array], size: int, *rows: Array) -> Array:
    return np.array([act(*row) for row in zip(*rows, strict=True)]).reshape(-1, size)


def _gaussians(prior: FieldPrior, xis: Array) -> Array:
    return np.asarray(prior.field.mean + _applied(prior.field, xis))


def _applied(field: GaussianField, xis: Array) -> Array:
    """L xi_i for each row."""
    if isinstance(field, IndependentField):
        return field.apply(xis)
    if isinstance(field, DenseField):
        return field.apply_rows(xis)
    return _each(field.apply, len(field.mean), xis)


def _transposed(field: GaussianField, ws: Array) -> Array:
    """L^T w_i for each row."""
    if isinstance(field, IndependentField):
        return field.apply_transpose(ws)
    if isinstance(field, DenseField):
        return field.apply_transpose_rows(ws)
    return _each(field.apply_transpose, field.dim, ws)


def _field(prior: FieldPrior, xis: Array) -> PriorRows:
    x = _gaussians(prior, xis)
    slope = cache(lambda: prior.transform.derivative(x))
    return PriorRows(
        prior.transform(x),
        lambda dxis: np.asarray(slope() * _applied(prior.field, dxis)),
        lambda ws: _transposed(prior.field, slope() * ws),
    )


def _dims(prior: ProductPrior) -> list[int]:
    return [p.dim for p in prior.factors]


def _sizes(prior: ProductPrior) -> list[int]:
    return [p.space.size for p in prior.factors]


def _split(rows: Array, sizes: Sequence[int]) -> list[Array]:
    return [np.ascontiguousarray(part) for part in np.split(rows, np.cumsum(sizes)[:-1], axis=1)]


def _product(prior: ProductPrior, xis: Array) -> PriorRows:
    pairs = zip(prior.factors, _split(xis, _dims(prior)), strict=True)
    parts = [linearize_rows(p, x) for p, x in pairs]

    def joined(acts: list[Callable[[Array], Array]], sizes: list[int], vs: Array) -> Array:
        pairs = zip(acts, _split(vs, sizes), strict=True)
        return np.concatenate([act(v) for act, v in pairs], axis=1)

    return PriorRows(
        np.concatenate([p.m for p in parts], axis=1),
        lambda dxis: joined([p.jvp for p in parts], _dims(prior), dxis),
        lambda ws: joined([p.vjp for p in parts], _sizes(prior), ws),
    )


def linearize_through(prior: Prior, model: OffersRows, xis: Array) -> RowsLinearization:
    """G(m(xi_i)) and its derivative at each row of ``xis`` (n, dim), by the chain rule."""
    xis = xis.copy()
    by_prior = linearize_rows(prior, xis)
    inner = model.linearize_rows(by_prior.m)
    point = inner.at  # alone: with the rest of it, a point would keep the factors of all rows

    def at(i: int) -> Linearization:
        return through(prior, xis[i], point(i))

    return RowsLinearization(
        inner.values,
        inner.failures,
        lambda dxis: inner.jvp(_quietly(by_prior.jvp, dxis)),
        lambda ws: _quietly(by_prior.vjp, inner.vjp(ws)),
        at,
    )


def through(prior: Prior, xi: Array, inner: Linearization) -> Linearization:
    """The chain rule at one xi for a linearization at m(xi).

    The prior's own derivative is kept: searches and Hessians ask for many actions at one point.
    """
    by_prior = cache(lambda: linearize_rows(prior, xi[None]))
    return Linearization(
        inner.value,
        lambda dxi: inner.jvp(by_prior().jvp(dxi[None])[0]),
        lambda w: by_prior().vjp(inner.vjp(w)[None])[0],
    )


def _quietly(act: Callable[[Array], Array], vs: Array) -> Array:
    """``act`` at rows of which some may belong to failed solves, infinite or not a number."""
    with np.errstate(invalid="ignore", over="ignore"):
        return act(vs)
