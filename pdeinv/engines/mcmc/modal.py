"""Moves of a kernel within modes and jumps between them, for chains with frozen references."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pdeinv.bayes.reference import Reference
from pdeinv.engines.mcmc.chains import adapted
from pdeinv.engines.mcmc.kernel import MOST, Kernel, Moved, Point
from pdeinv.engines.mcmc.modes import Modes
from pdeinv.engines.requests import Steps
from pdeinv.engines.solvable import Place

__all__ = ["ModalKernel"]

GUIDED, BLIND = 0.9, 0.3
"""The acceptance that the step is adapted to, with and without derivatives."""


@dataclass(frozen=True)
class ModalKernel:
    """A kernel that moves about the reference of the mode that a chain is in, and jumps.

    With one mode its moves are those of the kernel, to the bit. It is exact for the posterior
    however good its modes are (:mod:`pdeinv.engines.mcmc.modes`) and has no memory of the mode.

    Attributes:
        kernel: step size and length; its reference is that of mode 0.
        modes: frozen.
    """

    kernel: Kernel
    modes: Modes

    def trail(self, place: Place, n: int, rng: np.random.Generator) -> Steps[list[Place]]:
        """Where each of ``n`` moves, with a jump each where there are modes to go to, leads."""
        if self.modes.count == 1:
            return (yield from self.kernel.trail(place, n, rng))
        places = []
        for _ in range(n):
            place, _chance = yield from self.move(place, rng)
            places.append(place)
        return places

    def move(self, place: Place, rng: np.random.Generator) -> Steps[tuple[Place, float]]:
        """One move and one jump from a place: where they lead, and how likely the move was."""
        i = self.modes.drawn(place.xi, rng)
        kernel = replace(self.kernel, reference=self.reference(i))
        here = yield from kernel.at(place)
        moved = yield from kernel.move(here, rng, lambda a, b: self.modes.tilt(i, a, b))
        # where no move was accepted the place is the very same object, as two-level asks
        place = place if moved.point is here else moved.point.place
        jump = yield from self.modes.jump(place, rng)
        return jump.place, moved.chance

    def step(self, here: Point, rng: np.random.Generator) -> Steps[Moved]:
        """The same from a point about the kernel's own reference to another."""
        if self.modes.count == 1:
            return (yield from self.kernel.move(here, rng))
        place, chance = yield from self.move(here.place, rng)
        return Moved(here if place is here.place else (yield from self.kernel.at(place)), chance)

    def nearer(self, path: float) -> ModalKernel:
        """With shorter trajectories, of that mean length."""
        return replace(self, kernel=replace(self.kernel, path=min(path, self.kernel.path)))

    def with_references(self, references: Sequence[Reference]) -> ModalKernel:
        """About other Gaussians."""
        modes = self.modes.with_references(references)
        return ModalKernel(replace(self.kernel, reference=references[0]), modes)

    def reference(self, i: int) -> Reference:
        """That of mode i; the kernel's own is the same as a stored one but for rounding."""
        return self.modes.reference(i) if i else self.kernel.reference

    def stepping(self, chance: float, k: int) -> ModalKernel:
        """With the step size after move number ``k`` of its adaptation."""
        target = GUIDED if self.kernel.guided else BLIND
        log_step = adapted(self.kernel.log_step, chance, target, k, MOST)
        return replace(self, kernel=replace(self.kernel, log_step=log_step))
