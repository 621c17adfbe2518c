"""Tuning of a kernel on one posterior: where it starts, its modes, references and step."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pdeinv.bayes.posterior import Posterior
from pdeinv.bayes.prior import cost
from pdeinv.bayes.reference import Reference
from pdeinv.engines.mcmc.adaptation import Moments, turning_points, with_directions
from pdeinv.engines.mcmc.kernel import (
    FIRST_STEP,
    kernel_about,
    reference_for,
)
from pdeinv.engines.mcmc.modal import ModalKernel
from pdeinv.engines.mcmc.modes import ManyModesConfig, Modes, searched_modes
from pdeinv.engines.mcmc.start import dispersed_start
from pdeinv.engines.requests import Misfit, Steps
from pdeinv.engines.solvable import Place, in_reach
from pdeinv.model.forward import DERIVATIVES
from pdeinv.rng import set_aside
from pdeinv.typing import Array

__all__ = ["Tuned", "tune"]

SEARCHES, SLACK = 4, 25.0
"""Most searches for a place to start; nats above the best of them at which one still counts."""

FEWER = 8
"""So many times fewer moves tune where draws of about the same posterior are at hand."""


@dataclass(frozen=True)
class Tuned:
    """A frozen kernel and where its chain is."""

    kernel: ModalKernel
    place: Place


def _own_reference(posterior: Posterior, rng: np.random.Generator) -> Steps[Reference]:
    """The Laplace approximation that a search from a prior draw of one's own ends at.

    A search may get stuck far from anything that explains the data. Where it ends with more than
    twice the misfit to expect, others are made, and the first is taken that ends near the best: not
    the best itself, so that modes of one height are found alike.
    """
    found = list[tuple[float, Reference]]()
    for _ in range(SEARCHES if posterior.model.capabilities >= DERIVATIVES else 0):
        reference = yield from reference_for(posterior, rng, "prior")
        if not reference.basis.shape[1] or not in_reach(posterior, reference.mean):
            continue  # it failed, or left what a learned model knows
        misfit = float((yield Misfit(reference.mean)))
        found.append((misfit + float(cost(reference.mean)), reference))
        if misfit <= posterior.n_data:
            return reference
    if not found:
        return Reference.standard(posterior.dim)
    least = min(height for height, _ in found)
    near = max(SLACK, 0.5 * posterior.dim)
    return next(r for height, r in found if height <= least + near)


def tune(
    posterior: Posterior, n_moves: int, rng: np.random.Generator, searches: int | None = None
) -> Steps[Tuned]:
    """Find modes and adapt their references and the step, from a start that no other chain shares.

    The search for the MAP point begins at a prior draw and the first place is a wide draw about
    what it finds; further searches from prior draws look for modes to jump to. Moments of the
    chain's own draws change the references at 30, 55 and 85 % of the moves, along at most 200
    directions; the step size adapts throughout, to an acceptance of 0.8 with and 0.3 without
    derivatives. No move leaves the reach of a learned model (:func:`.solvable.in_reach`). Where the
    posterior has ``seen``, references begin with the moments of that, and an eighth of the moves
    will do.

    Args:
        posterior: a cheap one.
        n_moves: moves in all.
        rng: of the chain.
        searches: for further modes; None for as many as other samplers make.

    Raises:
        RunFailed: no starting point could be solved.
    """
    first = yield from _own_reference(posterior, rng)
    n = ManyModesConfig(searches=searches).searches_for(posterior)
    modes = yield from searched_modes(posterior, first, n, set_aside(rng))
    modes = modes.leading_with_mass()
    first = modes.first(first)
    place = yield from dispersed_start(first, rng)
    learned = Learning.begun(posterior, modes, first)
    if posterior.seen is not None:
        learned, n_moves = learned.having_seen(posterior.seen), max(1, n_moves // FEWER)
    here = yield from learned.kernel.kernel.at(place)
    began, *turns = turning_points(n_moves)
    for k in range(1, n_moves + 1):
        moved = yield from learned.kernel.step(here, rng)
        if in_reach(posterior, moved.point.place.xi):
            here = moved.point
        since = k - max([0, *(t for t in turns if t < k)])
        learned = learned.stepped(moved.chance, since + 4)
        if k > began:
            learned.see(here.place.xi)
        if k in turns:
            learned = learned.turned()
            here = yield from learned.kernel.kernel.at(here.place)
    return Tuned(learned.kernel, here.place)


@dataclass(frozen=True)
class Learning:
    """A kernel that adapts, with the moments of the draws in each mode since it last changed."""

    kernel: ModalKernel
    moments: list[Moments]

    @classmethod
    def begun(cls, posterior: Posterior, modes: Modes, first: Reference) -> Learning:
        """With all directions that moments can be learned along."""
        found = [first, *(modes.reference(i) for i in range(1, modes.count))]
        whole = [with_directions(reference) for reference in found]
        kernel = ModalKernel(kernel_about(posterior, whole[0], FIRST_STEP), modes)
        return cls._of(kernel.with_references(whole))

    @classmethod
    def _of(cls, kernel: ModalKernel) -> Learning:
        count = kernel.modes.count
        return cls(kernel, [Moments.none(kernel.reference(i)) for i in range(count)])

    def stepped(self, chance: float, k: int) -> Learning:
        """With the step size after move number ``k`` since the references changed."""
        return replace(self, kernel=self.kernel.stepping(chance, k))

    def having_seen(self, xis: Array) -> Learning:
        """About the references with the moments of draws (n, dim) that others made."""
        for xi in xis:
            self.see(xi)
        return self.turned()

    def see(self, xi: Array) -> None:
        """One more draw, for the mode that it is nearest to."""
        i = self.kernel.modes.nearest(xi)
        reference = self.kernel.reference(i)
        self.moments[i] = self.moments[i].with_draw(reference, reference.whiten(xi))

    def turned(self) -> Learning:
        """About the references with these moments, which begin anew."""
        pairs = enumerate(self.moments)
        return self._of(
            self.kernel.with_references([m.refined(self.kernel.reference(i)) for i, m in pairs])
        )
