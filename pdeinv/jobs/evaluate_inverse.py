"""A trained inverse on fresh draws of the prior: how far its estimates are off, and whether it says
so. Those of images are judged by :mod:`pdeinv.jobs.evaluate_images`.

The reference model is solved at each draw, noise is added as it would be measured, and the estimate
is held against the xi that made the data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pdeinv.bayes.bands import coverage, inside
from pdeinv.bayes.likelihood import Likelihood
from pdeinv.bayes.noise import Noise
from pdeinv.errors import CapabilityError, ConfigError, RunFailed
from pdeinv.jobs.evaluate import Request, Setting
from pdeinv.jobs.evaluated_draws import check_draws
from pdeinv.model.learned import Estimate, Inverse, Role
from pdeinv.model.rows import evaluate
from pdeinv.plugins import hooks
from pdeinv.plugins.case import Case
from pdeinv.plugins.recipe import load_surrogate
from pdeinv.plugins.surrogate import Surrogate
from pdeinv.rng import stream
from pdeinv.typing import Array

__all__ = [
    "Examination",
    "Fresh",
    "Told",
    "examination_summary",
    "examination_rows",
    "examine",
    "fresh",
]

NARROW = 0.8
"""The share of truths in bands of 90 % below which a spread is too small to start from blindly."""

USELESS = 0.9
"""The rms error, that of the prior mean being 1, above which an estimate says little."""

HALF = 0.7
"""The same at which it explains half of the prior's variance; what explains less is not good."""


@dataclass(frozen=True)
class Examination:
    """Estimates beside what they are of; rows whose solve failed are left out.

    Attributes:
        surrogate: what was examined.
        problem: name of the problem.
        xi: the truth, shape (n, dim).
        data: with noise, shape (n, n_d).
        found: the estimates, shapes (n, dim).
        failed: draws that could not be solved.
    """

    surrogate: Surrogate
    problem: str
    xi: Array
    data: Array
    found: Estimate
    failed: int

    @property
    def error(self) -> Array:
        """Of the estimates, shape (n, dim)."""
        return self.found.mean - self.xi

    @property
    def off(self) -> Array:
        """Errors in standard deviations, shape (n, dim)."""
        return self.found.distance(self.xi)

    @property
    def rms(self) -> float:
        """Root mean square error, that of the prior mean being 1."""
        return float(np.sqrt(np.mean(self.error**2)))

    @property
    def covered(self) -> float:
        """The share of components within their bands of 90 %."""
        return coverage(self.found, self.xi)


@dataclass(frozen=True)
class Fresh:
    """A bound inverse, and data of draws of the prior that it is asked about.

    Attributes:
        surrogate: what is examined.
        there: where.
        bound: the inverse.
        xi: the draws whose solve worked, shape (n, dim).
        data: theirs, with noise, shape (n, n_d).
        found: the estimates.
        failed: draws that could not be solved.
    """

    surrogate: Surrogate
    there: Setting
    bound: Inverse
    xi: Array
    data: Array
    found: Estimate
    failed: int


@dataclass(frozen=True)
class Told:
    """What is said of an inverse.

    Attributes:
        figures: as JSON data, with ``verdict``.
        root: all numbers, one row a draw.
    """

    figures: Mapping[str, Any]
    root: xr.Dataset


def fresh(request: Request, progress: Callable[[int, int], None]) -> Fresh:
    """Solve at fresh draws of the prior, add noise, and ask.

    Args:
        request: what to compare; ``around`` must be None.
        progress: told after all solves: done, in all.

    Raises:
        ConfigError: draws of a posterior are asked for.
        SurrogateRejected: trained for another problem, prior or sensor set.
        RunFailed: every solve failed.
    """
    if request.around is not None:
        raise ConfigError("an inverse is evaluated at draws of the prior; leave out --around")
    surrogate = load_surrogate(request.checkpoint)
    there = Setting.of(request, surrogate)
    bound = cast(Inverse, surrogate.bind(there.problem, there.prior, there.sensors))
    check_draws(request.n, there.prior.dim, there.reference.d_space.size)
    xi = stream(request.seed, "evaluate-inverse").standard_normal((request.n, there.prior.dim))
    values = evaluate(there.reference, xi).values
    progress(request.n, request.n)
    good: NDArray[np.bool_] = np.isfinite(values).all(axis=1)
    if not good.any():
        raise RunFailed(f"all {request.n} solves failed; check the problem with 'pdeinv check'")
    own = hooks.likelihood(there.problem)(there.sensors)
    law = own or _noise(request, there.case, surrogate, values[good])
    data = law.draw(values[good], stream(request.seed, "evaluate-noise"))
    found, failed = bound(data, law.std), int((~good).sum())
    return Fresh(surrogate, there, bound, xi[good], data, found, failed)


def examine(at: Fresh) -> Examination:
    """Estimates of ξ beside what they are of.

    Raises:
        CapabilityError: it estimates the unknown itself.
    """
    if at.bound.of != "xi":
        raise CapabilityError("evaluate compares estimates of xi, this one is of the unknown")
    name = at.there.problem.name
    return Examination(at.surrogate, name, at.xi, at.data, at.found, at.failed)


def _noise(request: Request, case: Case | None, surrogate: Surrogate, values: Array) -> Likelihood:
    if case is not None:
        return case.observations.likelihood
    if request.noise:
        return request.noise.for_values(np.abs(values).max(axis=0))
    stored = np.asarray(surrogate.metadata["noise_std"], dtype=np.float64).ravel()
    same = len(stored) == values.shape[1]
    return Noise(stored if same else np.full(values.shape[1], float(np.median(stored))))


def examination_summary(found: Examination) -> dict[str, Any]:
    """The figures as JSON data."""
    n, dim = found.xi.shape
    each = np.sqrt(np.mean(found.error**2, axis=0))
    covered = inside(found.found, found.xi).mean(axis=0)
    return {
        "surrogate": found.surrogate.metadata["surrogate"],
        "role": str(Role.INVERSE),
        "problem": found.problem,
        "n": n,
        "failed": found.failed,
        "data": found.data.shape[1],
        "xi_rms": found.rms,
        "xi_rms_over_std": float(np.sqrt(np.mean(found.off**2))),
        "coverage_90": found.covered,
        "components": [
            {"xi": i, "rms": float(each[i]), "std": float(found.found.std[:, i].mean()),
             "coverage_90": float(covered[i])}
            for i in range(dim)
        ],
        "verdict": _verdict(found),
    }  # fmt: skip


def _verdict(found: Examination) -> str:
    rms, covered = found.rms, found.covered
    if rms > USELESS:
        return f"weak: rms error {rms:.2g} where the prior mean has 1; train on more samples"
    if covered < NARROW:
        return (
            f"narrow: bands of 90 % hold {covered:.0%}; hold out more samples (share) or train on "
            "draws like these"
        )
    if rms > HALF:
        return (
            f"fair: rms error {rms:.2g} where the prior mean has 1, so that it explains "
            f"{1 - rms**2:.0%} of the variance: a start for searches, no estimate; train on more "
            f"samples; bands of 90 % hold {covered:.0%}"
        )
    return f"good: rms error {rms:.2g} where the prior mean has 1; bands of 90 % hold {covered:.0%}"


def examination_rows(found: Examination) -> xr.Dataset:
    """All numbers, one row a draw."""
    told = {
        "xi": (found.xi, "whitened unknown that made the data"),
        "mean": (found.found.mean, "its estimate"),
        "std": (found.found.std, "standard deviation of the estimate"),
    }
    return xr.Dataset(
        {
            name: (("sample", "xi_dim"), values, {"units": "1", "long_name": text})
            for name, (values, text) in told.items()
        }
    )
