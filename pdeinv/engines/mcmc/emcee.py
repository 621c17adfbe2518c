"""Affine-invariant ensemble sampling with the moves of the emcee package, for few unknowns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from pdeinv.bayes.posterior import Posterior
from pdeinv.bayes.prior import cost
from pdeinv.config import Config, Many
from pdeinv.engines.base import Chain, Outcome
from pdeinv.engines.ended import Ended
from pdeinv.engines.mcmc.chains import ChainState, Move, Sampler, check_thinning, stack
from pdeinv.engines.mcmc.ensembles import judge_ensembles
from pdeinv.engines.requests import Misfit, Steps
from pdeinv.engines.solvable import solved_rows
from pdeinv.errors import CapabilityError, ConfigError
from pdeinv.model.learned import Role
from pdeinv.typing import Array

__all__ = ["Emcee", "EmceeConfig", "EmceeState", "snooker"]

MOST_UNKNOWNS = 20
"""Stretch and differential-evolution moves mix ever more slowly beyond about this many."""


class EmceeConfig(Config):
    """Options of ``emcee``; lengths count steps of a whole ensemble."""

    ensembles: Many = Field(2, description="independent ensembles of walkers")
    walkers: int | None = Field(
        None, ge=4, description="walkers per ensemble; unset: 2 * unknowns + 2, at least 32"
    )
    draws: int = Field(5000, ge=1, description="total steps after warm-up, per ensemble")
    warmup: int = Field(1000, ge=0, description="steps before the first draw, discarded")
    thin: int = Field(10, ge=1, description="keep the walkers of every thin-th step")
    moves: Literal["de-snooker", "stretch"] = Field(
        "de-snooker", description="80 % differential evolution with 20 % snooker, or stretch"
    )
    spread: float = Field(
        1.0,
        gt=0,
        description="spread of the first walkers in standard deviations of the prior, or of what a "
        "learned inverse says",
    )

    @model_validator(mode="after")
    def _keeps_a_draw(self) -> Self:
        check_thinning(self.draws, self.thin)
        return self


@dataclass(frozen=True)
class EmceeState(ChainState):
    """Walkers (n, dim) with their log densities (n,)."""

    xi: Array
    log_prob: Array

    @property
    def misfit(self) -> Array:
        """Φ of each walker."""
        return np.asarray(-self.log_prob - cost(self.xi))


class Emcee(Sampler[EmceeState]):
    """Each part of the walkers moves along lines to the others, in one batch of solves.

    The walkers of an ensemble depend on one another; ensembles do not. References: Goodman and
    Weare (2010); Foreman-Mackey, Hogg, Lang and Goodman (2013).
    """

    name = "emcee"
    uses = frozenset({Role.INVERSE})
    Config = EmceeConfig
    config: EmceeConfig

    @property
    def n_chains(self) -> int:
        """One per ensemble."""
        return self.config.ensembles

    def draws_kept(self, dim: int) -> int:
        """Those of every walker."""
        return super().draws_kept(dim) * (self.config.walkers or 2 * dim)

    def init(self, posterior: Posterior, rng: np.random.Generator) -> Steps[EmceeState]:
        """Walkers from the prior or a learned inverse, widened or narrowed by ``spread``.

        Raises:
            CapabilityError: too many unknowns.
            ConfigError: fewer walkers than twice the unknowns.
            RunFailed: some walkers cannot be placed where the model can be solved.
        """
        dim = posterior.dim
        n = _n_walkers(self.config.walkers, dim)

        at = posterior.estimate
        mean, std = (0.0, 1.0) if at is None else (at.mean, at.std)
        std = self.config.spread * std

        def draw(_: Array, n: int) -> Array:
            return np.asarray(mean + std * rng.standard_normal((n, dim)))

        found = yield from solved_rows(posterior, draw(np.zeros(0), n), draw)
        return EmceeState(found.xi, -(found.misfit + cost(found.xi)))

    def move(
        self, posterior: Posterior, state: EmceeState, rng: np.random.Generator
    ) -> Steps[Move[EmceeState]]:
        """Move every walker once; a failed solve has zero density and is never accepted.

        The walkers are dealt into parts; those of one part move by means of all the others, where
        these are by then.
        """
        # A RandomState around our own bit generator draws from and advances that very stream.
        random = np.random.RandomState(rng.bit_generator)
        jump, xi, log_prob = _move(self.config.moves, rng), state.xi.copy(), state.log_prob.copy()
        jump.setup(xi)
        part_of = np.arange(len(xi)) % jump.nsplits
        random.shuffle(part_of)
        n_accepted = 0
        for k in range(jump.nsplits):
            mine = np.flatnonzero(part_of == k)
            others = [xi[part_of == j] for j in range(jump.nsplits) if j != k]
            to, factors = jump.get_proposal(xi[mine], others, random)
            density = -((yield Misfit(to)) + cost(to))
            accepted = factors + density - log_prob[mine] > np.log(random.rand(len(mine)))
            xi[mine[accepted]], log_prob[mine[accepted]] = to[accepted], density[accepted]
            n_accepted += int(accepted.sum())
        return Move(replace(state, xi=xi, log_prob=log_prob), n_accepted)

    def kept(self, state: EmceeState) -> Mapping[str, Any]:
        """All walkers."""
        return {"xi": state.xi, "log_prob": state.log_prob}

    def finalize(
        self, posterior: Posterior, chains: Sequence[Chain], rng: np.random.Generator
    ) -> Outcome:
        """One chain per ensemble, its draws ordered by step, then walker."""
        walkers, lp = stack(chains, "xi"), stack(chains, "log_prob")
        xi = walkers.reshape(len(chains), -1, posterior.dim)
        lp = lp.reshape(len(chains), -1)
        moves = [max(1, c.state.n - self.config.warmup) * len(c.state.xi) for c in chains]
        rate = np.mean([c.state.n_accepted / n for c, n in zip(chains, moves, strict=True)])
        found = judge_ensembles(walkers, self.config.thin)
        ended, message = self.drawn(chains)
        return Outcome(
            xi=xi,
            stats={"misfit": -lp - cost(xi), "lp": lp},
            ended=found.ended if ended is Ended.DRAWN else ended,
            message=found.message if ended is Ended.DRAWN else f"{message}: {found.found}",
            summary={"acceptance_rate": float(rate), **found.figures},
            groups={"diagnostics": found.group},
            independent_chains=False,
        )


def _n_walkers(wanted: int | None, dim: int) -> int:
    if dim > MOST_UNKNOWNS:
        raise CapabilityError(
            f"engine 'emcee' handles at most {MOST_UNKNOWNS} unknowns, this problem has {dim}; "
            "use pcn or two-level (exact), laplace or eki (approximate)"
        )
    n = max(2 * dim + 2, 32) if wanted is None else wanted
    if n < 2 * dim:
        raise ConfigError(
            f"engine.walkers: expected at least {2 * dim} (twice the unknowns), got {n}"
        )
    return n


def _move(kind: str, rng: np.random.Generator) -> Any:
    from emcee import moves

    if kind == "stretch":
        return moves.StretchMove()
    if rng.random() < 0.8:
        return moves.DEMove()
    move = moves.DESnookerMove()
    move.get_proposal = snooker
    return move


def snooker(
    walkers: Array, others: Sequence[Array], random: np.random.RandomState, gamma: float = 1.7
) -> tuple[Array, Array]:
    """Jump along the line to another walker z by γ times the projection of z1 - z2 onto it.

    With its factor (dim - 1) ln(‖x' - z‖ / ‖x - z‖) this leaves the target invariant (ter Braak,
    Vrugt 2008, eq. 4). The proposal of emcee 3.1.6 divides by the root of the distance and halves
    the factor: it gives 0.70 of the variance of a Gaussian in five dimensions. Between walkers at
    the same place there is no line: such a move is proposed where the walker stands, and refused.

    Args:
        walkers: those to move, x, shape (n, dim).
        others: three groups of walkers to draw z, z1 and z2 from.
        random: the stream.
        gamma: the stretch factor.

    Returns:
        Proposals x', shape (n, dim), and log factors of their acceptance, shape (n,).
    """
    n, dim = walkers.shape
    drawn = np.stack([group[random.randint(len(group), size=n)] for group in others])
    order = np.argsort(random.rand(3, n), axis=0)[:, :, None]
    z, z1, z2 = np.take_along_axis(drawn, order, axis=0)
    distance = np.linalg.norm(walkers - z, axis=1, keepdims=True)
    safe = np.where(distance > 0, distance, 1.0)
    along = (walkers - z) / safe
    proposals = walkers + gamma * along * np.sum(along * (z1 - z2), axis=1, keepdims=True)
    after = np.linalg.norm(proposals - z, axis=1)
    with np.errstate(divide="ignore"):
        factors = (dim - 1) * np.log(after / safe[:, 0])
    return proposals, np.where((distance[:, 0] > 0) & (after > 0), factors, -np.inf)
