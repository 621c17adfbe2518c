"""Unknowns of the operator: the conductivity field and the heat transfer of one side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pdeinv.errors import ConfigError, SolverDiverged
from pdeinv.fem.field_unknown import FieldUnknown
from pdeinv.fem.transient import Forcing
from pdeinv.typing import Array

from .config import Robin
from .discrete import HeatDiscretisation
from .entries import Change, Entry, Gatherer
from .unknown_config import RobinConfig

__all__ = ["Conductivity", "HeatTransfer"]


class Conductivity(Entry):
    """κ = P m at the quadrature points."""

    operator = True
    loads = False
    linear = False

    def __init__(self, discretisation: HeatDiscretisation, unknown: FieldUnknown) -> None:
        super().__init__(discretisation, unknown)
        self._to_points = unknown.matrix(discretisation.system.conduction.points)
        self._from_points = self._to_points.T.tocsr()
        self._robin = discretisation.robin()

    def set_operator(self, m: Array) -> None:
        """K(P m) + R.

        Raises:
            SolverDiverged: m is not positive and finite.
        """
        if not (m.min() > 0 and m.max() < np.inf):
            k = int(np.flatnonzero(~((m > 0) & (m < np.inf)))[0])
            raise SolverDiverged(
                f"conductivity must be positive and finite; value {k} of m is {m[k]:g}"
            )
        self.discretisation.system.set_operator(self._to_points @ m, self._robin)

    def change(self, m: Array, dm: Array) -> Change:
        """dK = K(P dm)."""
        return Change(stiffness=self.discretisation.system.stiffness_of(self._to_points @ dm))

    def gather(self, m: Array) -> Gatherer:
        """-P^T (ω Σ_n ∇λ^n·∇v^n)."""
        return _Slopes(self.discretisation.system.conduction, self._from_points)


class _Slopes:
    """Sums ∇λ·∇v at quadrature points, a block of time levels at once."""

    BLOCK_BYTES = 1 << 20
    """Slopes of one block; larger ones leave the cache and cost three times as much."""

    def __init__(self, rule: Any, back: Any) -> None:
        self._rule, self._back = rule, back
        n = rule.values.shape[1]
        self._block = max(1, min(32, self.BLOCK_BYTES // (8 * len(rule.weights))))
        self._pairs = np.empty((2, self._block, n))
        self._filled = 0
        self._total = np.zeros(len(rule.weights))

    def add(
        self, n: int, adjoint: Array, load_adjoint: Array | None, average: Array | None
    ) -> None:
        if average is None:
            return
        self._pairs[0, self._filled] = adjoint
        self._pairs[1, self._filled] = average
        self._filled += 1
        if self._filled == self._block:
            self._flush()

    def _flush(self) -> None:
        adjoints, averages = (np.ascontiguousarray(p[: self._filled].T) for p in self._pairs)
        for slope in self._rule.slopes:
            self._total += np.einsum("ij,ij->i", slope @ adjoints, slope @ averages)
        self._filled = 0

    def result(self) -> Array:
        self._flush()
        return np.asarray(self._back @ (-self._rule.weights * self._total))


class HeatTransfer(Entry):
    """h of one Robin side: K = K_known + h R_1 and F = F_known + h ∫ u_ambient v."""

    operator = True
    linear = False

    def __init__(self, discretisation: HeatDiscretisation, unknown: FieldUnknown) -> None:
        super().__init__(discretisation, unknown)
        d, config = discretisation, discretisation.config.unknown
        assert isinstance(config, RobinConfig)
        condition = d.conditions[config.side]
        if not isinstance(condition, Robin):
            raise ConfigError(
                f"unknown robin: side '{config.side}' is of kind '{condition.kind}'; give it kind "
                f"'robin' in [problem.boundary.{config.side}]"
            )
        one = d.config.function(1.0, "coefficient", timed=False)
        self._unit = d.robin_mass(config.side, one)
        self._unit_matrix = d.system.like(self._unit)
        self._others = d.robin(without=config.side)
        self._loads = d.loads(without=config.side)
        rule = d.side_rule(config.side)
        self._rule = rule
        self._ambient = d.config.function(condition.ambient, "ambient value")

    def set_operator(self, m: Array) -> None:
        """K + h R_1.

        Raises:
            SolverDiverged: h is negative or not finite.
        """
        if not (np.isfinite(m[0]) and m[0] >= 0):
            raise SolverDiverged(f"heat transfer must be finite and not negative, got {m[0]:g}")
        d = self.discretisation
        others = 0.0 if self._others is None else self._others
        d.system.set_operator(d.known_conductivity, others + m[0] * self._unit)

    def _ambient_load(self, n: int) -> Array | None:
        if self._ambient.zero:
            return None
        t = float(self.discretisation.times[n])
        return np.asarray(self._rule.load @ self._ambient(self._rule.points, t))

    def _times_ambient(self, h: float) -> Forcing:
        def forcing(n: int) -> Array | None:
            load = self._ambient_load(n)
            return None if load is None else h * load

        return forcing

    def load(self, m: Array) -> Forcing:
        """The known load and h ∫ u_ambient v."""
        return self.with_load(self._times_ambient(float(m[0])))

    def change(self, m: Array, dm: Array) -> Change:
        """dh R_1 and dh ∫ u_ambient v."""
        dh = float(dm[0])
        return Change(load=self._times_ambient(dh), stiffness=dh * self._unit_matrix)

    def gather(self, m: Array) -> Gatherer:
        """Σ_n μ^n·∫ u_ambient v - λ^n·(R_1 v^n)."""
        return _Transfer(self._unit_matrix, self._ambient_load)


@dataclass
class _Transfer:
    unit: Any
    ambient: Forcing
    total: float = 0.0

    def add(
        self, n: int, adjoint: Array, load_adjoint: Array | None, average: Array | None
    ) -> None:
        load = self.ambient(n)
        if load is not None and load_adjoint is not None:
            self.total += float(load_adjoint @ load)
        if average is not None:
            self.total -= float(adjoint @ (self.unit @ average))

    def result(self) -> Array:
        return np.array([self.total])
