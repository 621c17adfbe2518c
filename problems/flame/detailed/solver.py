"""Flames of one mechanism on one level, found from the base of their experiment; derivatives."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pdeinv.errors import SolverDiverged
from pdeinv.typing import Array

from .base import Base, base_of, solved_from
from .config import DetailedConfig
from .inlet import Inlet
from .mechanism import gas_of
from .quantities import Layout
from .rates import LN10, Sought
from .slopes import by_inlet, by_rates, state_slopes
from .stack import Stack, names_of
from .unknown import Unknown

__all__ = ["Solver", "layout_of"]

HALVINGS = 4
"""How often the way from the middle of the priors to m is halved before a flame is given up."""


def layout_of(config: DetailedConfig, gas: Any) -> Layout:
    """The rows of states of a configuration."""
    species = tuple(gas.species_names)
    return Layout(names_of(config, gas), species, np.array(gas.molecular_weights))


@dataclass(frozen=True)
class Solver:
    """Flames of one mechanism on one level.

    Attributes:
        config: of the problem.
        level: of the grids.
        gas: whose rates are set for each solve.
        unknown: what is sought.
    """

    config: DetailedConfig
    level: int
    gas: Any
    unknown: Unknown

    @classmethod
    def of(cls, config: DetailedConfig, level: int) -> Solver:
        """With a gas of its own.

        Raises:
            ConfigError: the mechanism cannot be read, or lacks what is sought.
        """
        gas = gas_of(config)
        return cls(config, level, gas, Unknown.of(config, gas))

    @classmethod
    def weighted(cls, config: DetailedConfig, level: int) -> list[tuple[float, Solver]]:
        """Those whose data add up to the data of a level, with their weights.

        Upwind differences err by a first power of the cells, which two grids cancel.

        Raises:
            ConfigError: as :meth:`of` says.

        Reference: Richardson (1911).
        """
        if not config.extrapolate:
            return [(1.0, cls.of(config, level))]
        return [(2.0, cls.of(config, level)), (-1.0, cls.of(config, level - 1))]

    def base(self, at: Inlet) -> Base:
        """What solves at a state of the inlet begin from.

        Raises:
            ConfigError: there is no flame.
        """
        return base_of(self.config, self.level, at)

    def state(self, at: Inlet, m: Array) -> Array:
        """The flame of m, found from the base, or on a way from there.

        Raises:
            SolverDiverged: there is none.
        """
        self.unknown.check(m)
        base = self.base(at)
        try:
            return self._from(base, at, m)
        except SolverDiverged:
            return self._on_the_way(base, at, m)

    def _on_the_way(self, base: Base, at: Inlet, m: Array) -> Array:
        middle = self.unknown.middle(at)
        for k in range(1, HALVINGS):
            with suppress(SolverDiverged):
                return self._in_steps(base, at, (middle, m), 2**k)
        return self._in_steps(base, at, (middle, m), 2**HALVINGS)

    def _in_steps(self, base: Base, at: Inlet, ends: tuple[Array, Array], steps: int) -> Array:
        here = base
        for part in np.linspace(0.0, 1.0, steps + 1)[1:]:
            found = self._from(here, at, (1.0 - part) * ends[0] + part * ends[1])
            here = replace(here, state=found)
        return here.state

    def _from(self, start: Base, at: Inlet, m: Array) -> Array:
        return solved_from(start, self.stack(at, m))

    def stack(self, at: Inlet, m: Array) -> Stack:
        """The flame of m on the grid of the base, not solved."""
        self.unknown.set(self.gas, m)
        return Stack(self.config, self.gas, self.unknown.inlet(at, m), self.base(at).grid)

    def slopes(self, at: Inlet, m: Array, state: Array) -> Array:
        """How a state changes with m, (names, n, n_m).

        Raises:
            SolverDiverged: the matrix is singular.
        """
        stack = self._solved(at, m, state)
        by = by_rates(stack, state, self.unknown.rates)
        by += by_inlet(stack, state, self.unknown.inlet(at, m), self.unknown.states)
        return state_slopes(stack, state, by)

    def by_each(self, at: Inlet, m: Array, state: Array) -> Array:
        """How the velocity at the inlet changes with ln k of each reaction, (reactions,).

        Raises:
            SolverDiverged: the matrix is singular.
        """
        every = [Sought("log_a", (i,), "", 1.0) for i in range(self.gas.n_reactions)]
        stack = self._solved(at, m, state)
        found = state_slopes(stack, state, by_rates(stack, state, every))
        return np.asarray(found[0, 0] / LN10)

    def _solved(self, at: Inlet, m: Array, state: Array) -> Stack:
        """The flame of m with the state that was found for it."""
        base, stack = self.base(at), self.stack(at, m)
        stack.put(state)
        if base.pinned >= 0:
            stack.pin(float(base.state[1, base.pinned]))
        stack.transport()
        return stack
