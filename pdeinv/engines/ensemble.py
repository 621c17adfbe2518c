"""Affine-invariant ensemble sampling with the moves of the emcee package, for few unknowns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from pdeinv.bayes.diagnostics import autocorrelation, summary
from pdeinv.bayes.posterior import Posterior
from pdeinv.bayes.prior import cost
from pdeinv.config import Config
from pdeinv.engines.base import Chain, Outcome, Produces, check_thinning, stack
from pdeinv.errors import CapabilityError, ConfigError, RunFailed
from pdeinv.models import Capability
from pdeinv.typing import Array

__all__ = ["Emcee", "EmceeConfig", "EmceeState", "snooker"]

MOST_UNKNOWNS = 20
"""Stretch and differential-evolution moves mix ever more slowly beyond about this many."""

R_HAT = 1.05
"""Ensembles whose means agree to this R-hat are taken to sample the same distribution."""

RETRIES = 20
"""Rounds of replacing walkers whose first solve failed."""


class EmceeConfig(Config):
    """Options of ``emcee``; lengths count steps of a whole ensemble."""

    ensembles: int = Field(2, ge=1, description="independent ensembles of walkers")
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
        1.0, gt=0, description="spread of the first walkers in prior standard deviations"
    )

    @model_validator(mode="after")
    def _keeps_a_draw(self) -> Self:
        check_thinning(self.draws, self.thin)
        return self


@dataclass(frozen=True)
class EmceeState:
    """Walkers (n, dim) with their log densities (n,); ``n_accepted`` counts after warm-up."""

    xi: Array
    log_prob: Array
    n: int
    n_accepted: int

    @property
    def misfit(self) -> Array:
        """Φ of each walker."""
        return np.asarray(-self.log_prob - cost(self.xi))


class Emcee:
    """Each half of the walkers moves along lines to the other half, in one batch of solves.

    The walkers of an ensemble depend on one another; ensembles do not. References: Goodman and
    Weare (2010); Foreman-Mackey, Hogg, Lang and Goodman (2013).
    """

    name: ClassVar[str] = "emcee"
    produces: ClassVar[Produces] = "posterior"
    requires: ClassVar[frozenset[Capability]] = frozenset()
    Config: ClassVar[type[Config]] = EmceeConfig

    def __init__(self, config: EmceeConfig) -> None:
        self.config = config

    @property
    def n_chains(self) -> int:
        """One per ensemble."""
        return self.config.ensembles

    @property
    def n_steps(self) -> int:
        """Warm-up and draws."""
        return self.config.warmup + self.config.draws

    def init(self, posterior: Posterior, rng: np.random.Generator) -> EmceeState:
        """Walkers from the prior, widened or narrowed by ``spread``.

        Raises:
            CapabilityError: too many unknowns.
            ConfigError: fewer walkers than twice the unknowns.
            RunFailed: some walkers cannot be placed where the model can be solved.
        """
        n, dim = _n_walkers(self.config.walkers, posterior.dim), posterior.dim
        xi = self.config.spread * rng.standard_normal((n, dim))
        log_prob = -posterior.neg_log_posterior(xi)
        for _ in range(RETRIES):
            lost = ~np.isfinite(log_prob)
            if not lost.any():
                return EmceeState(xi, log_prob, 0, 0)
            xi[lost] = self.config.spread * rng.standard_normal((int(lost.sum()), dim))
            log_prob[lost] = -posterior.neg_log_posterior(xi[lost])
        raise RunFailed(
            f"no starting point for {int(lost.sum())} of {n} walkers after {RETRIES} tries; check "
            "the problem's configuration with 'pdeinv check', or lower spread"
        )

    def step(self, posterior: Posterior, state: EmceeState, rng: np.random.Generator) -> EmceeState:
        """Move every walker once; a failed solve has zero density and is never accepted."""
        from emcee.model import Model
        from emcee.state import State

        def density(xi: Array) -> tuple[Array, None]:
            return -posterior.neg_log_posterior(xi), None

        # A RandomState around our own bit generator draws from and advances that very stream.
        random = np.random.RandomState(rng.bit_generator)
        move = _move(self.config.moves, rng)
        before = State(state.xi, log_prob=state.log_prob, copy=True)
        after, accepted = move.propose(Model(None, density, map, random), before)
        warm = state.n >= self.config.warmup
        n_accepted = state.n_accepted + (int(accepted.sum()) if warm else 0)
        return EmceeState(after.coords, after.log_prob, state.n + 1, n_accepted)

    def record(self, state: EmceeState, step: int) -> Mapping[str, Any] | None:
        """All walkers of every thin-th step."""
        k = step - self.config.warmup
        if k <= 0 or k % self.config.thin:
            return None
        return {"xi": state.xi, "log_prob": state.log_prob}

    def finished(self, state: EmceeState) -> bool:
        """Never before the last draw."""
        return False

    def finalize(
        self, posterior: Posterior, chains: Sequence[Chain], rng: np.random.Generator
    ) -> Outcome:
        """One chain per ensemble, its draws ordered by step, then walker."""
        walkers, lp = stack(chains, "xi"), stack(chains, "log_prob")
        xi = walkers.reshape(len(chains), -1, posterior.dim)
        lp = lp.reshape(len(chains), -1)
        states: list[EmceeState] = [c.state for c in chains]
        moves = [max(1, s.n - self.config.warmup) * len(s.xi) for s in states]
        rate = float(np.mean([s.n_accepted / n for s, n in zip(states, moves, strict=True)]))
        found, converged, message = _judge(walkers, self.config.thin)
        return Outcome(
            xi=xi,
            stats={"misfit": -lp - cost(xi), "lp": lp},
            converged=converged,
            message=message,
            summary={"acceptance_rate": rate, **found},
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


def _judge(walkers: Array, thin: int) -> tuple[dict[str, float], bool, str]:
    """Numbers, verdict and sentence from walkers (ensemble, kept step, walker, dim).

    R-hat compares the means of the ensembles, never walkers of one ensemble.
    """
    times = [autocorrelation(np.moveaxis(ensemble, 1, 0)) for ensemble in walkers]
    tau = max(float(t.tau.max()) for t in times)
    n_ensembles, n_kept, n_walkers, _ = walkers.shape
    found = {
        "autocorrelation_time": thin * tau,
        "n_eff": n_ensembles * n_kept * n_walkers / max(tau, 1.0),
    }
    length = f"{n_kept / tau:.0f} autocorrelation times of {thin * tau:.0f} steps"
    faults = [] if all(t.reliable for t in times) else ["50 are wanted"]
    if n_ensembles > 1:
        r_hat = found["r_hat_of_means"] = summary(walkers.mean(axis=2)).r_hat
        if not r_hat < R_HAT:
            faults.append(f"the ensembles disagree (R-hat of their means {r_hat:.2f})")
    if faults:
        return found, False, f"not converged: {length}, {', '.join(faults)}; draw more"
    return found, True, f"converged: {length}"
