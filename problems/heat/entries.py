"""How each unknown enters the equation: its channels, their derivatives and the adjoint of those.

An unknown changes the initial state u^0, the loads F^n or the operator K. From λ^n and μ^n of the
discrete adjoint (see :meth:`pdeinv.fem.transient.ParabolicSystem.adjoint`) the gradient is
(du^0)^T λ^0 + Σ_n (dF^n)^T μ^n - Σ_n λ^n·(dK v^n).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from pdeinv.errors import ConfigError
from pdeinv.fem.field_unknown import FieldUnknown
from pdeinv.fem.marching import Forcing
from pdeinv.fem.spacetime import SpaceTime
from pdeinv.model.multilinear import multilinear
from pdeinv.model.reference import check_finite
from pdeinv.typing import Array

from .config import Dirichlet
from .discrete import HeatDiscretisation
from .unknown_config import SideFluxConfig, SourceConfig

__all__ = [
    "AdjointStep",
    "Change",
    "Entry",
    "InitialState",
    "SideFlux",
    "SourceField",
    "plus",
]


def _nothing(_n: int) -> Array | None:
    """No load."""
    return None


def plus(known: Forcing, own: Forcing) -> Forcing:
    """The sum of two loads."""

    def total(n: int) -> Array | None:
        one, other = known(n), own(n)
        if one is None or other is None:
            return one if other is None else other
        return one + other

    return total


@dataclass(frozen=True)
class Change:
    """A direction of the unknown as the equation sees it; None where a channel does not change."""

    initial: Array | None = None
    load: Forcing = _nothing
    stiffness: Any = None


class AdjointStep(NamedTuple):
    """One time level of the adjoint; levels come from the last to the first.

    Attributes:
        n: the level.
        adjoint: λ^n.
        load_adjoint: μ^n, None where no load depends on m.
        average: v^n, None where K does not depend on m, and at n = 0.
    """

    n: int
    adjoint: Array
    load_adjoint: Array | None
    average: Array | None


class Entry(ABC):
    """What is shared by all unknowns: the known initial state, loads and operator.

    Attributes:
        known: F^n without what is unknown.
        first: u^0 where it is known.
        operator: whether K depends on m, so that derivatives need the states.
        loads: whether F^n depends on m, so that gradients need μ^n.
        linear: whether the data are affine in m.
    """

    operator: ClassVar[bool] = False
    loads: ClassVar[bool] = True
    linear: ClassVar[bool] = True

    def __init__(self, discretisation: HeatDiscretisation, unknown: FieldUnknown) -> None:
        self.discretisation, self.unknown = discretisation, unknown
        self.known = discretisation.loads()
        self.first = discretisation.known_initial()

    def check(self, m: Array) -> None:
        """Refuse an m that is out of range; here one that is not finite.

        Raises:
            SolverDiverged: names the first bad value.
        """
        check_finite(m)

    def set_operator(self, m: Array) -> None:
        """Give the system the operator for ``m``."""
        d = self.discretisation
        d.system.set_operator(d.known_conductivity, d.robin())

    def initial(self, m: Array) -> Array:
        """u^0."""
        return self.first

    def load(self, m: Array) -> Forcing:
        """F^n."""
        return self.known

    @abstractmethod
    def change(self, m: Array, dm: Array) -> Change:
        """The derivative along ``dm``."""

    @abstractmethod
    def gather(self, m: Array, steps: Iterable[AdjointStep]) -> Array:
        """The adjoint of :meth:`change`: the gradient, shape (n_m,)."""

    def with_load(self, own: Forcing) -> Forcing:
        """The known load and one more."""
        return plus(self.known, own)


class InitialState(Entry):
    """u^0 = P m away from the Dirichlet sides."""

    loads = False

    def __init__(self, discretisation: HeatDiscretisation, unknown: FieldUnknown) -> None:
        super().__init__(discretisation, unknown)
        self.to_nodes = unknown.matrix(discretisation.space.points)

    def initial(self, m: Array) -> Array:
        """P m, with the boundary's values on Dirichlet sides."""
        return self.discretisation.with_held(self.to_nodes @ m)

    def change(self, m: Array, dm: Array) -> Change:
        """P dm, zero on Dirichlet sides."""
        du = np.asarray(self.to_nodes @ dm)
        du[self.discretisation.system.fixed] = 0.0
        return Change(initial=du)

    def gather(self, m: Array, steps: Iterable[AdjointStep]) -> Array:
        """P^T λ^0."""
        adjoint = np.zeros(self.to_nodes.shape[0])
        for step in steps:
            adjoint = step.adjoint
        return np.asarray(self.to_nodes.T @ adjoint)


class _LinearLoad(Entry):
    """F^n = F_known^n + S (w_n m) with weights of time; S is sparse or one column."""

    @abstractmethod
    def own(self, m: Array, n: int) -> Array:
        """The load of ``m`` alone at time level ``n``."""

    def load(self, m: Array) -> Forcing:
        """The known load and that of m."""
        return self.with_load(lambda n: self.own(m, n))

    def change(self, m: Array, dm: Array) -> Change:
        """The load of dm alone."""
        return Change(load=lambda n: self.own(dm, n))


class SourceField(_LinearLoad):
    """q = q_known + s(t) P m."""

    def __init__(self, discretisation: HeatDiscretisation, unknown: FieldUnknown) -> None:
        super().__init__(discretisation, unknown)
        config = discretisation.config.unknown
        assert isinstance(config, SourceConfig)
        profile = SpaceTime(config.profile, 0, "profile")
        point = np.zeros((1, 0))
        self.profile = np.array([profile(point, float(t))[0] for t in discretisation.times])
        volume = discretisation.system.volume
        self.spread = (volume.load @ unknown.matrix(volume.points)).tocsr()
        self._last: tuple[Array, Array] = (np.zeros(0), np.zeros(0))

    def own(self, m: Array, n: int) -> Array:
        """s(t_n) ∫ (P m) v; the integral is kept for the last m."""
        if not np.array_equal(self._last[0], m):
            self._last = (m.copy(), self.spread @ m)
        return np.asarray(self.profile[n] * self._last[1])

    def gather(self, m: Array, steps: Iterable[AdjointStep]) -> Array:
        """(∫ P^T v) Σ_n s(t_n) μ^n."""
        total = np.zeros(self.spread.shape[0])
        for step in steps:
            if step.load_adjoint is not None:
                total += self.profile[step.n] * step.load_adjoint
        return np.asarray(self.spread.T @ total)


class SideFlux(_LinearLoad):
    """F^n = F_known^n + g(t_n) ∫ v over one side, g linear between knots."""

    def __init__(self, discretisation: HeatDiscretisation, unknown: FieldUnknown) -> None:
        super().__init__(discretisation, unknown)
        config = discretisation.config.unknown
        assert isinstance(config, SideFluxConfig)
        if isinstance(discretisation.conditions[config.side], Dirichlet):
            raise ConfigError(
                f"unknown flux: side '{config.side}' holds u; give it kind 'flux' or 'robin' in "
                f"[problem.boundary.{config.side}]"
            )
        knots = unknown.variable.coords["knot"][1]
        self.in_time = multilinear([knots], discretisation.times[:, None])
        rule = discretisation.side_rule(config.side)
        self.column = np.asarray(rule.load @ np.ones(len(rule.weights)))

    def own(self, m: Array, n: int) -> Array:
        """g(t_n) ∫ v."""
        return np.asarray(float((self.in_time[[n]] @ m)[0]) * self.column)

    def gather(self, m: Array, steps: Iterable[AdjointStep]) -> Array:
        """T^T (μ^n · ∫ v)_n."""
        values = np.zeros(self.in_time.shape[0])
        for step in steps:
            if step.load_adjoint is not None:
                values[step.n] = step.load_adjoint @ self.column
        return np.asarray(self.in_time.T @ values)
