"""Plug-and-play diffusion: a split Gibbs sampler of data and denoiser, exact as its coupling falls.

The posterior p(x) exp(-Φ(x)) is split into x, which sees the data, and z, which sees the prior,
tied by exp(-‖x - z‖² / 2 r²). In turn are drawn

    z given x:  p(z) exp(-‖x - z‖² / 2 r²), by the reverse diffusion that begins at level r,
    x given z:  exp(-Φ(x) - ‖x - z‖² / 2 r²), by Metropolised moves about the best x for that z.

r falls from beyond the range of the prior to a small value and stays there. Of the two x is handed
out: its law is that of the posterior with a prior that is smoothed by r, while the data of z are
blurred by r (Vono, Dobigeon, Chainais 2019; Wu, Sun, Chen, Zhang, Yue, Bouman 2024).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

import numpy as np
from pydantic import Field, model_validator

from pdeinv.bayes.jacobian import DenseLinearization
from pdeinv.bayes.posterior import Posterior
from pdeinv.bayes.prior import cost
from pdeinv.engines.base import Chain, Outcome
from pdeinv.engines.diffusion.affine import Affine, affine_or_none
from pdeinv.engines.diffusion.conditioned import Tie, anew, moved
from pdeinv.engines.diffusion.coupled import judged
from pdeinv.engines.diffusion.fitted import Sums
from pdeinv.engines.diffusion.levels import SHORT, Count, conditional_draw, descending
from pdeinv.engines.diffusion.local import Curvature, Seen, curvature
from pdeinv.engines.diffusion.prior import denoiser_of, whose_prior
from pdeinv.engines.diffusion.searched import TYPICAL, best_near
from pdeinv.engines.mcmc.chains import ChainState, Move, Sampler, SamplerConfig, stack
from pdeinv.engines.requests import Steps
from pdeinv.engines.solvable import solved_rows
from pdeinv.model.forward import DERIVATIVES
from pdeinv.model.learned import Role
from pdeinv.typing import Array

__all__ = ["PnpDm", "PnpDmConfig", "PnpDmState"]

BEYOND = 2.0
"""The first coupling, in spreads of the prior: all modes are within reach of each other."""

FALL, HOLD = 0.5, 0.8
"""Shares of the warm-up until the coupling has come to twice the last one, and has stayed there."""

SMALLEST = 0.1
"""The last level of a reverse diffusion, in couplings."""


class PnpDmConfig(SamplerConfig):
    """Options of ``pnp-dm``."""

    draws: int = Field(2000, ge=1, description="total steps after warm-up, per chain")
    warmup: int = Field(600, ge=1, description="steps in which the coupling falls, discarded")
    thin: int = Field(2, ge=1, description="keep every thin-th draw")
    coupling: float = Field(
        0.3, gt=0, description="last standard deviation between the two variables, in units of xi"
    )
    first_coupling: float | None = Field(
        None,
        gt=0,
        description="the first one, at least twice the last; unset: twice the spread of the prior",
    )
    levels: Count = Field(12, description="calls of the denoiser for each draw of the prior")
    moves: int = Field(8, ge=1, description="Metropolised moves of the likelihood for each draw")
    walkers: int = Field(
        1, ge=1, le=10_000, description="chains that one chain moves together, denoised in one call"
    )

    @model_validator(mode="after")
    def _falls(self) -> Self:
        if self.first_coupling is not None and self.first_coupling < 2 * self.coupling:
            raise ValueError(
                f"first_coupling = {self.first_coupling:g} is below twice coupling = "
                f"{self.coupling:g}, to which it has to fall; take at least "
                f"{2 * self.coupling:g}, lower coupling, or leave it out"
            )
        return self


@dataclass(frozen=True)
class PnpDmState(ChainState):
    """x of all walkers with the likelihood there, and what was spent and seen.

    Attributes:
        at: where the walkers are.
        affine: the model, where it is affine.
        shared: its curvature, in that case.
        wide: fitted data at twice the last coupling.
        narrow: at the last one.
        n_denoiser: calls of the denoiser, each of all walkers.
    """

    at: Seen
    affine: Affine
    shared: Curvature
    wide: Sums
    narrow: Sums
    n_denoiser: int

    @property
    def misfit(self) -> Array:
        """Φ of each walker."""
        return self.at.misfit


class PnpDm(Sampler[PnpDmState]):
    """Draws of the posterior of a prior that is known by its denoiser."""

    name = "pnp-dm"
    requires = DERIVATIVES
    uses = frozenset({Role.DENOISER})
    Config = PnpDmConfig
    config: PnpDmConfig

    def draws_kept(self, dim: int) -> int:
        """Of all walkers."""
        return self.config.walkers * super().draws_kept(dim)

    def expected(self, posterior: Posterior) -> Mapping[str, int]:
        """Calls of the denoiser, and the solves of a model that is not linear."""
        steps = self.n_chains * self.n_steps
        return {
            "denoiser": steps * self.config.levels,
            "rows": self.config.walkers,
            "jacobians": steps * self.config.walkers * TYPICAL,
            "values": steps * self.config.walkers * (TYPICAL + self.config.moves),
        }

    def coupling(self, n: int, spread: float) -> float:
        """That of step number ``n`` (from 0), for a prior of that spread."""
        last, share = self.config.coupling, n / self.config.warmup
        if share >= FALL:
            return last if share >= HOLD else 2 * last
        first = max(self.config.first_coupling or BEYOND * spread, 2 * last)
        return float(first * (2 * last / first) ** (share / FALL))

    def init(self, posterior: Posterior, rng: np.random.Generator) -> Steps[PnpDmState]:
        """Start from prior draws, where they can be solved.

        Raises:
            RunFailed: no starting point could be solved.
        """
        affine = yield from affine_or_none(posterior, rng)
        xi = rng.standard_normal((self.config.walkers, posterior.dim))
        if affine.known:
            value = affine(xi)
            at = Seen(xi, value, posterior.misfit_of(value))
            shared = curvature(posterior, DenseLinearization(affine.offset, affine.jacobian))
        else:
            found = yield from solved_rows(posterior, xi, partial(_prior_draws, rng))
            at = Seen(found.xi, found.predictions, found.misfit)
            shared = Curvature(np.zeros(0), np.zeros((0, 0)))
        none = Sums.none(posterior.n_data)
        return PnpDmState(at, affine, shared, wide=none, narrow=none, n_denoiser=0)

    def move(
        self, posterior: Posterior, state: PnpDmState, rng: np.random.Generator
    ) -> Steps[Move[PnpDmState]]:
        """z given x, then x given z."""
        denoise = denoiser_of(posterior)
        r = self.coupling(state.n, denoise.spread)
        last = SMALLEST * min(r, denoise.spread)
        levels = descending(r, last, self.config.levels, SHORT)
        z = conditional_draw(denoise, state.at.xi, levels, rng)
        tie, at = Tie(z, r), state.at
        best = yield from best_near(posterior, tie, state.affine, state.shared)
        if state.n < FALL * self.config.warmup:
            at = yield from anew(posterior, at, tie, best, state.affine, rng)
        found = yield from moved(posterior, at, tie, best, state.affine, self.config.moves, rng)
        state = replace(state, at=found.at, n_denoiser=state.n_denoiser + len(levels))
        return Move(self._seen(posterior, state), found.accepted)

    def _seen(self, posterior: Posterior, state: PnpDmState) -> PnpDmState:
        """With the fitted data counted to the coupling that they belong to."""
        share = (state.n + 1) / self.config.warmup
        off = (state.at.value - posterior.data) / posterior.likelihood.std
        if (2 * FALL + HOLD) / 3 <= share < HOLD:
            return replace(state, wide=state.wide.plus(off))
        if share > 1:
            return replace(state, narrow=state.narrow.plus(off))
        return state

    def kept(self, state: PnpDmState) -> Mapping[str, Any]:
        """Positions and misfits of all walkers."""
        return {"xi": state.at.xi, "misfit": state.at.misfit}

    def finalize(
        self, posterior: Posterior, chains: Sequence[Chain], rng: np.random.Generator
    ) -> Outcome:
        """The draws of all walkers, each of them a chain."""
        chains = self.cut(chains)
        xi, misfit = (_apart(stack(chains, name)) for name in ("xi", "misfit"))
        steps = sum(max(1, c.state.n - self.config.warmup) for c in chains)
        known = all(c.state.affine.known for c in chains)
        proposals = steps * (1 if known else self.config.moves) * self.config.walkers
        rate = sum(c.state.n_accepted for c in chains) / proposals
        stats = {"misfit": misfit, "acceptance_rate": np.full(misfit.shape, rate)}
        if posterior.denoiser is None:
            stats["lp"] = -(misfit + cost(xi))
        ended, message = self.drawn(chains)
        figures = {
            "acceptance_rate": rate,
            "coupling": self.config.coupling,
            "n_denoiser": float(sum(c.state.n_denoiser for c in chains)),
        }
        found = Outcome(xi, stats, ended, message, figures, note=whose_prior(posterior))
        seen = [Sums.joined([getattr(c.state, k) for c in chains]) for k in ("wide", "narrow")]
        return judged(found, self.config.coupling, denoiser_of(posterior).spread, *seen)


def _prior_draws(rng: np.random.Generator, solved: Array, n: int) -> Array:
    return rng.standard_normal((n, solved.shape[1]))


def _apart(records: Array) -> Array:
    """(chain, draw, walker, ...) as (chain · walker, draw, ...)."""
    moved_up = np.moveaxis(records, 2, 1)
    return moved_up.reshape(-1, *moved_up.shape[2:])
