"""Hybrid two-level MCMC: a surrogate base chain corrected by the fine model.

One run gives delayed-acceptance draws of the fine posterior (Christen, Fox 2005) and the two-level
estimates of its means (:mod:`pdeinv.engines.mcmc.estimators`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import xarray as xr
from pydantic import Field, model_validator

from pdeinv.bayes.posterior import Posterior
from pdeinv.engines.acceptance import log_acceptance
from pdeinv.engines.base import Chain, Need, Outcome
from pdeinv.engines.ended import Ended
from pdeinv.engines.mcmc.chains import ChainState, Move, Sampler, stack
from pdeinv.engines.mcmc.estimators import Pairs, average, plain, replicated, split
from pdeinv.engines.mcmc.faults import FEW, faults_of, slowed
from pdeinv.engines.mcmc.modal import ModalKernel
from pdeinv.engines.mcmc.modes import ManyModesConfig
from pdeinv.engines.mcmc.modes_found import modes_found
from pdeinv.engines.mcmc.tuning import Tuned, tune
from pdeinv.engines.requests import Misfit, Steps, on_coarse
from pdeinv.engines.solvable import Place
from pdeinv.typing import Array

__all__ = ["NEAR", "TwoLevel", "TwoLevelConfig", "TwoLevelState"]


SUBCHAIN, CORRECTION = 5, 5
"""Surrogate moves between two fine solves where their costs were not measured; steps between two of
the base chain."""

NEAR, NEAR_PATH = 0.3, 0.7
"""The share of subchains that are one short move where nobody measured how good the surrogate is,
and its mean path in radians."""

STARTS, REFUTED = 4, 50.0
"""Most starts of a chain; where the fine misfit is so much more than the surrogate's, the surrogate
has led it to a place that is not there, and another start is made."""


class TwoLevelConfig(ManyModesConfig):
    """Options of ``two-level``."""

    draws: int = Field(3500, ge=1, description="fine-model steps after burn-in, per chain")
    warmup: int = Field(50, ge=0, description="fine-model steps discarded, per chain")
    tuning: int = Field(400, ge=1, description="surrogate moves that tune the kernel, per chain")
    subchain: int | None = Field(
        None,
        ge=1,
        description="surrogate moves between two fine solves; unset: from measured costs",
    )
    near: float | None = Field(
        None,
        ge=0,
        le=0.9,
        description="share of subchains that are one short move; unset: by the sd of the misfit "
        "difference",
    )
    correction_every: int | None = Field(
        None,
        ge=1,
        description="the base chain moves, and is solved for, at every so many-th step; unset: 5, "
        "or the number of draws where that is less",
    )

    @model_validator(mode="after")
    def _corrects(self) -> Self:
        if (self.correction_every or 1) > self.draws:
            raise ValueError(
                f"correction_every = {self.correction_every} exceeds draws = {self.draws}, so that "
                f"nothing would be corrected; ask for at most {self.draws}"
            )
        return self

    @property
    def corrections(self) -> int:
        """``correction_every``, filled in."""
        return self.correction_every or min(CORRECTION, self.draws)

    @property
    def moves(self) -> int:
        """Of a subchain; where nobody measured costs, some."""
        return self.subchain or SUBCHAIN

    @property
    def short(self) -> float:
        """``near``, filled in."""
        return NEAR if self.near is None else self.near


@dataclass(frozen=True)
class Levels:
    """A position with Φ_f and Φ_s there; Φ_f is NaN where it was not solved for."""

    xi: Array
    fine: float
    coarse: float


@dataclass(frozen=True)
class TwoLevelState(ChainState):
    """The corrected chain and the base chain, with the frozen kernel that moves both.

    ``base_sum`` adds up (xi, m) over ``base_count`` base states.
    """

    here: Levels
    base: Levels
    base_sum: Array
    base_count: int
    kernel: ModalKernel

    @property
    def misfit(self) -> float:
        """Φ_f, for the progress line."""
        return self.here.fine


FINITE = {"long_name": "1 where every chain determines the estimate, else 0"}


def _quantities(posterior: Posterior, xi: Array) -> Array:
    """What the estimators average: xi and the unknown m, concatenated; (..., dim + n_m)."""
    return np.concatenate([xi, posterior.prior.unwhiten(xi)], axis=-1)


class TwoLevel(Sampler[TwoLevelState]):
    """Surrogate subchains propose, the fine model accepts; a base chain carries the means."""

    name = "two-level"
    needs = frozenset({Need.COARSE})
    Config = TwoLevelConfig
    config: TwoLevelConfig

    def init(self, posterior: Posterior, rng: np.random.Generator) -> Steps[TwoLevelState]:
        """Tune the kernel on the surrogate posterior and start both chains where that ended.

        Tuning starts from a prior draw of the chain's own. Where the fine model refutes the place,
        it is done again from another, a few times.
        """
        best, start = yield from self._started(posterior, rng)
        for _ in range(STARTS - 1):
            if start.fine - start.coarse < REFUTED:
                break
            tuned, other = yield from self._started(posterior, rng)
            if other.fine - other.coarse < start.fine - start.coarse:
                best, start = tuned, other
        nothing = np.zeros(posterior.dim + posterior.prior.space.size)
        return TwoLevelState(start, start, nothing, 0, best.kernel)

    def _started(
        self, posterior: Posterior, rng: np.random.Generator
    ) -> Steps[tuple[Tuned, Levels]]:
        assert posterior.coarse is not None
        steps = tune(posterior.coarse, self.config.tuning, rng, self.config.searches)
        tuned = yield from on_coarse(steps)
        fine = float((yield Misfit(tuned.place.xi)))
        return tuned, Levels(tuned.place.xi, fine, tuned.place.misfit)

    def move(
        self, posterior: Posterior, state: TwoLevelState, rng: np.random.Generator
    ) -> Steps[Move[TwoLevelState]]:
        """One delayed-acceptance step and one stretch of the base chain."""
        here = yield from self._delayed_acceptance(state, rng)
        accepted = int(here is not state.here)
        moved = yield from self._advance_base(posterior, replace(state, here=here), rng)
        return Move(moved, accepted)

    def _delayed_acceptance(self, state: TwoLevelState, rng: np.random.Generator) -> Steps[Levels]:
        """Subchain proposal; accept with min(1, exp[(Φ_s(v) - Φ_f(v)) - (Φ_s(u) - Φ_f(u))]).

        Some subchains are one short move. Where Φ_f - Φ_s is far below its mean, so that the
        surrogate thinks too little of a state, hardly a distant proposal is accepted, but a near
        one, whose Φ_f - Φ_s is much the same, often is.
        """
        here, kernel, n = state.here, state.kernel, self.config.moves
        if rng.random() < self.config.short:
            kernel, n = kernel.nearer(NEAR_PATH), 1
        start = Place(here.xi, here.coarse)
        trail = yield from on_coarse(kernel.trail(start, n, rng))
        place = trail[-1]
        if place is start:
            return here
        fine = float((yield Misfit(place.xi)))
        log_ratio = (place.misfit - fine) - (here.coarse - here.fine)
        if np.isfinite(fine) and np.log(rng.random()) < log_acceptance(log_ratio):
            return Levels(place.xi, fine, place.misfit)
        return here

    def _advance_base(
        self, posterior: Posterior, state: TwoLevelState, rng: np.random.Generator
    ) -> Steps[TwoLevelState]:
        """Where it is due, run the base chain, add to its sums and solve the fine model at its end.

        It goes as far as a subchain does, at every so many-th step.
        """
        if state.n % self.config.corrections:
            return replace(state, base=replace(state.base, fine=np.nan))
        start = Place(state.base.xi, state.base.coarse)
        trail = yield from on_coarse(state.kernel.trail(start, self.config.moves, rng))
        counted = trail if self.warm(state) else []
        total, last = state.base_sum, trail[-1]
        for place in counted:
            total = total + _quantities(posterior, place.xi)
        fine = float((yield Misfit(last.xi))) if counted else np.nan
        base = Levels(last.xi, fine, last.misfit)
        n = state.base_count + len(counted)
        return replace(state, base=base, base_sum=total, base_count=n)

    def kept(self, state: TwoLevelState) -> Mapping[str, Any]:
        """Both chains' positions and misfits."""
        return {
            "xi": state.here.xi,
            "misfit": state.here.fine,
            "coarse_misfit": state.here.coarse,
            "base_xi": state.base.xi,
            "base_misfit": state.base.fine,
            "base_coarse_misfit": state.base.coarse,
            "mode": state.kernel.modes.nearest(state.here.xi),
        }

    def finalize(
        self, posterior: Posterior, chains: Sequence[Chain], rng: np.random.Generator
    ) -> Outcome:
        """Delayed-acceptance draws, and a group ``two_level`` with the estimates of the means.

        Not converged where the run itself shows that the surrogate is wrong.
        """
        found = super().finalize(posterior, chains, rng)
        stats = {**found.stats, "coarse_misfit": stack(chains, "coarse_misfit")}
        estimates = _estimates(posterior, chains)
        rates = found.stats["acceptance_rate"][:, 0]
        faults = faults_of(chains, rates, estimates)
        early = found.ended is Ended.CUT and stats["misfit"].shape[1] <= FEW
        if faults and not early:
            found = replace(found, ended=Ended.MISLED, message=faults)
        # a chain whose first fine solve failed has an infinite misfit until it moves
        delta = stats["misfit"] - stats["coarse_misfit"]
        sd = float(np.std(delta)) if np.isfinite(delta).all() else np.nan
        found = replace(
            found,
            stats=stats,
            summary={**found.summary, "sd_misfit_difference": sd},
            groups={"two_level": estimates.assign(_of_base_chains(chains))},
            note=slowed(rates, sd),
        )
        modes = modes_found([c.state.kernel.modes for c in chains], stack(chains, "mode"))
        return found if modes is None else modes.told(found)


def _of_base_chains(chains: Sequence[Chain]) -> dict[str, Any]:
    """Φ of both models along the base chains."""
    names = ("base_misfit", "base_coarse_misfit")
    found = {name: (("chain", "draw"), stack(chains, name)) for name in names}
    dims, fine = found["base_misfit"]
    return {**found, "base_misfit": (dims, fine, {"long_name": "NaN where it was not solved for"})}


def _pairs(posterior: Posterior, chain: Chain, prefix: str) -> Pairs:
    """The states of one chain with finite misfits on both levels."""
    fine, coarse = chain.records[f"{prefix}misfit"], chain.records[f"{prefix}coarse_misfit"]
    known = np.isfinite(fine)
    xi = chain.records[f"{prefix}xi"][known]
    n_q = posterior.dim + posterior.prior.space.size
    q = _quantities(posterior, xi) if len(xi) else np.zeros((0, n_q))
    return Pairs(q, fine[known], coarse[known])


def _estimates(posterior: Posterior, chains: Sequence[Chain]) -> xr.Dataset:
    """Means of xi and m by the split and plain estimators and by the draws, with errors.

    ``finite`` is 0 for estimators that some chain does not determine.
    """
    sums = [(c.state.base_sum, c.state.base_count) for c in chains]
    fine = [_pairs(posterior, c, "") for c in chains]
    coarse = [_pairs(posterior, c, "base_") for c in chains]
    own = [s / max(1, n) for s, n in sums]
    found = {
        "split": replicated(lambda k: split(own[k], fine[k], coarse[k]), len(chains)),
        "plain": replicated(lambda k: plain(own[k], fine[k]), len(chains)),
        "draws": replicated(lambda k: average(own[k], fine[k]), len(chains)),
        "surrogate": replicated(lambda k: own[k], len(chains)),
    }
    return _labelled_estimates(posterior, found)


def _labelled_estimates(
    posterior: Posterior, found: Mapping[str, tuple[Array, Array]]
) -> xr.Dataset:
    names = list(found)
    means = np.stack([found[n][0] for n in names])
    errors = np.stack([found[n][1] for n in names])
    dim, space = posterior.dim, posterior.prior.space
    dataset = xr.Dataset(
        {
            "xi_mean": (("estimator", "xi_dim"), means[:, :dim]),
            "xi_mcse": (("estimator", "xi_dim"), errors[:, :dim]),
            "finite": ("estimator", np.isfinite(means).all(axis=1).astype(np.int8), FINITE),
        },
        {"estimator": names},
    )
    lead = ("estimator",)
    m_mean = space.unpack(means[:, dim:], lead).rename({v: f"{v}_mean" for v in space.names})
    m_error = space.unpack(errors[:, dim:], lead).rename({v: f"{v}_mcse" for v in space.names})
    return dataset.merge(m_mean, compat="no_conflicts").merge(m_error, compat="no_conflicts")
