"""Runs of a tile of unknowns with their tangents and adjoints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from pdeinv.fem.trajectory import Trajectory
from pdeinv.kernels.spare import SpareArrays
from pdeinv.typing import Array

from .clock import Clock
from .factors import Scaled
from .growth import Diffusion, Step
from .reads import Reads
from .seed import Seed
from .unknown import Parameters

__all__ = ["Run", "States"]

States = Iterator[tuple[int, Array]]


@dataclass(frozen=True)
class _Part:
    """Steps first ... end − 1, of one length."""

    first: int
    end: int
    length: Array
    step: Step


def _part(parts: Sequence[_Part], n: int) -> _Part:
    """The part that step ``n`` belongs to."""
    return next(p for p in parts if n < p.end)


def _march(parts: Sequence[_Part], past: Sequence[Array], first: int, last: int) -> States:
    """Levels ``first`` ... ``last`` from the one before, the first of ``past``."""
    c = past[0]
    for n in range(first - 1, last):
        c = _part(parts, n).step(n, c)
        yield n + 1, c


@dataclass
class Run:
    """c for one tile of unknowns, from the seed to the last level that is read.

    Attributes:
        unknown: the tile.
        seed: the first state.
        rates: D and ρ by their factors.
        clock: the steps.
        diffusion: in space.
        segment: steps between states that are kept for the adjoint.
        spare: lends memory for those.
    """

    unknown: Parameters
    seed: Seed
    rates: tuple[Scaled, Scaled]
    clock: Clock
    diffusion: Diffusion
    segment: int
    spare: SpareArrays
    _kept: tuple[Trajectory, Array] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._parts: list[_Part] = []
        first, u = 0, self.unknown
        self._spread = self.rates[0].of(u.diffusivity, u.spread)
        self._pace = self.rates[1].of(u.growth_rate, u.pace)
        for count, length in self.clock.lengths(u.duration):
            stages = self.diffusion.stages(self._spread * length)
            step = Step(stages, self._pace * length / 2)
            self._parts.append(_Part(first, first + count, length, step))
            first += count

    def states(self, last: int) -> States:
        """(n, c^n) from n = 0 on."""
        start = self.seed(self.unknown.seed)
        yield 0, start
        yield from _march(self._parts, [start], 1, last)

    def data(self, reads: Reads, *, again: bool) -> Array:
        """The data, (n_d, width); the states are kept where an adjoint will ask for them."""
        if again and reads.last > 0:
            return self._recorded(reads)[1].copy()
        return reads.data(self.states(reads.last))

    def _recorded(self, reads: Reads) -> tuple[Trajectory, Array]:
        """The states and the data, which are taken from the same run."""
        if self._kept is None:
            # without the run itself, which would hold the states until a garbage collection
            restart = partial(_march, self._parts)
            kept = Trajectory(reads.last, self.segment, restart, self.spare)
            self._kept = kept, reads.data(kept.recorded(self.states(reads.last)))
        return self._kept

    def tangent(self, reads: Reads, change: Parameters) -> Array:
        """The change of the data with the unknown, by one more run."""
        return reads.data(self._changes(reads.last, change))

    def _changes(self, last: int, change: Parameters) -> States:
        u = self.unknown
        c, dc = self.seed(u.seed), self.seed.tangent(u.seed, change.seed)
        spread, pace = self.rates
        more = spread.change(u.diffusivity, u.spread, change.diffusivity, change.spread)
        faster = pace.change(u.growth_rate, u.pace, change.growth_rate, change.pace)
        yield 0, dc
        for n in range(last):
            part = _part(self._parts, n)
            longer = self._longer(part) * change.duration
            da = more * part.length + self._spread * longer
            dr = faster * part.length + self._pace * longer
            c, dc = part.step.tangent(n, c, dc, da, dr)
            yield n + 1, dc

    def _longer(self, part: _Part) -> float:
        """How much longer a step gets by a longer duration."""
        return 1 / self.clock.before if part.end == self.clock.before else 0.0

    def adjoint(self, reads: Reads, w: Array) -> Parameters:
        """The gradient of w·d by the unknown, by one run backwards."""
        u = self.unknown
        spread, rate, longer = (np.zeros_like(x) for x in (self._spread, self._pace, u.duration))
        last = reads.last
        adjoint = np.asarray(reads.source(last, w))
        walk = self._recorded(reads)[0].backward() if reads.last > 0 else iter(())
        for n, now, before in walk:
            part = _part(self._parts, n - 1)
            adjoint, ga, gr = part.step.adjoint(n - 1, before, now, adjoint)
            adjoint = adjoint + reads.source(n - 1, w)
            spread += ga * part.length
            rate += gr * part.length
            longer += self._longer(part) * (_total(ga * self._spread) + _total(gr * self._pace))
        still = np.zeros_like(u.thresholds), np.zeros_like(u.levels)
        on_d, on_spread = self.rates[0].pull(u.diffusivity, u.spread, spread)
        on_rho, on_pace = self.rates[1].pull(u.growth_rate, u.pace, rate)
        seed = self.seed.adjoint(u.seed, adjoint)
        return Parameters(on_d, on_rho, seed, longer, *still, on_spread, on_pace)


def _total(x: Array) -> Array:
    """Lane by lane, (width,), of numbers of each lane or of each point."""
    return x if x.ndim == 1 else np.asarray(np.add.reduce(x, axis=0))
