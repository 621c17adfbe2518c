"""The posterior with its derivatives at one point, alone or as one of several rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial

import numpy as np

from pdeinv.bayes.counters import Counters
from pdeinv.bayes.likelihood import DataMisfit, Fisher
from pdeinv.bayes.prior import cost
from pdeinv.errors import SolverDiverged
from pdeinv.model.forward import ForwardModel, Linearization, Rows, RowsLinearization
from pdeinv.typing import Array

__all__ = ["At", "PosteriorPoint", "Seat"]


@dataclass
class Seat:
    """The row of a point in a linearization that it shares with others; none at first."""

    rows: RowsLinearization | None = None
    row: int = 0

    def take(self, rows: RowsLinearization, row: int) -> None:
        """Another one, in place of what there was."""
        self.rows, self.row = rows, row


@dataclass(frozen=True)
class PosteriorPoint:
    """The posterior with its derivatives at one xi.

    Attributes:
        misfit: Φ(xi).
        neg_log_posterior: Φ + R.
        prediction: G(m(xi)), shape (n_d,).
        gradient: ∇(Φ + R), shape (dim,).
        gauss_newton: v ↦ (J^T F J) v without the prior's identity, (dim,) to (dim,), with the
            Fisher information F of the data. It raises :class:`pdeinv.errors.SolverDiverged` where
            a derivative fails or is not finite.
        jvp: v ↦ J v, (dim,) to (n_d,); likewise.
        seat: what :mod:`pdeinv.bayes.products` keeps for it.
    """

    misfit: float
    neg_log_posterior: float
    prediction: Array
    gradient: Array
    gauss_newton: Callable[[Array], Array]
    jvp: Callable[[Array], Array]
    seat: Seat = field(default_factory=Seat, repr=False, compare=False)


@dataclass(frozen=True)
class At:
    """What turns linearizations of a model into points of a posterior.

    Attributes:
        model: who is asked, for how it is counted.
        data: y.
        likelihood: of y about G.
    """

    model: ForwardModel
    data: Array
    likelihood: DataMisfit

    def point(self, xi: Array, at: Linearization, counters: Counters) -> PosteriorPoint:
        """The point at ``xi``; what is done with it later is charged to ``counters`` too.

        Raises:
            SolverDiverged: the adjoint action failed (counted).
        """
        misfit, slope = self.likelihood.slope(at.value, self.data)
        actions = _Actions(self, lambda: at, counters, at.value)
        gradient = actions.vjp(slope) + xi
        return actions.point(float(misfit), float(cost(xi)), gradient)

    def points(
        self, xis: Array, at: RowsLinearization, charged: Sequence[Counters]
    ) -> Rows[list[PosteriorPoint | None]]:
        """The points at the rows of ``xis`` (n, dim), by one adjoint action for all of them.

        Args:
            xis: shape (n, dim).
            at: the linearizations.
            charged: who pays for each row.
        """
        reasons = dict(at.failures)
        solved = np.array([i not in reasons for i in range(len(xis))])
        values = np.where(solved[:, None], at.values, self.data)
        misfits, slopes = self.likelihood.slope(values, self.data)
        gradients = at.vjp(slopes) + xis
        sound, costs = np.isfinite(gradients).all(axis=1), cost(xis)
        found = list[PosteriorPoint | None]()
        for i, counters in enumerate(charged):
            counters.count(self.model.kind, forward=1, adjoint=int(solved[i]))
            if solved[i] and sound[i]:
                actions = _Actions(self, partial(at.at, i), counters, values[i])
                numbers = float(misfits[i]), float(costs[i])
                found.append(actions.point(*numbers, gradients[i]))
                continue
            counters.count(self.model.kind, failed=1)
            reasons.setdefault(i, "the gradient is not finite")
            found.append(None)
        return Rows(found, reasons)


@dataclass(frozen=True)
class _Actions:
    """Counted derivative actions at a point that is linearized when asked for.

    One that fails is counted as such and raises :class:`SolverDiverged`.
    """

    on: At
    make: Callable[[], Linearization]
    counters: Counters
    prediction: Array

    @cached_property
    def at(self) -> Linearization:
        """The linearization."""
        return self.make()

    def vjp(self, w: Array) -> Array:
        """J^T w."""
        self.counters.count(self.on.model.kind, adjoint=1)
        return self._tried(lambda: self.at.vjp(w))

    def jvp(self, v: Array) -> Array:
        """J v."""
        self.counters.count(self.on.model.kind, tangent=1)
        return self._tried(lambda: self.at.jvp(v))

    def _tried(self, act: Callable[[], Array]) -> Array:
        try:
            return act()
        except SolverDiverged:
            self.counters.count(self.on.model.kind, failed=1)
            raise
        finally:
            self.counters.count_hidden(self.on.model)

    @cached_property
    def fisher(self) -> Fisher:
        """F at the prediction."""
        return self.on.likelihood.fisher(self.prediction)

    def gauss_newton(self, v: Array) -> Array:
        """J^T F J v."""
        white = self.fisher.whiten(self.jvp(v))
        return self.vjp(self.fisher.whiten_transpose(white))

    def point(self, misfit: float, prior_cost: float, gradient: Array) -> PosteriorPoint:
        """The point with these numbers and actions."""
        total, at = misfit + prior_cost, self.prediction
        return PosteriorPoint(misfit, total, at, gradient, self.gauss_newton, self.jvp)
