"""Forward models: the map G from an unknown to data, with the derivatives that it offers.

A finite-element model, a surrogate and a composition of either with a prior are all forward models.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from pdeinv.errors import CapabilityError, SolverDiverged
from pdeinv.model.spaces import Space
from pdeinv.typing import Array

__all__ = [
    "DERIVATIVES",
    "Capability",
    "ForwardModel",
    "HiddenCost",
    "LinearModel",
    "Linearization",
    "ModelKind",
    "OffersRows",
    "Rows",
    "RowsLinearization",
    "each_product",
    "finite",
    "require",
]

ModelKind = Literal["reference", "surrogate"]


class Capability(StrEnum):
    """What a forward model offers beyond evaluation at one point."""

    BATCH = "batch"
    """``model(m)`` takes leading batch axes and is faster for it; bits may depend on the batch."""
    ROWS = "rows"
    """:class:`OffersRows`: many unknowns in one call, where the bits of a row are its own."""
    JVP = "jvp"
    """Directional derivatives dG(m)[dm]."""
    VJP = "vjp"
    """Adjoint actions dG(m)^T w."""
    STRONG_FORM = "strong-form"
    """The problem as residuals at points (:mod:`pdeinv.model.strong_form`), beside the solver."""
    VARIANCE = "variance"
    """``model.variance(m)``: the predictive variance of each datum, of surrogates that know it."""


DERIVATIVES = frozenset({Capability.JVP, Capability.VJP})
"""Both derivative actions."""


@dataclass(frozen=True)
class Linearization:
    """G at one point with its derivative there.

    Attributes:
        value: G(m), shape (n_d,).
        jvp: dm of shape (n_m,) to dG(m)[dm] of shape (n_d,).
        vjp: w of shape (n_d,) to dG(m)^T w of shape (n_m,).
    """

    value: Array
    jvp: Callable[[Array], Array]
    vjp: Callable[[Array], Array]


@runtime_checkable
class ForwardModel(Protocol):
    """The map G = B∘F from the unknown to the data (observation operator after forward map)."""

    @property
    def m_space(self) -> Space:
        """Where the unknown lives."""

    @property
    def d_space(self) -> Space:
        """Where the data live."""

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What the model offers beyond ``__call__`` at one point."""

    @property
    def kind(self) -> ModelKind:
        """``reference`` counts as ``n_forward``, ``surrogate`` as ``n_surrogate``."""

    def __call__(self, m: Array, /) -> Array:
        """G(m): (n_m,) to (n_d,); with BATCH also (..., n_m) to (..., n_d).

        Raises:
            SolverDiverged: the solve failed, with its reason.
        """

    def linearize(self, m: Array, /) -> Linearization:
        """G and its derivative at ``m`` of shape (n_m,).

        Raises:
            CapabilityError: neither JVP nor VJP is declared.
            SolverDiverged: the solve failed.
        """


@dataclass
class HiddenCost:
    """What a model did beyond the evaluations and actions that it was asked for.

    A model that puts derivatives together from other evaluations has one of these as attribute
    ``hidden_cost`` and adds to it; whoever counts takes it over.
    """

    n_forward: int = 0
    n_tangent: int = 0
    n_adjoint: int = 0

    def take(self) -> tuple[int, int, int]:
        """The counts since the last time, which begin anew."""
        found = (self.n_forward, self.n_tangent, self.n_adjoint)
        self.n_forward = self.n_tangent = self.n_adjoint = 0
        return found


@dataclass(frozen=True)
class Rows[T]:
    """What a model says at several points, one row each.

    Attributes:
        values: one entry a row: numbers, NaN where the solve failed, or objects, None there.
        failures: the reason by row.
    """

    values: T
    failures: Mapping[int, str]


@dataclass(frozen=True)
class RowsLinearization(Rows[Array]):
    """G at several points with its derivative at each; valid whatever is asked of the model later.

    Attributes:
        values: G(m_i), shape (n, n_d), NaN where the solve failed.
        failures: the reason by row.
        jvp: one direction a row, (n, n_m), to dG(m_i)[dm_i], (n, n_d); NaN where the solve of the
            row or this action failed.
        vjp: one covector a row, (n, n_d), to dG(m_i)^T w_i, (n, n_m); likewise.
        at: the linearization at row i alone. It raises :class:`SolverDiverged` with the reason
            where that row failed. Its value has the bits of the row, its actions agree with those
            of all rows to rounding.
    """

    jvp: Callable[[Array], Array]
    vjp: Callable[[Array], Array]
    at: Callable[[int], Linearization]


@runtime_checkable
class OffersRows(Protocol):
    """What a forward model that declares ROWS has besides.

    The promise: **a row depends on that row alone, to the last bit.** It is the same whether it is
    asked for with 1, 2 or 64 rows, in any order, beside rows that fail. A failed row fails alone.
    This holds for values, for the actions of :class:`RowsLinearization` and for its ``at``.
    ``model(m)`` of one point may have other bits than ``model.rows(m[None])``, hence who wants the
    bits of rows asks for rows, also for one. Products of whole matrices do not keep the promise
    (BLAS adds up in another order for another number of rows); products row by row and elementwise
    functions of arrays do.

    ``rows`` takes any number of them, none included, and does not change them. A model that
    splits them into blocks does so itself; where it has an attribute ``block``, a number of rows,
    whoever wants values and adjoints asks for so many at a time. One with a :class:`HiddenCost`
    offers no ROWS.
    """

    def rows(self, ms: Array, /) -> Rows[Array]:
        """G at each row of ``ms`` (n, n_m): values (n, n_d), and why rows failed.

        Raises:
            ShapeError: rows of another length.
        """

    def linearize_rows(self, ms: Array, /) -> RowsLinearization:
        """G and its derivative at each row of ``ms`` (n, n_m); with JVP or VJP only.

        Raises:
            CapabilityError: neither JVP nor VJP is declared.
            ShapeError: rows of another length.
        """


def require(model: ForwardModel, needed: frozenset[Capability], who: str) -> None:
    """Check that ``model`` declares all that ``who`` needs.

    Raises:
        CapabilityError: names what is missing.
    """
    missing = needed - model.capabilities
    if missing:
        has = ", ".join(sorted(model.capabilities)) or "evaluation only"
        raise CapabilityError(
            f"{who} needs {', '.join(sorted(missing))} of the forward model, which offers {has}; "
            "choose an engine without derivatives (pcn, eki) or a differentiable unknown"
        )


def finite(values: Array, what: str = "prediction") -> Array:
    """``values`` themselves.

    Raises:
        SolverDiverged: some are not finite.
    """
    if not np.isfinite(values).all():
        raise SolverDiverged(f"the {what} is not finite")
    return values


@dataclass(frozen=True)
class LinearModel:
    """G(m) = A m + c: the exact yardstick for engines, and a fast model where physics is linear.

    Attributes:
        m_space: the unknown's space.
        d_space: the data's space.
        matrix: A, shape (n_d, n_m).
        offset: c, shape (n_d,).
        kind: how evaluations are counted.
    """

    m_space: Space
    d_space: Space
    matrix: Array
    offset: Array
    kind: ModelKind = "reference"
    capabilities: frozenset[Capability] = DERIVATIVES | {Capability.BATCH, Capability.ROWS}

    def __call__(self, m: Array) -> Array:
        """A m + c for (..., n_m).

        Raises:
            SolverDiverged: one m whose data are not finite; in a batch its row is not.
        """
        data = np.asarray(self.m_space.check(m) @ self.matrix.T + self.offset)
        if data.ndim == 1 and not np.isfinite(data).all():
            raise SolverDiverged(NOT_FINITE)
        return data

    def linearize(self, m: Array) -> Linearization:
        """The value at ``m``; the derivative is A everywhere."""
        return Linearization(self(m), lambda dm: self.matrix @ dm, lambda w: self.matrix.T @ w)

    def rows(self, ms: Array) -> Rows[Array]:
        """A m_i + c, one product a row."""
        values = each_product(self.matrix, self.m_space.check(ms)) + self.offset
        if np.isfinite(values).all():
            return Rows(values, {})
        lost = np.flatnonzero(~np.isfinite(values).all(axis=1))
        values[lost] = np.nan
        return Rows(values, {int(i): NOT_FINITE for i in lost})

    def linearize_rows(self, ms: Array) -> RowsLinearization:
        """The values; the derivative is A everywhere."""
        found = self.rows(ms)
        lost, turned = list(found.failures), self.matrix.T

        def actions(matrix: Array) -> Callable[[Array], Array]:
            def act(vs: Array) -> Array:
                out = each_product(matrix, vs)
                out[lost] = np.nan
                return out

            return act

        def at(i: int) -> Linearization:
            if i in found.failures:
                raise SolverDiverged(found.failures[i])
            return Linearization(found.values[i], lambda v: self.matrix @ v, lambda w: turned @ w)

        return RowsLinearization(
            found.values, found.failures, actions(self.matrix), actions(turned), at
        )


NOT_FINITE = "the data of a linear model are not finite; m must be finite"


def each_product(matrix: Array, xs: Array) -> Array:
    """A x_i for each row of ``xs`` (n, k), as one product of a matrix and a vector each.

    A product with all rows at once would add up in an order that depends on how many there are.
    """
    return np.asarray(np.matmul(matrix, np.ascontiguousarray(xs)[..., None])[..., 0])
