"""Have ensembles of walkers converged? Their memory within, their means and spreads between them.

Walkers of one ensemble depend on one another: R-hat is never taken over them. It compares, step by
step, the mean and the log of the standard deviation over the walkers of independent ensembles, so
that ensembles which still contract or expand alike are told from those that have settled.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from pdeinv.bayes.diagnostics import autocorrelation, components
from pdeinv.engines.ended import Ended
from pdeinv.typing import Array

__all__ = ["EnsembleVerdict", "judge_ensembles"]

R_HAT = 1.05
"""Ensembles whose means and spreads agree to this R-hat are taken to sample the same."""

LENGTH = 50
"""Autocorrelation times that an ensemble has to be long."""


@dataclass(frozen=True)
class EnsembleVerdict:
    """How it ended and why, the numbers behind it, and those of each xi as a group."""

    ended: Ended
    found: str
    figures: dict[str, float]
    group: xr.Dataset

    @property
    def message(self) -> str:
        """How it ended, why, and what to do."""
        return self.ended.sentence(f"{self.ended.words}: {self.found}")


def judge_ensembles(walkers: Array, thin: int) -> EnsembleVerdict:
    """The verdict on walkers (ensemble, kept step, walker, dim), every ``thin``-th step kept."""
    times = [autocorrelation(np.moveaxis(ensemble, 1, 0)) for ensemble in walkers]
    tau = np.max([t.tau for t in times], axis=0)
    n_ensembles, n_kept = walkers.shape[:2]
    r_hat = _r_hat(walkers)
    faults = [] if n_kept >= LENGTH * tau.max() else [f"{LENGTH} are wanted"]
    if not r_hat.max() < R_HAT:
        worst = int(np.argmax(np.where(np.isnan(r_hat), np.inf, r_hat)))
        faults.append(f"the ensembles disagree at xi[{worst}] (R-hat {r_hat[worst]:.2f})")
    if n_ensembles == 1:
        faults.append("one ensemble cannot tell, run several")
    ended = Ended.UNMIXED if faults else Ended.CONVERGED
    length = f"{n_kept / tau.max():.0f} autocorrelation times of {thin * tau.max():.0f} steps"
    n_eff = walkers[..., 0].size / np.maximum(tau, 1.0)
    figures = {
        "autocorrelation_time": thin * float(tau.max()),
        "n_eff": float(n_eff.min()),
        **({"r_hat_of_ensembles": float(r_hat.max())} if n_ensembles > 1 else {}),
    }
    group = _group(walkers, np.asarray(thin * tau, dtype=np.float64), n_eff, r_hat)
    return EnsembleVerdict(ended, ", ".join([length, *faults]), figures, group)


def _r_hat(walkers: Array) -> Array:
    """The larger R-hat of means and of log spreads over walkers, by component."""
    spread = np.std(walkers, axis=2)
    moving = np.where(spread > 0, spread, np.nan)
    pairs = (walkers.mean(axis=2), np.log(moving))
    return np.maximum(*(components(series).r_hat for series in pairs))


def _group(walkers: Array, tau: Array, n_eff: Array, r_hat: Array) -> xr.Dataset:
    """The figures of each xi; ``xi_r_hat`` is that of the ensembles."""
    known = np.where(n_eff > 0, n_eff, np.nan)
    error = np.std(walkers, axis=(0, 1, 2)) / np.sqrt(known)
    told = {
        "xi_r_hat": (r_hat, "R-hat of means and spreads of the ensembles, below 1.05 wanted"),
        "xi_autocorrelation_time": (tau, "integrated autocorrelation time in steps"),
        "xi_ess_bulk": (n_eff, "draws over the autocorrelation time"),
        "xi_mcse": (error, "Monte Carlo standard error of the mean"),
    }
    return xr.Dataset(
        {k: ("xi_dim", v, {"units": "1", "long_name": text}) for k, (v, text) in told.items()}
    )
