"""Moves of a kernel within modes and jumps between them, for chains with frozen references."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from pdeinv.bayes.posterior import Posterior
from pdeinv.bayes.reference import Reference
from pdeinv.engines.mcmc.chains import adapted
from pdeinv.engines.mcmc.kernel import (
    FIRST_STEP,
    MOMENT_DIM,
    MOST,
    Kernel,
    blend,
    kernel_about,
    reference_for,
)
from pdeinv.engines.mcmc.modes import Modes, searched_modes
from pdeinv.engines.mcmc.start import dispersed_start
from pdeinv.engines.requests import Steps
from pdeinv.engines.solvable import Place, first_point
from pdeinv.rng import set_aside
from pdeinv.typing import Array

__all__ = ["ModalKernel", "TunedModes", "tune_modes"]

GUIDED, BLIND = 0.8, 0.3
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
        kernel = replace(self.kernel, reference=self._reference(i))
        here = yield from kernel.at(place)
        moved = yield from kernel.move(here, rng, lambda a, b: self.modes.tilt(i, a, b))
        # where no move was accepted the place is the very same object, as two-level asks
        place = place if moved.point is here else moved.point.place
        jump = yield from self.modes.jump(place, rng)
        return jump.place, moved.chance

    def _reference(self, i: int) -> Reference:
        """That of mode i; the kernel's own is the same as a stored one but for rounding."""
        return self.modes.reference(i) if i else self.kernel.reference

    def stepping(self, chance: float, k: int) -> ModalKernel:
        """With the step size after move number ``k`` of its adaptation."""
        target = GUIDED if self.kernel.guided else BLIND
        log_step = adapted(self.kernel.log_step, chance, target, k, MOST)
        return replace(self, kernel=replace(self.kernel, log_step=log_step))

    def refined(self, xis: Array) -> ModalKernel:
        """With the moments of draws (n, dim) in the references of the modes that they are in."""
        nearest = np.array([self.modes.nearest(xi) for xi in xis])
        references = [blend(self._reference(i), xis[nearest == i]) for i in range(self.modes.count)]
        modes = self.modes.with_references(references)
        return ModalKernel(replace(self.kernel, reference=references[0]), modes)


@dataclass(frozen=True)
class TunedModes:
    """A frozen kernel and where its chain is."""

    kernel: ModalKernel
    place: Place


def _start(first: Reference, rng: np.random.Generator, *, dispersed: bool) -> Steps[Place]:
    if dispersed:
        return (yield from dispersed_start(first, rng))
    return (yield from first_point(rng, first.mean))


def tune_modes(
    posterior: Posterior,
    n_moves: int,
    rng: np.random.Generator,
    *,
    searches: int,
    start: Literal["mean", "prior"] = "prior",
    dispersed: bool = True,
    windows: int = 4,
) -> Steps[TunedModes]:
    """Find modes, start about the first, adapt their references and the step over ``n_moves``.

    With ``searches = 0``, ``start = "mean"`` and ``dispersed = False`` it is :func:`.kernel.tune`.

    Args:
        posterior: a cheap one, of which a chain is to be independent of all others.
        n_moves: moves in all.
        rng: of the chain.
        searches: from prior draws, for modes besides that of the first search.
        start: where the first search begins.
        dispersed: start wider than the first mode, else at it.
        windows: the draws of the second half of each refine the references.

    Raises:
        RunFailed: no starting point could be solved.
    """
    first = yield from reference_for(posterior, rng, start)
    modes = yield from searched_modes(posterior, first, searches, set_aside(rng))
    first = first if modes.count == 1 else modes.reference(0)
    kernel = ModalKernel(kernel_about(posterior, first, FIRST_STEP), modes)
    place = yield from _start(first, rng, dispersed=dispersed)
    length = max(2, n_moves // windows)
    for window in range(windows):
        places = []
        for i in range(length):
            place, chance = yield from kernel.move(place, rng)
            places.append(place.xi)
            kernel = kernel.stepping(chance, i + 5)
        kept = np.asarray(places[length // 2 :])
        if window < windows - 1 and posterior.dim <= MOMENT_DIM:
            kernel = kernel.refined(kept)
    return TunedModes(kernel, place)
