"""Ensemble Kalman inversion with perturbed observations and the data-misfit controller."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from pydantic import Field
from scipy.linalg import cho_factor, cho_solve

from pdeinv.bayes.fit import LARGEST_SHIFT
from pdeinv.bayes.importance import Importance, importance
from pdeinv.bayes.likelihood import LikelihoodKind
from pdeinv.bayes.posterior import Posterior
from pdeinv.bayes.prior import cost
from pdeinv.config import Config
from pdeinv.engines.base import Chain, Engine, Outcome
from pdeinv.engines.ended import Ended
from pdeinv.engines.ensemble_fit import EnsembleFit, fit_ensemble
from pdeinv.engines.requests import Steps
from pdeinv.engines.solvable import solved_rows
from pdeinv.errors import ConfigError
from pdeinv.typing import Array

__all__ = ["Eki", "EkiConfig", "EkiState", "kalman_update", "misfit_step"]

END = 1.0
"""Tempering time of the posterior."""

MOST_FAILED = 0.5
"""Share of members that may fail at once."""

SPREAD = 1.6
"""Members that spread by a factor less or more than their own linear fit calls for have collapsed,
or have not contracted yet."""


FEWEST, MOST = 200, 1000
"""Members where their number is not given."""


class EkiConfig(Config):
    """Options of ``eki``."""

    ensemble_size: int | None = Field(
        None,
        ge=4,
        description="members; unset: 4 for each unknown, at least 200 and at most 1000",
    )
    until: Literal["posterior", "discrepancy"] = Field(
        "posterior",
        description="temper to the posterior, or stop where the mean misfit meets the noise",
    )
    max_iterations: int = Field(100, ge=1, description="largest number of updates")

    def members(self, dim: int) -> int:
        """How many members for ``dim`` unknowns: they span one direction less than they are."""
        return self.ensemble_size or int(np.clip(4 * dim, FEWEST, MOST))


@dataclass(frozen=True)
class EkiState:
    """The ensemble with its predictions, at tempering time t (0 prior, 1 posterior).

    ``replaced`` counts members that were drawn anew because their solve failed.
    """

    xi: Array
    predictions: Array
    misfit: Array
    replaced: int
    t: float
    n: int


def misfit_step(misfit: Array, n_data: float, left: float) -> float:
    """The next tempering step, min(max(n_d / (2 mean Φ), sqrt(n_d / (2 var Φ))), left).

    Iglesias and Yang (2021, eq. 17): the information that one update adds stays bounded.
    """
    mean, variance = float(np.mean(misfit)), float(np.var(misfit))
    by_mean = n_data / (2 * mean) if mean > 0 else np.inf
    by_variance = np.sqrt(n_data / (2 * variance)) if variance > 0 else np.inf
    return float(min(max(by_mean, by_variance), left))


def kalman_update(xi: Array, white: Array, residual: Array, dt: float) -> Array:
    """xi_j + C_ug (C_gg + Γ/dt)^(-1) r_j, in whitened data space where Γ = I.

    Solves in the smaller of data space (n_d) and ensemble space (J, by the Woodbury identity).

    Args:
        xi: members, shape (J, dim).
        white: whitened predictions Γ^(-1/2) G_j, shape (J, n_d).
        residual: whitened y + eta_j - G_j with eta_j ~ N(0, Γ/dt), shape (J, n_d).
        dt: tempering step.
    """
    n, n_data = white.shape
    u = (xi - xi.mean(axis=0)) / np.sqrt(n - 1)
    z = (white - white.mean(axis=0)) / np.sqrt(n - 1)
    if n_data <= n:
        factor = cho_factor(z.T @ z + np.eye(n_data) / dt, lower=True)
        weights = z @ cho_solve(factor, residual.T)
    else:
        factor = cho_factor(z @ z.T + np.eye(n) / dt, lower=True)
        weights = cho_solve(factor, z @ residual.T)
    return np.asarray(xi + weights.T @ u)


class Eki(Engine[EkiState]):
    """Tempering from prior to posterior by Kalman updates of an ensemble, free of derivatives.

    Exact for linear models as the ensemble grows; elsewhere an approximation whose error does not
    vanish with the ensemble. Data of 0 and 1 count as additive noise with the same mean and
    variance (:meth:`pdeinv.bayes.likelihood.Likelihood.moments`), and the weights of the members to
    the posterior tell whether that was enough. References: Iglesias, Law,
    Stuart (2013); Iglesias, Yang (2021).
    """

    name = "eki"
    produces = "approximate"
    takes = LikelihoodKind.DENSITY
    Config = EkiConfig
    config: EkiConfig

    def draws_kept(self, dim: int) -> int:
        """The members."""
        return self.config.members(dim)

    def init(self, posterior: Posterior, rng: np.random.Generator) -> Steps[EkiState]:
        """Prior draws that can be solved.

        Raises:
            RunFailed: more than half of the members cannot be solved, or the new ones keep failing.
            ConfigError: the discrepancy principle for data without additive noise.
        """
        if self.config.until == "discrepancy" and not _is_additive(posterior):
            raise ConfigError(
                "engine.until = 'discrepancy' is a rule about additive noise, and these data have "
                "another likelihood; leave it out"
            )

        def draw(_: Array, n: int) -> Array:
            return rng.standard_normal((n, posterior.dim))

        xi = draw(np.zeros(0), self.config.members(posterior.dim))
        found = yield from solved_rows(posterior, xi, draw, MOST_FAILED)
        return EkiState(found.xi, found.predictions, found.misfit, found.replaced, 0.0, 0)

    def step(
        self, posterior: Posterior, state: EkiState, rng: np.random.Generator
    ) -> Steps[EkiState]:
        """One Kalman update over the next stretch of tempering time.

        Raises:
            RunFailed: as at the start.
        """
        left, seen = END - state.t, posterior.likelihood.moments(state.predictions)
        dt = misfit_step(state.misfit, seen.count, left)
        eta = rng.standard_normal(state.predictions.shape) / np.sqrt(dt)
        residual = seen.noise.whiten(posterior.data - seen.mean) + eta
        xi = kalman_update(state.xi, seen.noise.whiten(seen.mean), residual, dt)
        found = yield from solved_rows(posterior, xi, partial(_gaussian, rng), MOST_FAILED)
        return EkiState(
            found.xi,
            found.predictions,
            found.misfit,
            state.replaced + found.replaced,
            END if dt == left else state.t + dt,
            state.n + 1,
        )

    def record(self, state: EkiState, step: int) -> Mapping[str, Any] | None:
        """The course of the tempering."""
        return {
            "t": state.t,
            "mean_misfit": float(np.mean(state.misfit)),
            "spread": _spread(state.xi),
            "replaced": state.replaced,
        }

    def finished(self, state: EkiState) -> bool:
        """At the posterior, or at the noise level where that was asked for."""
        met = 2 * float(np.mean(state.misfit)) <= state.predictions.shape[1]
        return state.t >= END or (met and self.config.until == "discrepancy")

    def finalize(
        self, posterior: Posterior, chains: Sequence[Chain], rng: np.random.Generator
    ) -> Outcome:
        """The members as draws, with what tells a good ensemble from a collapsed one."""
        state: EkiState = chains[0].state
        fit = _fit(posterior, state)
        found = {
            "iterations": float(state.n),
            "tempering": state.t,
            "n_eff": float(len(state.xi)),
            "collapse_ratio": _spread(state.xi),
            "misfit_per_datum": float(np.mean(state.misfit)) / posterior.n_counting,
            "replaced": float(state.replaced),
            **({} if fit is None else _figures(fit)),
        }
        weights = None if _is_additive(posterior) else _weights(state)
        if weights is not None:
            found |= {"effective_share": weights.effective, "pareto_k": weights.pareto_k}
        ended, message = self._ended(state, fit, weights)
        return Outcome(
            xi=state.xi[None],
            stats={
                "misfit": state.misfit[None],
                "lp": -(state.misfit + cost(state.xi))[None],
            },
            ended=ended,
            message=message,
            summary=found,
            groups={"tempering": chains[0].course("update")},
            independent_chains=False,
        )

    def _ended(
        self, state: EkiState, fit: EnsembleFit | None, weights: Importance | None
    ) -> tuple[Ended, str]:
        """Whether the ensemble is where and as wide as its own predictions say it should be."""
        text = _verdict(state, self.config.until, self.finished(state))
        if not self.finished(state):
            ended = Ended.RUNNING.unless_cut(state.n, self.config.max_iterations)
            return ended, ended.sentence(text)
        fault = "" if self.config.until == "discrepancy" else _fault(state, fit)
        if not fault and weights is not None and not weights.holds:
            return (
                Ended.NOT_GAUSSIAN,
                f"{Ended.NOT_GAUSSIAN.sentence(weights.sentence('members'))}; {text}",
            )
        if not fault:
            return Ended.CONVERGED, text
        return Ended.COLLAPSED, f"{Ended.COLLAPSED.sentence(fault)}; {text}"


def _is_additive(posterior: Posterior) -> bool:
    return posterior.likelihood.kind is LikelihoodKind.GAUSSIAN


def _weights(state: EkiState) -> Importance | None:
    """How well the Gaussian of the members stands for the posterior of data that are not additive.

    Their likelihood counts by two moments only, which the linear fit cannot see. None where the
    members are too few for their covariance: its error alone scatters ln w by about dim²/(2 J).
    """
    n, dim = state.xi.shape
    if n < dim**2 or n < dim + 2:
        return None
    away = state.xi - state.xi.mean(axis=0)
    factor = np.linalg.qr(away / np.sqrt(n - 1), mode="r")
    white = np.linalg.lstsq(factor.T, away.T)[0]
    return importance(0.5 * np.sum(white**2, axis=0) - state.misfit - cost(state.xi))


def _fit(posterior: Posterior, state: EkiState) -> EnsembleFit | None:
    seen = posterior.likelihood.moments(state.predictions)
    return fit_ensemble(state.xi, seen.noise.whiten(seen.mean - posterior.data))


def _figures(fit: EnsembleFit) -> dict[str, float]:
    return {
        "largest_shift": float(fit.shift.max()),
        "smallest_spread": float(fit.spread.min()),
        "largest_spread": float(fit.spread.max()),
        "curvature": fit.curvature,
    }


def _fault(state: EkiState, fit: EnsembleFit | None) -> str:
    """What is wrong with the ensemble by its own linear fit; empty where nothing is."""
    n, dim = state.xi.shape
    if fit is None:
        return f"{n} members span at most {n - 1} of {dim} directions, their spreads are too small"
    faults, far = [], int(fit.shift.argmax())
    bent = int(np.argmax(np.maximum(fit.spread, 1 / np.maximum(fit.spread, 1e-300))))
    if not fit.shift[far] <= LARGEST_SHIFT:
        faults.append(f"the mean of xi[{far}] is {fit.shift[far]:.2g} standard deviations off")
    if not 1 / SPREAD <= fit.spread[bent] <= SPREAD:
        faults.append(f"xi[{bent}] has {fit.spread[bent]:.2g} times its spread")
    return f"by the ensemble's own linear fit {' and '.join(faults)}" if faults else ""


def _gaussian(rng: np.random.Generator, members: Array, n: int) -> Array:
    """``n`` draws of the Gaussian with the members' mean and covariance."""
    mean = members.mean(axis=0)
    weights = rng.standard_normal((n, len(members))) / np.sqrt(len(members) - 1)
    return np.asarray(mean + weights @ (members - mean))


def _spread(xi: Array) -> float:
    """Root mean variance of xi: 1 in the prior, 0 in a collapsed ensemble."""
    return float(np.sqrt(np.mean(np.var(xi, axis=0, ddof=1))))


def _verdict(state: EkiState, until: str, finished: bool) -> str:
    """One sentence on where the ensemble stands and what it is."""
    where = f"ensemble of {len(state.xi)} at tempering time {state.t:.3g} after {state.n} updates"
    if not finished and until == "discrepancy":
        what = "the mean misfit has not met the noise yet"
    elif not finished:
        what = f"the posterior is at {END:g}, so that this is no approximation of it"
    elif until == "discrepancy":
        what = (
            "stopped by the discrepancy principle: a regularized estimate, its spread no posterior"
        )
    else:
        what = "a Gaussian-ensemble approximation, exact for linear models and large ensembles only"
    return f"{where}; {what}"
