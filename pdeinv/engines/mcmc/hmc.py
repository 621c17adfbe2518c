"""Hamiltonian Monte Carlo on the model itself, about the Laplace approximation.

With reference N(mean, C), xi = mean + C^(1/2) z and Ψ(z) = Φ + ½|xi|² - ½|z|², position and
velocity turn exactly about the reference and only Ψ kicks the velocity, so that acceptance does not
fall with the dimension of xi (Beskos, Pinski, Sanz-Serna, Stuart 2011; Beskos, Girolami, Lan,
Farrell, Stuart 2017). C is the prior but for the directions that the data inform.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from pydantic import Field

from pdeinv.bayes.posterior import Posterior
from pdeinv.engines.acceptance import log_acceptance
from pdeinv.engines.base import Chain, Outcome
from pdeinv.engines.mcmc.adaptation import (
    Moments,
    Path,
    rebased,
    turning_points,
    with_directions,
)
from pdeinv.engines.mcmc.chains import ChainState, Move, Sampler, adapted, stack
from pdeinv.engines.mcmc.kernel import (
    DIVERGENT,
    FIRST_STEP,
    LONGEST_STEP,
    MOST,
    Kernel,
    Point,
    reference_for,
    shortened,
)
from pdeinv.engines.mcmc.learned_modes import LearnedModes
from pdeinv.engines.mcmc.modes import ManyModesConfig, searched_modes
from pdeinv.engines.mcmc.modes_found import modes_found
from pdeinv.engines.mcmc.start import dispersed_start
from pdeinv.engines.mcmc.trajectory import Tally, Trajectory
from pdeinv.engines.requests import Steps
from pdeinv.engines.solvable import first_linearized
from pdeinv.model.forward import Capability
from pdeinv.model.learned import Role
from pdeinv.rng import set_aside
from pdeinv.typing import Array

__all__ = ["Hmc", "HmcConfig", "HmcState"]

JITTER = 0.4
"""Paths are uniform within so much of their mean, so that none returns to its start for ever."""

CAREFUL, FEW_DIVERGE = 0.95, 0.01
"""The acceptance that a chain aims at once more than so many of its warm-up paths diverged."""


class HmcConfig(ManyModesConfig):
    """Options of ``hmc``."""

    draws: int | None = Field(
        None,
        ge=1,
        description="total steps after warm-up, per chain; unset: 250, doubled up to 2000 until "
        "R-hat is below 1.01 and 600 draws are effective",
    )
    warmup: int = Field(300, ge=0, description="adaptation steps before the first draw, discarded")
    target_acceptance: float = Field(0.9, gt=0, lt=1, description="aim of the step's adaptation")
    path: float | None = Field(
        None, gt=0, le=2 * math.pi, description="mean path in radians; unset: found in the warm-up"
    )
    max_leapfrogs: int = Field(64, ge=1, description="gradients that a step takes at most")


@dataclass(frozen=True)
class HmcState(ChainState):
    """Position with its gradient, the kernel, and what the warm-up has learned so far.

    ``diverged`` counts since the reference last changed, ``careful`` says whether these were many.
    """

    here: Point
    kernel: Kernel
    path: Path
    moments: Moments
    learned: LearnedModes
    slope: float = 0.0
    leapfrogs: int = 0
    divergent: bool = False
    diverged: int = 0
    careful: bool = False
    tally: Tally = field(default_factory=Tally)

    @property
    def misfit(self) -> float:
        """Φ, for the progress line."""
        return self.here.place.misfit


class Hmc(Sampler[HmcState]):
    """v ~ N(0, I); (z, v) flows along H = Ψ + ½|z|² + ½|v|² and is accepted with its energy error.

    A leapfrog step kicks v by -½ε∇Ψ, turns (z, v) by ε and kicks again; the end is accepted with
    min(1, exp(H - H')). The path is uniform about its mean. Step, mean path and reference adapt
    during warm-up only, those of each chain by itself.
    """

    name = "hmc"
    requires = frozenset({Capability.VJP})
    uses = frozenset({Role.INVERSE})
    Config = HmcConfig
    config: HmcConfig

    def init(self, posterior: Posterior, rng: np.random.Generator) -> Steps[HmcState]:
        """Start from a draw of the widened Laplace approximation, where it can be solved.

        A prior draw would spend the warm-up on its way to informative data. Chains are dispersed
        all the same: each minimizes from a prior draw of its own (from a wide draw about what a
        learned inverse says, where one is given), so that modes disagree, and searches further
        modes from other prior draws.

        Raises:
            RunFailed: no starting point could be solved.
        """
        found = yield from reference_for(posterior, rng, "prior")
        n, aside = self.config.searches_for(posterior), set_aside(rng)
        modes = yield from searched_modes(posterior, found, n, aside)
        reference = with_directions(modes.first(found))
        kernel = Kernel(reference, FIRST_STEP, guided=True)
        start = yield from dispersed_start(reference, rng)
        here = yield from first_linearized(rng, start, kernel.begin)
        path = Path() if self.config.path is None else Path(math.log(self.config.path))
        return HmcState(
            here, kernel, path, Moments.none(reference), LearnedModes.begun(modes, reference)
        )

    def move(
        self, posterior: Posterior, state: HmcState, rng: np.random.Generator
    ) -> Steps[Move[HmcState]]:
        """One trajectory, accepted or not, and one jump; a divergent trajectory never is."""
        modes = state.learned.modes
        if modes.count > 1:
            state = _entered(state, modes.drawn(state.here.place.xi, rng))
        one = yield from self.trajectory(state, rng)
        accepted = rng.random() < one.chance
        moved = replace(
            state,
            here=one.end if accepted else state.here,
            slope=one.slope,
            leapfrogs=one.leapfrogs,
            divergent=one.divergent,
            tally=state.tally.plus(one) if self.warm(state) else state.tally,
        )
        if modes.count > 1:
            moved = yield from self._jumped(moved, rng)
        return Move(moved, int(accepted), one.chance)

    def _jumped(self, state: HmcState, rng: np.random.Generator) -> Steps[HmcState]:
        """In another mode, if that is accepted."""
        jump = yield from state.learned.modes.jump(state.here.place, rng)
        if not jump.accepted:
            return state
        entered = _entered(state, state.learned.modes.nearest(jump.place.xi))
        here = yield from entered.kernel.at(jump.place)
        if not np.isfinite(here.psi):  # the gradient failed where the misfit did not
            return state
        tally = replace(state.tally, jumps=state.tally.jumps + self.warm(state))
        return replace(entered, here=here, tally=tally)

    def trajectory(self, state: HmcState, rng: np.random.Generator) -> Steps[Trajectory]:
        """From ``state.here`` along a random velocity.

        Energies along the path are held against both ends, so that the way back ends alike.
        """
        here, longest = state.here, min(math.exp(state.kernel.log_step), LONGEST_STEP)
        length = math.exp(state.path.log_mean) * rng.uniform(1 - JITTER, 1 + JITTER)
        n = min(self.config.max_leapfrogs, math.ceil(length / longest))
        step = min(longest, length / n) * shortened(rng)
        point, velocity = here, rng.standard_normal(len(here.z))
        start, highest = here.energy(velocity), -math.inf
        for k in range(n):
            point, velocity = yield from state.kernel.leapfrog(point, velocity, step)
            energy = point.energy(velocity)
            if not energy - start <= DIVERGENT:  # NaN as well
                return Trajectory(here, 0.0, k + 1, n * step, True)
            highest = max(highest, energy)
        if highest - energy > DIVERGENT:
            return Trajectory(here, 0.0, n, n * step, True)
        tilt = state.learned.modes.tilt(state.learned.at, here.place.xi, point.place.xi)
        chance = math.exp(log_acceptance(start - energy + tilt))
        slope = chance * n * step * _pull(state.kernel.reference.basis, here.z, point.z, velocity)
        return Trajectory(point, chance, n, n * step, False, slope)

    def adapt(self, state: HmcState, chance: float) -> HmcState:
        """Step and path after every move, the reference at its appointed times."""
        kernel, k = state.kernel, state.n + 1
        began, *turns = turning_points(self.config.warmup)
        since = k - max([0, *(t for t in turns if t < k)])
        target = self.config.target_acceptance
        target = max(target, CAREFUL) if state.careful else target
        log_step = adapted(kernel.log_step, chance, target, since + 4, MOST)
        diverged = 0 if k == began else state.diverged + state.divergent
        state = replace(state, kernel=replace(kernel, log_step=log_step), diverged=diverged)
        if k <= began:
            return state
        state = self._learned(state, k - began, k in turns)
        return _warned(state, k - max(t for t in (began, *turns) if t < k)) if k in turns else state

    def _learned(self, state: HmcState, k: int, turn: bool) -> HmcState:
        """The path, and one more draw in the moments; where it is time, these move the reference.

        Not so on the way from the start, which says nothing of the posterior.
        """
        old = state.kernel.reference
        path = state.path.climbed(state.slope, k) if self.config.path is None else state.path
        moments = state.moments.with_draw(old, state.here.z)
        if not turn:
            return replace(state, path=path, moments=moments)
        new = moments.refined(old)
        kernel, here = replace(state.kernel, reference=new), rebased(state.here, old, new)
        learned = state.learned.refined(new)
        state = replace(state, path=path, kernel=kernel, here=here, learned=learned)
        return replace(state, moments=Moments.none(new))

    def kept(self, state: HmcState) -> Mapping[str, Any]:
        """Position, misfit and what the trajectory was like."""
        return {
            "xi": state.here.place.xi,
            "misfit": state.misfit,
            "n_steps": state.leapfrogs,
            "diverging": state.divergent,
            "mode": state.learned.modes.nearest(state.here.place.xi),
        }

    def finalize(
        self, posterior: Posterior, chains: Sequence[Chain], rng: np.random.Generator
    ) -> Outcome:
        """The draws of all chains with the length of their paths and the divergences."""
        chains = self.cut(chains)
        found = super().finalize(posterior, chains, rng)
        stats = {name: stack(chains, name) for name in ("n_steps", "diverging")}
        tallies = [c.state.tally for c in chains]
        n = max(1, sum(max(0, c.state.n - self.config.warmup) for c in chains))
        summary = {
            "path": sum(t.length for t in tallies) / n,
            "leapfrogs": sum(t.leapfrogs for t in tallies) / n,
            "divergences": float(sum(t.divergent for t in tallies)),
        }
        found = replace(found, stats={**found.stats, **stats}, summary={**found.summary, **summary})
        modes = modes_found([c.state.learned.modes for c in chains], stack(chains, "mode"))
        return found if modes is None else modes.told(found, sum(t.jumps for t in tallies) / n)


def _warned(state: HmcState, n: int) -> HmcState:
    """Careful from now on, where too many of the last ``n`` paths diverged."""
    return replace(state, diverged=0, careful=state.careful or state.diverged > FEW_DIVERGE * n)


def _entered(state: HmcState, j: int) -> HmcState:
    """In mode j: the same place about its reference."""
    learned = state.learned
    if j == learned.at:
        return state
    learned = learned.entered(j, state.moments)
    old, new = state.kernel.reference, learned.modes.reference(j)
    kernel, here = replace(state.kernel, reference=new), rebased(state.here, old, new)
    return replace(state, learned=learned, moments=learned.moments(j), kernel=kernel, here=here)


def _pull(basis: Array, start: Array, end: Array, velocity: Array) -> float:
    """(|y'|² - |y|²) y'·w' with y = V^T z and w = V^T v along the directions that are learned."""
    y, there, w = start @ basis, end @ basis, velocity @ basis
    return float((there @ there - y @ y) * (there @ w))
