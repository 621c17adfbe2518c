"""Unknowns of the operator: the conductivity field and the heat transfer of one side."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

import numpy as np

from pdeinv.errors import ConfigError, SolverDiverged
from pdeinv.fem.field_unknown import FieldUnknown
from pdeinv.fem.marching import Forcing
from pdeinv.fem.pairs import summed_pairs
from pdeinv.model.reference import check_positive
from pdeinv.typing import Array

from .config import Robin
from .discrete import HeatDiscretisation
from .entries import AdjointStep, Change, Entry
from .unknown_config import RobinConfig

__all__ = ["Conductivity", "HeatTransfer"]


class Conductivity(Entry):
    """κ = P m at the quadrature points."""

    operator = True
    loads = False
    linear = False

    def __init__(self, discretisation: HeatDiscretisation, unknown: FieldUnknown) -> None:
        super().__init__(discretisation, unknown)
        self.to_points = unknown.matrix(discretisation.system.conduction.points)
        self.robin = discretisation.robin()

    @cached_property
    def tensor(self) -> Any:
        """T P with K(P m) = T P m in its lower triangle, CSR of shape (lower, n_m)."""
        found = self.discretisation.system.tensor
        lower = found.rows >= found.columns
        every = np.arange(self.discretisation.space.size)
        return found.part(lower, every).of_parameters(self.to_points).map

    @cached_property
    def _back(self) -> Any:
        return self.tensor.T.tocsr()

    def check(self, m: Array) -> None:
        """Refuse an m that is not positive and finite."""
        check_positive(m, "conductivity", " of m")

    def set_operator(self, m: Array) -> None:
        """K(P m) + R.

        Raises:
            SolverDiverged: m is not positive and finite.
        """
        self.check(m)
        self.discretisation.system.set_operator(self.to_points @ m, self.robin)

    def change(self, m: Array, dm: Array) -> Change:
        """dK = K(P dm)."""
        return Change(stiffness=self.discretisation.system.stiffness_of(self.to_points @ dm))

    def gather(self, m: Array, steps: Iterable[AdjointStep]) -> Array:
        """-(T P)^T of the products of λ^n and v^n on the matrix pattern."""
        system = self.discretisation.system
        pairs = ((s.adjoint, s.average) for s in steps if s.average is not None)
        return np.asarray(-(self._back @ summed_pairs(system.space.size, *system.lower, pairs)))


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
        self.unit = d.robin_mass(config.side, one)
        self.unit_matrix = d.system.like(self.unit)
        self.others = d.robin(without=config.side)
        self.known = d.loads(without=config.side)
        rule = d.side_rule(config.side)
        self._rule = rule
        self._ambient = d.config.function(condition.ambient, "ambient value")

    def check(self, m: Array) -> None:
        """Refuse a negative h, or one that is not finite."""
        if not (np.isfinite(m[0]) and m[0] >= 0):
            raise SolverDiverged(f"heat transfer must be finite and not negative, got {m[0]:g}")

    def set_operator(self, m: Array) -> None:
        """K + h R_1.

        Raises:
            SolverDiverged: h is negative or not finite.
        """
        self.check(m)
        d = self.discretisation
        others = 0.0 if self.others is None else self.others
        d.system.set_operator(d.known_conductivity, others + m[0] * self.unit)

    def ambient_load(self, n: int) -> Array | None:
        """∫ u_ambient v, None where it is zero."""
        if self._ambient.zero:
            return None
        t = float(self.discretisation.times[n])
        return np.asarray(self._rule.load @ self._ambient(self._rule.points, t))

    def _times_ambient(self, h: float) -> Forcing:
        def forcing(n: int) -> Array | None:
            load = self.ambient_load(n)
            return None if load is None else h * load

        return forcing

    def load(self, m: Array) -> Forcing:
        """The known load and h ∫ u_ambient v."""
        return self.with_load(self._times_ambient(float(m[0])))

    def change(self, m: Array, dm: Array) -> Change:
        """dh R_1 and dh ∫ u_ambient v."""
        dh = float(dm[0])
        return Change(load=self._times_ambient(dh), stiffness=dh * self.unit_matrix)

    def gather(self, m: Array, steps: Iterable[AdjointStep]) -> Array:
        """Σ_n μ^n·∫ u_ambient v - λ^n·(R_1 v^n)."""
        total = 0.0
        for step in steps:
            load = self.ambient_load(step.n)
            if load is not None and step.load_adjoint is not None:
                total += float(step.load_adjoint @ load)
            if step.average is not None:
                total -= float(step.adjoint @ (self.unit_matrix @ step.average))
        return np.array([total])
