"""What all engines that lead particles down the levels of noise have in common.

Each particle is a draw of its own; a chain holds some, so that the denoiser sees them together. A
step leads them from one level to the next: that is the formula, and all that a subclass says.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from pdeinv.bayes.jacobian import DenseLinearization
from pdeinv.bayes.posterior import Posterior
from pdeinv.config import Config, Many
from pdeinv.engines.base import Chain, Engine, Need, Outcome
from pdeinv.engines.diffusion.affine import Affine, affine_map, affine_or_none
from pdeinv.engines.diffusion.levels import Count, descending
from pdeinv.engines.diffusion.local import Curvature, curvature
from pdeinv.engines.diffusion.prior import denoiser_of, whose_prior
from pdeinv.engines.ended import Ended
from pdeinv.engines.requests import Predict, Steps
from pdeinv.errors import RunFailed
from pdeinv.model.learned import Role
from pdeinv.typing import Array

__all__ = ["Calls", "Particles", "ParticlesConfig", "ParticlesEngine", "Stretch"]

BEYOND, WITHIN = 8.0, 0.002
"""The first and the last level, in spreads of the prior."""


class ParticlesConfig(Config):
    """Options of every such engine."""

    chains: Many = Field(4, description="groups of particles, which workers share")
    particles: int = Field(16, ge=1, description="particles of each group, denoised in one call")
    levels: Count = 200


@dataclass(frozen=True)
class Calls:
    """How often a step calls the denoiser, its adjoint derivative and the model."""

    denoiser: int = 1
    derivative: int = 0
    solves: int = 1

    def __add__(self, more: Calls) -> Calls:
        return Calls(
            self.denoiser + more.denoiser,
            self.derivative + more.derivative,
            self.solves + more.solves,
        )


@dataclass(frozen=True)
class Stretch:
    """From one level to the next, which is zero at the end.

    Attributes:
        here: the level of the particles.
        there: the next one.
        done: the share of all levels that lie behind.
        spread: of the prior.
    """

    here: float
    there: float
    done: float
    spread: float


@dataclass(frozen=True)
class Particles:
    """Particles at a level of noise.

    Attributes:
        xi: shape (n, dim).
        done: levels that lie behind.
        affine: the model, where it is affine.
        shared: its curvature, in that case.
        steepest: the largest eigenvalue of J^T F J where the run began: steps are told in its
            inverse, so that they are free of grid, units and noise.
        value: G, shape (n, n_d), zero until the end.
    """

    xi: Array
    done: int
    affine: Affine
    shared: Curvature
    steepest: float
    value: Array


class ParticlesEngine(Engine[Particles]):
    """Independent particles from the first level to none: a subclass says how one step goes."""

    produces = "approximate"
    uses = frozenset({Role.DENOISER})
    solves: ClassVar[str] = "gradients"
    """What steps ask of a model that is not linear: ``values``, ``gradients`` or ``jacobians``."""
    measured: ClassVar[str] = "whose error docs/diffusion.md tells"
    """How far its draws are off on cases with an exact posterior, a clause of the verdict."""
    config: Any

    @property
    def n_chains(self) -> int:
        """As configured."""
        return int(self.config.chains)

    @property
    def n_steps(self) -> int:
        """One a level."""
        return int(self.config.levels)

    @property
    def size(self) -> int:
        """Particles of a chain."""
        return int(self.config.particles)

    def calls(self, done: int) -> Calls:
        """Of the step that begins after ``done`` levels."""
        return Calls()

    @property
    def all_calls(self) -> Calls:
        """Of all steps of all chains."""
        each = (self.calls(done) for done in range(self.n_steps))
        return sum([*each] * self.n_chains, Calls(0, 0, 0))

    def draws_kept(self, dim: int) -> int:
        """All particles."""
        return self.n_chains * self.size

    def expected(self, posterior: Posterior) -> Mapping[str, int]:
        """Calls of the denoiser, and the solves of a model that is not linear."""
        calls = self.all_calls
        return {
            "denoiser": calls.denoiser,
            "denoiser_derivative": calls.derivative,
            "rows": self.size,
            self.solves: 0 if Need.LINEAR in self.needs else calls.solves * self.size,
        }

    @abstractmethod
    def led(
        self, posterior: Posterior, state: Particles, on: Stretch, rng: np.random.Generator
    ) -> Steps[Array]:
        """The particles at the next level, shape (n, dim)."""

    def init(self, posterior: Posterior, rng: np.random.Generator) -> Steps[Particles]:
        """Noise at the first level, and what is known of the model.

        Raises:
            CapabilityError: the model is not affine in xi, and has to be.
            RunFailed: solves or derivatives fail where the model has to be affine.
        """
        affine = yield from self._affine(posterior, rng)
        shared = Curvature(np.zeros(0), np.zeros((0, 0)))
        if affine.known:
            at = DenseLinearization(affine.offset, affine.jacobian)
            shared = curvature(posterior, at)
        steepest = yield from self.steepest(posterior, shared, rng)
        n, spread = self.size, denoiser_of(posterior).spread
        wide = float(np.hypot(BEYOND, 1.0)) * spread
        xi = wide * rng.standard_normal((n, posterior.dim))
        return Particles(xi, 0, affine, shared, steepest, np.zeros((n, posterior.n_data)))

    def _affine(self, posterior: Posterior, rng: np.random.Generator) -> Steps[Affine]:
        if Need.LINEAR in self.needs:
            return (yield from affine_map(posterior, rng, f"engine '{self.name}'"))
        if not self.requires:
            return Affine.unknown()
        return (yield from affine_or_none(posterior, rng))

    def steepest(
        self, posterior: Posterior, shared: Curvature, rng: np.random.Generator
    ) -> Steps[float]:
        """The largest curvature, for engines that step by the gradient; else nothing is asked."""
        yield from ()
        return float(shared.values.max(initial=0.0))

    def stretch(self, posterior: Posterior, done: int) -> Stretch:
        """That which begins after ``done`` levels."""
        spread, n = denoiser_of(posterior).spread, self.n_steps
        levels = [*descending(BEYOND * spread, WITHIN * spread, n).tolist(), 0.0]
        return Stretch(levels[done], levels[done + 1], done / n, spread)

    def step(
        self, posterior: Posterior, state: Particles, rng: np.random.Generator
    ) -> Steps[Particles]:
        """To the next level; at the last one the data are asked for."""
        xi = yield from self.led(posterior, state, self.stretch(posterior, state.done), rng)
        state = replace(state, xi=xi, done=state.done + 1)
        if state.done < self.n_steps:
            return state
        return replace(state, value=np.asarray((yield Predict(xi))))

    def finished(self, state: Particles) -> bool:
        """Without noise."""
        return state.done >= self.n_steps

    def finalize(
        self, posterior: Posterior, chains: Sequence[Chain], rng: np.random.Generator
    ) -> Outcome:
        """The particles that can be solved.

        Raises:
            RunFailed: stopped on the way, or none can be solved.
        """
        done = min(c.state.done for c in chains)
        if done < self.n_steps:
            raise RunFailed(
                f"{self.name} stopped at level {done} of {self.n_steps}, where particles are noise "
                f"still; {Ended.BUDGET.advice}"
            )
        xi = np.concatenate([c.state.xi for c in chains])
        value = np.concatenate([c.state.value for c in chains])
        misfit = posterior.misfit_of(value)
        good = np.isfinite(misfit)
        if not good.any():
            raise RunFailed(f"{self.name}: no particle can be solved; use pnp-dm")
        xi, misfit = xi[good], misfit[good]
        ended, text = self.judged(posterior, xi, value[good])
        figures = {
            "n_denoiser": float(self.all_calls.denoiser),
            "n_denoiser_derivative": float(self.all_calls.derivative),
            "misfit_per_datum": float(np.mean(misfit)) / posterior.n_counting,
            "lost": float(np.sum(~good)),
        }
        return Outcome(
            xi[None],
            {"misfit": misfit[None]},
            ended,
            text,
            figures,
            independent_chains=False,
            note=whose_prior(posterior),
        )

    def judged(self, posterior: Posterior, xi: Array, value: Array) -> tuple[Ended, str]:
        """How it ended, in words, for particles (n, dim) with their data (n, n_d)."""
        return Ended.CONVERGED, f"{len(xi)} draws of an approximation, {self.measured}"
