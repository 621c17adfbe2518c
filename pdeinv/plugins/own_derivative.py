"""The derivative that a user gives with a function, as both actions, and calls of either.

What is missing is made of what is there: the Jacobian is built once for each point, from columns
dG[e_i], rows dG^T e_i, or central differences. What that costs is counted, since each column or row
is an action, or two evaluations, that nobody asked for by name.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pdeinv.bayes.prior import Prior
from pdeinv.errors import ConfigError, ShapeError, SolverDiverged, reason
from pdeinv.model.forward import HiddenCost
from pdeinv.rng import stream
from pdeinv.typing import Array

__all__ = ["Actions", "Derivative", "answer", "called", "numbers", "steps_of"]

logger = logging.getLogger(__name__)

_told: set[str] = set()
"""The failures that were logged: the first of a kind says enough."""

STEP = 1e-5
"""Half the distance of a central difference, in prior standard deviations: the error of order h²
and that of rounding, of order ε/h, are both near 1e-10."""

SCALE_DRAWS = 64


@dataclass(frozen=True)
class Derivative:
    """What the user gave.

    Attributes:
        jacobian: m to dG(m), shape (n_d, n_m).
        jvp: (m, dm) to dG(m)[dm], shape (n_d,).
        vjp: (m, w) to dG(m)^T w, shape (n_m,).
        steps: half distances of central differences at m, shape (n_m,), where these were asked for.
    """

    jacobian: Callable[[Array], object] | None = None
    jvp: Callable[[Array, Array], object] | None = None
    vjp: Callable[[Array, Array], object] | None = None
    steps: Callable[[Array], Array] | None = None

    def __post_init__(self) -> None:
        actions = self.jvp is not None or self.vjp is not None
        if sum((self.jacobian is not None, actions, self.steps is not None)) > 1:
            raise ConfigError(
                "own model: give the derivative once: jacobian, or jvp and vjp (one is enough), "
                "or gradient='finite-difference'"
            )

    @property
    def given(self) -> bool:
        """Whether there is a derivative at all."""
        return any((self.jacobian, self.jvp, self.vjp, self.steps))


@dataclass(frozen=True)
class Actions:
    """dG at one point.

    Attributes:
        derivative: what is known of it.
        forward: G itself, for differences.
        m: the point, shape (n_m,).
        n_d: the number of data.
        cost: charged with what is done beyond the actions asked for.
    """

    derivative: Derivative
    forward: Callable[[Array], Array]
    m: Array
    n_d: int
    cost: HiddenCost

    def jvp(self, dm: Array) -> Array:
        """dG[dm]."""
        given = self.derivative.jvp
        if given is None:
            return np.asarray(self.dense @ dm)
        return called(given, "jvp", (self.n_d,), self.m, dm)

    def vjp(self, w: Array) -> Array:
        """dG^T w."""
        given = self.derivative.vjp
        if given is None:
            return np.asarray(self.dense.T @ w)
        return called(given, "vjp", (len(self.m),), self.m, w)

    @cached_property
    def dense(self) -> Array:
        """The Jacobian, shape (n_d, n_m).

        Raises:
            SolverDiverged: a derivative failed or is not finite.
        """
        found = self._built()
        if not np.isfinite(found).all():
            raise SolverDiverged("the derivative of the own model is not finite")
        return found

    def _built(self) -> Array:
        given, n_m = self.derivative, len(self.m)
        if given.jacobian is not None:
            return called(given.jacobian, "jacobian", (self.n_d, n_m), self.m)
        if given.vjp is not None:
            self.cost.n_adjoint += self.n_d
            return np.stack([self.vjp(e) for e in np.eye(self.n_d)])
        if given.jvp is not None:
            self.cost.n_tangent += n_m
            return np.stack([self.jvp(e) for e in np.eye(n_m)], axis=1)
        assert given.steps is not None
        self.cost.n_forward += 2 * n_m
        shifts = np.diag(given.steps(self.m))
        columns = [(self.forward(self.m + s) - self.forward(self.m - s)) / 2 for s in shifts]
        return np.stack(columns, axis=1) / np.diag(shifts)


def steps_of(prior: Prior, step: float = STEP) -> Callable[[Array], Array]:
    """Steps of ``step`` prior standard deviations; an unknown that is always positive stays so."""
    draws = prior.unwhiten(stream(0, "own-scale").standard_normal((SCALE_DRAWS, prior.dim)))
    return _Steps(step * draws.std(axis=0), (draws > 0).all(axis=0))


@dataclass(frozen=True)
class _Steps:
    """Steps by unknown; a class and no closure, so that it can be sent to other processes."""

    widths: Array
    positive: NDArray[np.bool_]

    def __call__(self, m: Array) -> Array:
        return np.where(self.positive & (m > 0), np.minimum(self.widths, 1e-3 * m), self.widths)


def called(function: Callable[..., Any], what: str, shape: tuple[int, ...], *given: Array) -> Array:
    """``function`` at copies of the arguments; ``what`` names it in errors.

    Raises:
        SolverDiverged: it raised an error; the first of each kind is logged.
        ShapeError: it returned something of another shape.
    """
    found = numbers(answer(function, what, *given), what)
    if found.shape != shape:
        raise ShapeError(
            f"own model: {what} must return an array of shape {shape}, got shape {found.shape}"
        )
    return found


def numbers(found: object, what: str) -> Array:
    """What a function returned as an array.

    Raises:
        ShapeError: no numbers, or rows of different lengths.
    """
    try:
        return np.array(found, dtype=np.float64)
    except (TypeError, ValueError):
        kind = type(found).__name__
        raise ShapeError(f"own model: {what} must return an array of numbers, got {kind}") from None


def answer(function: Callable[..., Any], what: str, *given: Array) -> object:
    """What ``function`` returns for copies of the arguments.

    Raises:
        SolverDiverged: it raised an error; the first of each kind is logged.
    """
    try:
        return function(*(np.array(a) for a in given))
    except SolverDiverged:
        raise
    except Exception as error:
        text = f"{what} of the own model raised {type(error).__name__}: {reason(error)}"
        if text not in _told:
            _told.add(text)
            logger.warning("%s; counted as a failed solve", text)
            logger.info("where it was raised", exc_info=error)
        raise SolverDiverged(text) from error
