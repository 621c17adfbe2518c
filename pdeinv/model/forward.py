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
    "Rows",
    "each_row",
    "evaluate",
    "finite",
    "linearize",
    "linearize_rows",
    "require",
]

ModelKind = Literal["reference", "surrogate"]


class Capability(StrEnum):
    """What a forward model offers beyond evaluation at one point."""

    BATCH = "batch"
    """``model(m)`` takes leading batch axes and is faster for it."""
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


@dataclass(frozen=True)
class Rows[T]:
    """What a model says at several points, one row each.

    Attributes:
        values: one entry a row: numbers, NaN where the solve failed, or objects, None there.
        failures: the reason by row.
    """

    values: T
    failures: Mapping[int, str]


def finite(values: Array, what: str = "prediction") -> Array:
    """``values`` themselves.

    Raises:
        SolverDiverged: some are not finite.
    """
    if not np.isfinite(values).all():
        raise SolverDiverged(f"the {what} is not finite")
    return values


def each_row[T](ask: Callable[[Array], T], ms: Array) -> Rows[list[T | None]]:
    """``ask`` at each row of ``ms``; what raises :class:`SolverDiverged` is a failure."""
    values, failures = list[T | None](), dict[int, str]()
    for i, m in enumerate(ms):
        try:
            values.append(ask(m))
        except SolverDiverged as error:
            values.append(None)
            failures[i] = str(error)
    return Rows(values, failures)


def evaluate(model: ForwardModel, ms: Array) -> Rows[Array]:
    """G at each row of ``ms`` (n, n_m), in one call where the model takes batches."""
    if Capability.BATCH in model.capabilities:
        values = model(ms)
        if np.isfinite(values).all():
            return Rows(values, {})
        lost = np.flatnonzero(~np.isfinite(values).all(axis=-1))
        return Rows(values, {int(i): "the prediction is not finite" for i in lost})
    found = each_row(lambda m: finite(model(m)), ms)
    nothing = np.full(model.d_space.size, np.nan)
    values = np.array([nothing if v is None else v for v in found.values])
    return Rows(values.reshape(len(ms), -1), found.failures)


def linearize(model: ForwardModel, m: Array) -> Linearization:
    """G and its derivative at ``m`` of shape (n_m,).

    Raises:
        SolverDiverged: the solve failed, or G is not finite.
    """
    at = model.linearize(m)
    finite(at.value)
    return at


def linearize_rows(model: ForwardModel, ms: Array) -> Rows[list[Linearization | None]]:
    """The same at each row of ``ms`` (n, n_m)."""
    return each_row(lambda m: linearize(model, m), ms)


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
    capabilities: frozenset[Capability] = DERIVATIVES | {Capability.BATCH}

    def __call__(self, m: Array) -> Array:
        """A m + c for (..., n_m).

        Raises:
            SolverDiverged: one m whose data are not finite; in a batch its row is not.
        """
        data = np.asarray(self.m_space.check(m) @ self.matrix.T + self.offset)
        if data.ndim == 1 and not np.isfinite(data).all():
            raise SolverDiverged("the data of a linear model are not finite; m must be finite")
        return data

    def linearize(self, m: Array) -> Linearization:
        """The value at ``m``; the derivative is A everywhere."""
        return Linearization(self(m), lambda dm: self.matrix @ dm, lambda w: self.matrix.T @ w)
