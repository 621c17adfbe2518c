"""Unknowns of the operator: the conductivity field and the heat transfer of one side."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import batched

import numpy as np

from pdeinv.errors import ConfigError, SolverDiverged
from pdeinv.fem.field_unknown import FieldUnknown
from pdeinv.fem.transient import Forcing
from pdeinv.model.reference import check_positive
from pdeinv.typing import Array

from .config import Robin
from .discrete import HeatDiscretisation
from .entries import AdjointStep, Change, Entry
from .unknown_config import RobinConfig

__all__ = ["Conductivity", "HeatTransfer"]

_BLOCK_BYTES = 1 << 20
"""Slopes of one block; larger ones leave the cache and cost three times as much."""


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
        check_positive(m, "conductivity", " of m")
        self.discretisation.system.set_operator(self._to_points @ m, self._robin)

    def change(self, m: Array, dm: Array) -> Change:
        """dK = K(P dm)."""
        return Change(stiffness=self.discretisation.system.stiffness_of(self._to_points @ dm))

    def gather(self, m: Array, steps: Iterable[AdjointStep]) -> Array:
        """-P^T (ω Σ_n ∇λ^n·∇v^n), a block of time levels at once."""
        rule = self.discretisation.system.conduction
        block = max(1, min(32, _BLOCK_BYTES // (8 * len(rule.weights))))
        total = np.zeros(len(rule.weights))
        pairs = ((s.adjoint, s.average) for s in steps if s.average is not None)
        for some in batched(pairs, block):
            adjoints, averages = (
                np.ascontiguousarray(np.stack(s).T) for s in zip(*some, strict=True)
            )
            for slope in rule.slopes:
                total += np.einsum("ij,ij->i", slope @ adjoints, slope @ averages)
        return np.asarray(self._from_points @ (-rule.weights * total))


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

    def gather(self, m: Array, steps: Iterable[AdjointStep]) -> Array:
        """Σ_n μ^n·∫ u_ambient v - λ^n·(R_1 v^n)."""
        total = 0.0
        for step in steps:
            load = self._ambient_load(step.n)
            if load is not None and step.load_adjoint is not None:
                total += float(step.load_adjoint @ load)
            if step.average is not None:
                total -= float(step.adjoint @ (self._unit_matrix @ step.average))
        return np.array([total])
