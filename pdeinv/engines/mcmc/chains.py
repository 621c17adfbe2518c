"""What every Markov chain sampler has in common, so that each says only how it moves.

Warm-up, during which step sizes adapt and nothing is kept; thinning; counting of acceptances; the
records and the result.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from pydantic import Field, model_validator

from pdeinv.bayes.diagnostics import ESS, summary
from pdeinv.bayes.likelihood import LikelihoodKind
from pdeinv.bayes.posterior import Posterior
from pdeinv.bayes.prior import cost
from pdeinv.config import Config, Many
from pdeinv.engines.base import Chain, Engine, Outcome
from pdeinv.engines.ended import Ended
from pdeinv.engines.requests import Steps
from pdeinv.errors import BudgetSpent
from pdeinv.typing import Array

__all__ = [
    "ChainState",
    "Move",
    "Sampler",
    "SamplerConfig",
    "adapted",
    "check_thinning",
    "stack",
]


SHORTEST, LONGEST = 250, 2000
"""Draws of a chain where their number is not given: it doubles from one to the other."""

PLENTY = 1.5 * ESS
"""Effective draws, in the bulk and the tails, at which it is not doubled: more than a verdict asks
for, since each look is one more chance to be wrong."""


class SamplerConfig(Config):
    """Lengths that every Markov chain sampler shares; all count steps of one chain."""

    chains: Many = Field(4, description="independent chains")
    draws: int | None = Field(2000, ge=1, description="total steps after warm-up, per chain")
    warmup: int = Field(1000, ge=0, description="adaptation steps before the first draw, discarded")
    thin: int = Field(1, ge=1, description="keep every thin-th draw")

    @model_validator(mode="after")
    def _keeps_a_draw(self) -> Self:
        check_thinning(self.draws or SHORTEST, self.thin)
        return self


def check_thinning(draws: int, thin: int) -> None:
    """Refuse a chain that would end before its first kept draw, with all its solves spent.

    Raises:
        ValueError: ``thin`` exceeds ``draws``.
    """
    if thin > draws:
        raise ValueError(
            f"draws = {draws} keeps nothing, thin = {thin} keeps every {thin}-th draw only; "
            f"ask for at least {thin} draws, or lower thin"
        )


@dataclass(frozen=True, kw_only=True)
class ChainState:
    """Steps done, and how many proposals were accepted after warm-up."""

    n: int = 0
    n_accepted: int = 0


@dataclass(frozen=True)
class Move[S]:
    """One step of a chain: where it led, how many proposals were accepted, how likely one was."""

    state: S
    accepted: int
    chance: float = 0.0


class Sampler[S: ChainState](Engine[S]):
    """A Markov chain sampler: a subclass says how it moves, what it keeps and how it adapts."""

    produces = "posterior"
    takes = LikelihoodKind.DENSITY
    config: Any

    def __init__(self, config: Any, length: int | None = None) -> None:
        super().__init__(config)
        self.length: int = length or config.draws or SHORTEST
        """Draws of a chain, thinned ones included."""

    @property
    def n_chains(self) -> int:
        """As configured."""
        return int(self.config.chains)

    @property
    def n_steps(self) -> int:
        """Warm-up and draws."""
        return int(self.config.warmup) + self.length

    def draws_kept(self, dim: int) -> int:
        """Every thin-th of each chain."""
        return self.n_chains * (self.length // int(self.config.thin))

    @property
    def most_steps(self) -> int:
        """With as many draws as it would make at most."""
        return int(self.config.warmup) + (self.config.draws or LONGEST)

    def extended(self, outcome: Outcome) -> Self | None:
        """Twice as long, where the draws were not given and are not enough."""
        if self.config.draws is not None or self.length >= LONGEST or _plenty(outcome):
            return None
        return type(self)(self.config, 2 * self.length)

    @abstractmethod
    def move(self, posterior: Posterior, state: S, rng: np.random.Generator) -> Steps[Move[S]]:
        """One step; :meth:`step` counts it."""

    @abstractmethod
    def kept(self, state: S) -> Mapping[str, Any]:
        """What is kept of a draw."""

    def adapt(self, state: S, chance: float) -> S:
        """The state with its step size moved; called during warm-up only."""
        return state

    def warm(self, state: S) -> bool:
        """Whether the warm-up is over."""
        return bool(state.n >= self.config.warmup)

    def step(self, posterior: Posterior, state: S, rng: np.random.Generator) -> Steps[S]:
        """One move, counted; during warm-up the step size follows its acceptance."""
        move = yield from self.move(posterior, state, rng)
        warm = self.warm(state)
        moved = move.state if warm else self.adapt(move.state, move.chance)
        return replace(moved, n=state.n + 1, n_accepted=state.n_accepted + warm * move.accepted)

    def record(self, state: S, step: int) -> Mapping[str, Any] | None:
        """Every thin-th draw after the warm-up."""
        k = step - self.config.warmup
        return None if k <= 0 or k % self.config.thin else self.kept(state)

    def finalize(
        self, posterior: Posterior, chains: Sequence[Chain], rng: np.random.Generator
    ) -> Outcome:
        """The draws of independent chains that recorded ``xi`` and ``misfit``."""
        chains = self.cut(chains)
        xi, misfit = stack(chains, "xi"), stack(chains, "misfit")
        rates = np.array(
            [c.state.n_accepted / max(1, c.state.n - self.config.warmup) for c in chains]
        )
        stats = {
            "misfit": misfit,
            "lp": -(misfit + cost(xi)),
            "acceptance_rate": np.broadcast_to(rates[:, None], misfit.shape).copy(),
        }
        ended, message = self.drawn(chains)
        return Outcome(xi, stats, ended, message, {"acceptance_rate": float(np.mean(rates))})

    def cut(self, chains: Sequence[Chain]) -> list[Chain]:
        """Without the draws beyond :attr:`length`, which a run that was stopped may have made."""
        n = self.length // int(self.config.thin)
        return [replace(c, records={name: r[:n] for name, r in c.records.items()}) for c in chains]

    def drawn(self, chains: Sequence[Chain]) -> tuple[Ended, str]:
        """Whether all draws were made, in words; the shortest chain counts."""
        n, most = min(c.state.n for c in chains) - self.config.warmup, self.length
        if n >= most:
            return Ended.DRAWN, Ended.DRAWN.sentence(Ended.DRAWN.words)
        return Ended.CUT, Ended.CUT.sentence(f"{Ended.CUT.words} after {n} of {most} draws")


def _plenty(outcome: Outcome) -> bool:
    """Whether independent chains agree, with so much to spare that a look ahead of time is safe."""
    found = summary(outcome.xi, also=outcome.stats["misfit"][..., None])
    return found.converged and min(found.ess_bulk, found.ess_tail) >= PLENTY


def adapted(log_step: float, chance: float, target: float, k: int, most: float = 0.0) -> float:
    """Robbins-Monro update number ``k`` of a log step size with gain k^(-0.6), at most ``most``."""
    return float(min(most, log_step + (chance - target) / k**0.6))


def stack(chains: Sequence[Chain], name: str) -> Array:
    """One record of all chains as (chain, draw, ...), cut to the shortest chain.

    Raises:
        BudgetSpent: a chain stopped before its first draw.
    """
    n = min(len(c.records.get(name, ())) for c in chains)
    if n == 0:
        raise BudgetSpent(f"a chain was stopped before its first draw; {Ended.BUDGET.advice}")
    return np.stack([c.records[name][:n] for c in chains])
