"""What the draws of a result predict: data with and without noise, and how likely each datum is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pdeinv.bayes.jacobian import unwhitened
from pdeinv.bayes.likelihood import LikelihoodKind
from pdeinv.bayes.posterior import Posterior
from pdeinv.engines.base import Outcome
from pdeinv.io.observations import Observations
from pdeinv.typing import Array

__all__ = ["N_PREDICTIVE", "Predictive", "predicted"]

N_PREDICTIVE = 100
"""Draws that are predicted from, at most; each costs one solve."""

N_LIKELIHOOD = 25
"""Draws whose likelihoods are stored, at least: of fewer, a point among them, ``az.loo`` fits no
tail, and it says clearly where there are none."""

LEAD = ("chain", "draw")

Index = NDArray[np.int64]


@dataclass(frozen=True)
class Predictive:
    """Predictions of some draws, evenly spaced in each chain.

    Attributes:
        chains: which chains, shape (c,).
        draws: which draws of each, shape (k,).
        clean: G there, shape (c, k, n_d).
        noisy: data that would be measured there.
        log_density: of each datum there, given all others (:meth:`Likelihood.log_density`). Both
            are NaN where the data have a score without a density.
    """

    chains: Index
    draws: Index
    clean: Array
    noisy: Array
    log_density: Array

    @property
    def size(self) -> int:
        """How many draws there are."""
        return len(self.chains) * len(self.draws)

    def of(self, values: Array) -> Array:
        """The entries of (chain, draw, ...) that belong to these draws, (c, k, ...)."""
        return np.asarray(values[np.ix_(self.chains, self.draws)])

    def _labelled(self, variables: dict[str, xr.Variable]) -> xr.Dataset:
        coords = {"chain": self.chains, "draw": self.draws, "obs": np.arange(self.clean.shape[-1])}
        return xr.Dataset(variables, coords)

    def groups(self, observations: Observations) -> dict[str, xr.Dataset]:
        """The groups ``posterior_predictive`` and, of enough draws, ``log_likelihood``."""
        name, units, long_name = (
            getattr(observations.observed, k) for k in ("name", "units", "long_name")
        )
        dims, plain = (*LEAD, "obs"), {"units": units, "long_name": f"{long_name} without noise"}
        variables = {f"{name}_noise_free": xr.Variable(dims, self.clean, plain)}
        if not np.isnan(self.noisy).all():
            labels = {"units": units, "long_name": long_name}
            variables = {name: xr.Variable(dims, self.noisy, labels), **variables}
        found = {"posterior_predictive": self._labelled(variables)}
        if self.size < N_LIKELIHOOD:
            return found
        told = "natural log of the density of each datum, given the others"
        density = xr.Variable(dims, self.log_density, {"units": "1", "long_name": told})
        return {**found, "log_likelihood": self._labelled({name: density})}


def predicted(posterior: Posterior, outcome: Outcome, rng: np.random.Generator) -> Predictive:
    """Predictions at evenly spaced draws, the same of every chain; one solve each.

    Draws of a single chain that cannot be solved are left out: those of an approximation need not.
    """
    source, points = (
        (posterior, outcome.xi) if outcome.m is None else
        (unwhitened(posterior, "the result"), outcome.m)
    )  # fmt: skip
    chains = _spaced(len(points), N_PREDICTIVE)
    draws = _spaced(points.shape[1], max(1, N_PREDICTIVE // len(chains)))
    chosen = points[np.ix_(chains, draws)]
    clean = source.predict(chosen.reshape(-1, points.shape[-1]))
    law, unknown = posterior.likelihood, np.full_like(clean, np.nan)
    scored = law.kind is LikelihoodKind.SCORE
    noisy = unknown if scored else law.draw(clean, rng)
    density = unknown if scored else law.log_density(clean, posterior.data)
    shape = (len(chains), len(draws), posterior.n_data)
    parts = (a.reshape(shape) for a in (clean, noisy, density))
    found = Predictive(chains, draws, *parts)
    return found if len(chains) > 1 else _solved(found)


def _spaced(n: int, most: int) -> Index:
    """At most so many of n numbers, evenly spaced, the first and the last among them."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).astype(np.int64))


def _solved(found: Predictive) -> Predictive:
    ok = np.isfinite(found.clean).all(axis=(0, 2))
    if ok.all() or not ok.any():
        return found
    parts = (a[:, ok] for a in (found.clean, found.noisy, found.log_density))
    return Predictive(found.chains, found.draws[ok], *parts)
