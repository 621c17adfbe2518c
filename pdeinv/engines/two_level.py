"""Hybrid two-level MCMC: a surrogate base chain corrected by the fine model.

One run gives delayed-acceptance draws of the fine posterior (Christen, Fox 2005) and the two-level
estimates of its means (:mod:`pdeinv.engines.estimators`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import xarray as xr
from pydantic import Field

from pdeinv.bayes.posterior import Posterior
from pdeinv.bayes.reference import Reference
from pdeinv.config import Config
from pdeinv.engines.acceptance import log_acceptance
from pdeinv.engines.base import Chain, Outcome, Produces, SamplerConfig, stack
from pdeinv.engines.estimators import Pairs, average, plain, replicated, split
from pdeinv.engines.hilbert_hmc import Kernel, Walker, tune
from pdeinv.engines.pcn import sampler_outcome
from pdeinv.engines.two_level_faults import faults_of
from pdeinv.models import Capability
from pdeinv.typing import Array

__all__ = ["TwoLevel", "TwoLevelConfig", "TwoLevelState"]


class TwoLevelConfig(SamplerConfig):
    """Options of ``two-level``."""

    draws: int = Field(300, ge=1, description="fine-model steps after burn-in, per chain")
    warmup: int = Field(20, ge=0, description="fine-model steps discarded, per chain")
    tuning: int = Field(400, ge=1, description="surrogate moves that tune the kernel, per chain")
    subchain: int = Field(5, ge=1, description="surrogate moves between two fine solves")
    correction_every: int = Field(
        1, ge=1, description="fine solve at every so many-th base-chain state (split estimator)"
    )


@dataclass(frozen=True)
class TwoLevelState:
    """Positions of the corrected chain and of the base chain, with the frozen kernel.

    ``fine``/``coarse`` are Φ_f and Φ_s at ``xi``; ``base_*`` the same for the base chain, where
    ``base_fine`` is NaN at states without a fine solve. ``base_sum`` adds up (xi, m) over
    ``base_count`` base states.
    """

    xi: Array
    fine: float
    coarse: float
    base_xi: Array
    base_fine: float
    base_coarse: float
    base_sum: Array
    base_count: int
    ref_mean: Array
    ref_basis: Array
    ref_excess: Array
    log_step: float
    n: int
    n_accepted: int

    @property
    def misfit(self) -> float:
        """Φ_f, for the progress line."""
        return self.fine

    @property
    def kernel(self) -> Kernel:
        """The kernel of both surrogate chains."""
        return Kernel(Reference(self.ref_mean, self.ref_basis, self.ref_excess), self.log_step)


FINITE = {"long_name": "1 where every chain determines the estimate, else 0"}


def _quantities(posterior: Posterior, xi: Array) -> Array:
    """What the estimators average: xi and the unknown m, concatenated; (..., dim + n_m)."""
    return np.concatenate([xi, posterior.prior.unwhiten(xi)], axis=-1)


class TwoLevel:
    """Surrogate subchains propose, the fine model accepts; a base chain carries the means."""

    name: ClassVar[str] = "two-level"
    produces: ClassVar[Produces] = "posterior"
    requires: ClassVar[frozenset[Capability]] = frozenset({Capability.COARSE})
    Config: ClassVar[type[Config]] = TwoLevelConfig

    def __init__(self, config: TwoLevelConfig) -> None:
        self.config = config

    @property
    def n_chains(self) -> int:
        """As configured."""
        return self.config.chains

    @property
    def n_steps(self) -> int:
        """Burn-in and draws, in fine-model steps."""
        return self.config.warmup + self.config.draws

    def init(self, posterior: Posterior, rng: np.random.Generator) -> TwoLevelState:
        """Tune the kernel on the surrogate posterior and start both chains where that ended."""
        coarse = _coarse(posterior)
        kernel, walker = tune(coarse, self.config.tuning, rng)
        fine = float(posterior.misfit(walker.xi))
        reference = kernel.reference
        return TwoLevelState(
            xi=walker.xi,
            fine=fine,
            coarse=walker.misfit,
            base_xi=walker.xi,
            base_fine=fine,
            base_coarse=walker.misfit,
            base_sum=np.zeros(posterior.dim + posterior.prior.space.size),
            base_count=0,
            ref_mean=reference.mean,
            ref_basis=reference.basis,
            ref_excess=reference.excess,
            log_step=kernel.log_step,
            n=0,
            n_accepted=0,
        )

    def step(
        self, posterior: Posterior, state: TwoLevelState, rng: np.random.Generator
    ) -> TwoLevelState:
        """One delayed-acceptance step and one stretch of the base chain."""
        state = self._delayed_acceptance(posterior, state, rng)
        state = self._advance_base(posterior, state, rng)
        return replace(state, n=state.n + 1)

    def _delayed_acceptance(
        self, posterior: Posterior, state: TwoLevelState, rng: np.random.Generator
    ) -> TwoLevelState:
        """Subchain proposal; accept with min(1, exp[(Φ_s(v) - Φ_f(v)) - (Φ_s(u) - Φ_f(u))])."""
        here = Walker(state.xi, state.coarse)
        walker = state.kernel.walk(_coarse(posterior), here, self.config.subchain, rng)
        if walker is here:
            return state
        fine = float(posterior.misfit(walker.xi))
        log_ratio = (walker.misfit - fine) - (state.coarse - state.fine)
        if not (np.isfinite(fine) and np.log(rng.random()) < log_acceptance(log_ratio)):
            return state
        counted = state.n >= self.config.warmup
        return replace(
            state,
            xi=walker.xi,
            fine=fine,
            coarse=walker.misfit,
            n_accepted=state.n_accepted + counted,
        )

    def _advance_base(
        self, posterior: Posterior, state: TwoLevelState, rng: np.random.Generator
    ) -> TwoLevelState:
        """Run the base chain, add to its sums, and solve the fine model where it is due."""
        walker = Walker(state.base_xi, state.base_coarse)
        total, count = state.base_sum, state.base_count
        moves = state.kernel.moves(_coarse(posterior), walker, self.config.subchain, rng)
        for walker, _ in moves:
            if state.n >= self.config.warmup:
                total, count = total + _quantities(posterior, walker.xi), count + 1
        due = state.n >= self.config.warmup and state.n % self.config.correction_every == 0
        return replace(
            state,
            base_xi=walker.xi,
            base_coarse=walker.misfit,
            base_fine=float(posterior.misfit(walker.xi)) if due else np.nan,
            base_sum=total,
            base_count=count,
        )

    def record(self, state: TwoLevelState, step: int) -> Mapping[str, Any] | None:
        """Both chains' positions and misfits after the burn-in."""
        k = step - self.config.warmup
        if k <= 0 or k % self.config.thin:
            return None
        return {
            "xi": state.xi,
            "misfit": state.fine,
            "coarse_misfit": state.coarse,
            "base_xi": state.base_xi,
            "base_misfit": state.base_fine,
            "base_coarse_misfit": state.base_coarse,
        }

    def finished(self, state: TwoLevelState) -> bool:
        """Never before the last draw."""
        return False

    def finalize(
        self, posterior: Posterior, chains: Sequence[Chain], rng: np.random.Generator
    ) -> Outcome:
        """Delayed-acceptance draws, and a group ``two_level`` with the estimates of the means.

        Not converged where the run itself shows that the surrogate is wrong.
        """
        rates = [c.state.n_accepted / max(1, c.state.n - self.config.warmup) for c in chains]
        fine, coarse = stack(chains, "misfit"), stack(chains, "coarse_misfit")
        # A chain whose first fine solve failed has an infinite misfit until it moves.
        sd = float(np.std(fine - coarse)) if np.isfinite(fine).all() else np.nan
        outcome = sampler_outcome(chains, rates, {"sd_misfit_difference": sd})
        estimates = _estimates(posterior, chains)
        faults = faults_of(chains, rates, estimates)
        return replace(
            outcome,
            stats={**outcome.stats, "coarse_misfit": coarse},
            converged=outcome.converged and not faults,
            message=faults or outcome.message,
            groups={"two_level": estimates},
        )


def _coarse(posterior: Posterior) -> Posterior:
    assert posterior.coarse is not None
    return posterior.coarse


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
    return dataset.merge(m_mean).merge(m_error)
