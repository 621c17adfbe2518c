"""Points where the model can be solved, others being drawn anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from pdeinv.bayes.posterior import Posterior
from pdeinv.engines.requests import Misfit, Predict, Steps
from pdeinv.errors import RunFailed, SolverDiverged, reason
from pdeinv.typing import Array

__all__ = [
    "Place",
    "SolvedRows",
    "first_linearized",
    "first_point",
    "in_reach",
    "solved_rows",
    "trained_start",
    "unwatched",
]

TRIES = 20
"""Solves of a starting point, and rounds of replacing failed rows, before giving up."""

ADVICE = "check the problem's configuration with 'pdeinv check', or narrow the prior"


@dataclass(frozen=True)
class Place:
    """A point with its misfit."""

    xi: Array
    misfit: float


@dataclass(frozen=True)
class SolvedRows:
    """Points (n, dim) with their predictions (n, n_d) and finite misfits (n,).

    ``replaced`` counts those that had to be drawn anew.
    """

    xi: Array
    predictions: Array
    misfit: Array
    replaced: int


def trained_start(posterior: Posterior, xi: Array) -> Array:
    """``xi`` with all components where a learned model was trained.

    Away from its samples a Gaussian process is flat, so that a search that starts there never finds
    them. A model that knows its range says so by an attribute ``trained_range``, two arrays (dim,):
    the smallest and the largest ξ it has seen. Each component beyond it moves into it by its rank
    under N(0, 1), zero hence to the middle; all others stay.
    """
    known = getattr(posterior.model, "trained_range", None)
    if known is None:
        return xi
    low, high = known
    return np.where((xi >= low) & (xi <= high), xi, low + (high - low) * ndtr(xi))


def in_reach(posterior: Posterior, xi: Array) -> bool:
    """Whether a learned model that knows its range may say something there.

    Beyond the range, widened by half on each side, it may say the same everywhere, as a Gaussian
    process does; where that fits the data as well, it holds more mass than the posterior.
    """
    trained = getattr(posterior.model, "trained_range", None)
    if trained is None:
        return True
    low, high = trained
    return bool(np.all(np.abs(xi - 0.5 * (low + high)) <= high - low))


@contextmanager
def unwatched(posterior: Posterior) -> Iterator[None]:
    """Searches for a start may leave the range of a learned model; that says nothing of the draws.

    A model that counts evaluations beyond its range does so by an attribute ``watch``, and does not
    while ``paused`` of that is above 0.
    """
    models = [p.model for p in (posterior, posterior.coarse) if p is not None]
    watches = [m.watch for m in models if hasattr(m, "watch")]
    for watch in watches:
        watch.paused += 1
    try:
        yield
    finally:
        for watch in watches:
            watch.paused -= 1


def first_point(rng: np.random.Generator, xi: Array) -> Steps[Place]:
    """A point where the model can be solved: ``xi``, else a prior draw.

    Raises:
        RunFailed: no point was found.
    """
    for _ in range(TRIES):
        misfit = float((yield Misfit(xi)))
        if np.isfinite(misfit):
            return Place(xi, misfit)
        xi = rng.standard_normal(len(xi))
    raise RunFailed(f"no starting point: {TRIES} solves failed; {ADVICE}")


def first_linearized[T](
    rng: np.random.Generator, start: Array | Place, linearized: Callable[[Place], Steps[T]]
) -> Steps[T]:
    """What ``linearized`` finds at ``start``, or at a prior draw where a solve or derivative fails.

    Args:
        rng: for prior draws.
        start: a point, or one that has been solved for and is not solved for again.
        linearized: takes a point with a finite misfit.

    Raises:
        RunFailed: no such point was found.
    """
    why = ""
    for _ in range(TRIES):
        place = start if isinstance(start, Place) else (yield from first_point(rng, start))
        try:
            return (yield from linearized(place))
        except SolverDiverged as error:
            why = reason(error)
        start = rng.standard_normal(len(place.xi))
    raise RunFailed(
        f"no starting point: {TRIES} derivatives failed, the last since {why}; {ADVICE}"
    )


def solved_rows(
    posterior: Posterior, xi: Array, draw: Callable[[Array, int], Array], most: float = 1.0
) -> Steps[SolvedRows]:
    """Predictions at all rows of ``xi``; rows whose misfit is infinite are drawn anew.

    Args:
        posterior: whose data the misfits are of.
        xi: points, shape (n, dim).
        draw: (rows that could be solved, k) to k new rows.
        most: the largest share of rows that may fail at once.

    Raises:
        RunFailed: more of the rows cannot be solved, or the new ones keep failing.
    """
    xi, replaced = xi.copy(), 0
    predictions = np.array((yield Predict(xi)))
    for _ in range(TRIES):
        # A prediction may be finite and too large to be squared.
        misfit = posterior.misfit_of(predictions)
        failed = ~np.isfinite(misfit)
        n = int(failed.sum())
        if n == 0:
            return SolvedRows(xi, predictions, misfit, replaced)
        if n > most * len(xi):
            break
        xi[failed] = draw(xi[~failed], n)
        predictions[failed] = yield Predict(xi[failed])
        replaced += n
    raise RunFailed(f"{n} of {len(xi)} points cannot be solved; {ADVICE}")
