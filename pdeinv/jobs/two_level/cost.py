"""What a surrogate costs beside the reference model, and what follows: pace, and whether it pays.

A step of ``two-level`` makes n moves on the surrogate and a solve; at some steps the base chain
does the same. With the acceptance α = erfc(s/2) that an sd s of the misfit difference allows, a
share q of steps that are one short move, and moves that forget by a factor ρ each, a step is worth
as much as its share a = α (1 - q) (1 - ρ^n) of draws that are new: 2/a - 1 steps make one
independent draw. The length n that makes draws cheapest is taken, among those by which the draws
that are asked for are enough.

Short moves leave states that the surrogate thinks too little of, from which hardly any distant
proposal is accepted. The smaller s, the fewer and the less deep these are: q = 0.3 s², at least
0.05 and at most 0.3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import erfc

import numpy as np

from pdeinv.bayes.counters import Counters
from pdeinv.bayes.posterior import Posterior
from pdeinv.bayes.solve_costs import ROWS, least_seconds
from pdeinv.engines.mcmc.two_level import NEAR
from pdeinv.model.forward import DERIVATIVES, Capability
from pdeinv.typing import Array

__all__ = ["Costs", "Pace", "Quality", "advice", "measured", "paced"]

LENGTHS = (1, 2, 3, 5, 8, 12)
"""Subchains that are compared."""

EVALUATIONS = 5
"""Evaluations of a move, about."""

LEAST_NEAR = 0.05
"""Of all subchains, one short move each however good the surrogate is."""

ENOUGH = 3000.0
"""Independent draws of all chains that a run is meant to give. R-hat below 1.01 takes half as many;
explorers move no more than they need to agree, and may tell half the moves that a draw takes."""


@dataclass(frozen=True)
class Costs:
    """CPU seconds of one evaluation, several rows being asked for at once.

    Attributes:
        surrogate: its value, with its gradient where moves use that.
        solve: of the reference model.
        fine_move: what a move on the reference model would ask for: with the gradient if it has it.
    """

    surrogate: float
    solve: float
    fine_move: float

    @property
    def ratio(self) -> float:
        """Of the surrogate to what moves on the reference model would ask for."""
        return self.surrogate / self.fine_move


@dataclass(frozen=True)
class Quality:
    """What the test of a surrogate says of its moves.

    Attributes:
        sd: of the misfit difference on draws of its posterior.
        iact: moves per independent draw of that.
    """

    sd: float
    iact: float = 5.0

    @property
    def near(self) -> float:
        """The share q of steps that are one short move."""
        return float(np.clip(NEAR * self.sd**2, LEAST_NEAR, NEAR))

    def moves(self, n: int) -> float:
        """Of a step with subchains of ``n``, on average."""
        return n + self.near * (1 - n)

    def steps_per_draw(self, n: int) -> float:
        """Steps with subchains of ``n`` moves that make one independent draw."""
        forget = (self.iact - 1) / (self.iact + 1) if np.isfinite(self.iact) else 0.99
        new = erfc(min(self.sd, 8.0) / 2) * (1 - self.near) * (1 - max(forget, 0.0) ** n)
        return 2 / max(new, 1e-9) - 1


@dataclass(frozen=True)
class Pace:
    """What follows from costs and quality.

    Attributes:
        subchain: moves between two solves.
        near: the share of subchains that are one short move.
        gain: CPU time of a draw by moves on the reference model over that by ``two-level``.
    """

    subchain: int
    near: float
    gain: float


def measured(posterior: Posterior, xis: Array) -> Costs:
    """The costs at some of the rows of ``xis``, (n, dim), draws of about the posterior.

    Args:
        posterior: with its coarse twin; no solve is counted.
        xis: where.
    """
    coarse = posterior.coarse
    assert coarse is not None
    points = xis[np.unique(np.linspace(0, len(xis) - 1, ROWS).astype(int))]
    payers = [Counters() for _ in points]

    def values(p: Posterior) -> Callable[[], object]:
        return partial(p.predict_rows, points, payers)

    def moves(p: Posterior) -> Callable[[], object]:
        guided = Capability.VJP in p.model.capabilities
        return partial(p.linearize_rows, points, payers) if guided else values(p)

    n = len(points)
    return Costs(
        *(least_seconds(work) / n for work in (moves(coarse), values(posterior), moves(posterior)))
    )


def paced(costs: Costs, quality: Quality, draws: int, correction_every: int) -> Pace:
    """The length of subchains, how many are short moves, and whether the surrogate pays.

    Args:
        costs: measured.
        quality: of the surrogate.
        draws: steps of all chains.
        correction_every: the base chain moves at every so many-th step.
    """
    both = 1 + 1 / correction_every

    def cost(n: int) -> float:
        one = costs.solve + quality.moves(n) * EVALUATIONS * costs.surrogate
        return quality.steps_per_draw(n) * both * one

    enough = [n for n in LENGTHS if draws / quality.steps_per_draw(n) >= ENOUGH]
    best = min(enough, key=cost) if enough else _nearly_best(quality)
    alone = max(quality.iact, 1.0) * EVALUATIONS * costs.fine_move
    return Pace(best, quality.near, alone / cost(best))


def _nearly_best(quality: Quality) -> int:
    """The shortest length within 5 % of what the longest gives; cheaper ones give too few draws."""
    least = quality.steps_per_draw(LENGTHS[-1])
    return next(n for n in LENGTHS if quality.steps_per_draw(n) <= 1.05 * least)


def advice(costs: Costs, gain: float, derivatives: bool) -> str:
    """What follows for the choice of an engine; empty where the surrogate pays.

    Args:
        costs: measured.
        gain: see :class:`Pace`.
        derivatives: whether the reference model has an adjoint.
    """
    if gain >= 1:
        return ""
    unit, engine = ("solve with its adjoint", "hmc") if derivatives else ("solve", "pcn")
    return (
        f"the surrogate does not pay: one of its calls takes {costs.ratio:.2g} of a {unit}, "
        f"so try engine {engine}"
    )


def has_derivatives(posterior: Posterior) -> bool:
    """Whether the reference model can be walked by its gradient."""
    return posterior.model.capabilities >= DERIVATIVES
