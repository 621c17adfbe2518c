"""The heat equation of one configuration on one mesh: matrices, loads and prescribed values."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pdeinv.errors import ConfigError
from pdeinv.fem.domain import Domain
from pdeinv.fem.levels import HIGHEST
from pdeinv.fem.nodal import NodalSpace, Rule
from pdeinv.fem.quadrature import LOAD_DEGREE
from pdeinv.fem.schemes import SCHEMES
from pdeinv.fem.spacetime import SpaceTime
from pdeinv.fem.transient import ParabolicSystem
from pdeinv.memory import check_fits
from pdeinv.typing import Array

from .config import Boundary, Dirichlet, Flux, HeatConfig, Robin

__all__ = ["HeatDiscretisation", "steps_at"]


def steps_at(config: HeatConfig, level: int) -> int:
    """Time steps of a level: doubled per level, as the cells are.

    Raises:
        ConfigError: the steps cannot be halved that often, or so many cannot fit into memory.
    """
    steps = config.time.steps
    if level >= 0:
        fine = steps << min(level, HIGHEST)
        check_fits(f"{fine:.3g} time steps", 16 * fine, "lower time.steps or the level")
        return fine
    if steps % (1 << -level):
        raise ConfigError(
            f"level {level}: {steps} time steps cannot be halved {-level} times; choose a multiple "
            f"of {1 << -level}"
        )
    return steps >> -level


@dataclass(frozen=True)
class _Term:
    """A load E^T ω (factor · f(x, t)); ``spread`` is E^T ω times the factor."""

    function: SpaceTime
    points: Array
    spread: Any

    def __call__(self, t: float) -> Array:
        return np.asarray(self.spread @ self.function(self.points, t))


class HeatDiscretisation:
    """What does not depend on the unknown.

    Args:
        config: the problem.
        domain: its domain.
        level: of the mesh and the time step.

    Attributes:
        config, level: as given.
        space: the elements.
        system: the equation in time.
    """

    def __init__(self, config: HeatConfig, domain: Domain, level: int) -> None:
        self.config, self.level = config, level
        self.space = NodalSpace(domain.mesh(level), config.element, domain.nodes(level))
        self.conditions: dict[str, Boundary] = {
            side: config.boundary.get(side, Dirichlet()) for side in domain.sides
        }
        self._drop_unnamed(domain)
        self._dirichlet = {
            side: (config.function(c.value, f"u on side '{side}'"), self.space.dofs_on([side]))
            for side, c in self.conditions.items()
            if isinstance(c, Dirichlet)
        }
        none = np.zeros(0, dtype=np.int64)
        fixed = np.unique(np.concatenate([none, *(d for _, d in self._dirichlet.values())]))
        steps = steps_at(config, level)
        self.system = ParabolicSystem(
            self.space,
            lambda p: self._positive("capacity", p),
            fixed,
            SCHEMES[config.time.scheme],
            config.time.final / steps,
            steps,
        )

    def _drop_unnamed(self, domain: Domain) -> None:
        if "" in self.conditions and not (self.space.mesh.tags == 0).any():
            del self.conditions[""]

    def _positive(self, name: str, points: Array) -> Array:
        values = self.config.function(getattr(self.config, name), name, timed=False)(points)
        if not (values > 0).all():
            k = int(np.flatnonzero(~(values > 0))[0])
            raise ConfigError(
                f"the {name} must be positive; at ({', '.join(f'{v:.4g}' for v in points[k])}) it "
                f"is {values[k]:g}"
            )
        return values

    @property
    def times(self) -> Array:
        """The time levels."""
        s = self.system
        return np.arange(s.steps + 1, dtype=np.float64) * (self.config.time.final / s.steps)

    @cached_property
    def known_conductivity(self) -> Array:
        """k of the configuration at the conduction points."""
        return self._positive("conductivity", self.system.conduction.points)

    def evaluate(self, *, conductivity: bool) -> None:
        """Evaluate the formulas of the configuration once.

        Args:
            conductivity: whether k is one of them.

        Raises:
            ConfigError: one that is out of range or not finite.
        """
        if conductivity:
            _ = self.known_conductivity
        self.robin()
        self.loads()
        self.known_initial()

    def side_rule(self, side: str) -> Rule:
        """The quadrature rule of one side."""
        return self.space.facet_rule(side, LOAD_DEGREE[self.config.element])

    def robin_mass(self, side: str, coefficient: SpaceTime) -> Array:
        """The entries of ∫ h u v over one side in the system's pattern.

        Raises:
            ConfigError: the coefficient is negative somewhere.
        """
        rule = self.side_rule(side)
        h = coefficient(rule.points)
        if (h < 0).any():
            raise ConfigError(
                f"the robin coefficient on side '{side}' must not be negative, got {h.min():g}"
            )
        return self.system.entries_of(rule.values.T @ (rule.values * (rule.weights * h)[:, None]))

    def robin(self, without: str | None = None) -> Array | None:
        """The entries of all Robin terms but that of one side."""
        total: Array | None = None
        for side, c in self.conditions.items():
            if isinstance(c, Robin) and side != without:
                h = self.config.function(c.coefficient, f"coefficient on '{side}'", timed=False)
                part = self.robin_mass(side, h)
                total = part if total is None else total + part
        return total

    def _terms(self, without: str | None) -> list[_Term]:
        """Sources, fluxes and ambient values; ``without`` names a Robin side left out."""
        config, terms = self.config, []
        source = config.function(config.source, "source")
        volume = self.system.volume
        if not source.zero:
            terms.append(_Term(source, volume.points, volume.load))
        for side, c in self.conditions.items():
            if isinstance(c, Flux):
                f, sign, factor = config.function(c.value, f"flux on side '{side}'"), -1.0, None
            elif isinstance(c, Robin) and side != without:
                f, sign = config.function(c.ambient, f"ambient value on side '{side}'"), 1.0
                factor = config.function(c.coefficient, f"coefficient on '{side}'", timed=False)
            else:
                continue
            if not f.zero:
                rule = self.side_rule(side)
                weights = sign * (1.0 if factor is None else factor(rule.points))
                terms.append(_Term(f, rule.points, rule.load * weights))
        return terms

    def loads(self, without: str | None = None) -> KnownLoads:
        """The known right-hand side; ``without`` names a Robin side whose load is left out."""
        bound = 0.25e6 * self.config.time.memory_mb
        return KnownLoads(self._terms(without), self.times, self.space.size, bound)

    def held(self, n: int) -> Array | None:
        """u on the fixed degrees of freedom at time level ``n``; None where all is zero."""
        if not self._lifted:
            return None
        if self._held_steady is not None:
            return self._held_steady
        return self._held_at(float(self.times[n]))

    @cached_property
    def _lifted(self) -> bool:
        return any(not f.zero for f, _ in self._dirichlet.values())

    @cached_property
    def _held_steady(self) -> Array | None:
        if all(f.steady for f, _ in self._dirichlet.values()):
            return self._held_at(0.0)
        return None

    def _held_at(self, t: float) -> Array:
        """Where two sides meet, the later one wins."""
        values = np.zeros(self.space.size)
        for function, dofs in self._dirichlet.values():
            values[dofs] = function(self.space.points[dofs], t)
        return values[self.system.fixed]

    def known_initial(self) -> Array:
        """u^0 of the configuration."""
        config = self.config
        initial = config.function(config.initial, "initial state", timed=False)
        return self.with_held(initial(self.space.points))

    def with_held(self, u0: Array) -> Array:
        """The initial state with the boundary's values on Dirichlet sides."""
        u0 = u0.copy()
        held = self.held(0)
        u0[self.system.fixed] = 0.0 if held is None else held
        return u0


class KnownLoads:
    """F^n of the known sources; steady parts are assembled once, others kept while they fit.

    Args:
        terms: the loads.
        times: the time levels.
        size: degrees of freedom.
        bound: bytes that may be kept.
    """

    def __init__(self, terms: list[_Term], times: Array, size: int, bound: float) -> None:
        self._times = times
        self._timed = [t for t in terms if not t.function.steady]
        steady = [t(0.0) for t in terms if t.function.steady]
        self._steady: Array | None = np.sum(steady, axis=0, dtype=np.float64) if steady else None
        self._kept: dict[int, Array] | None = {} if 8.0 * size * len(times) <= bound else None

    def __call__(self, n: int) -> Array | None:
        """F^n, or None where it is zero."""
        if not self._timed:
            return self._steady
        if self._kept is not None and n in self._kept:
            return self._kept[n]
        t = float(self._times[n])
        total: Array = sum((term(t) for term in self._timed[1:]), self._timed[0](t))
        if self._steady is not None:
            total = total + self._steady
        if self._kept is not None:
            self._kept[n] = total
        return total
