"""Points where the model can be solved, others being drawn anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pdeinv.engines.requests import Misfit, Predict, Steps
from pdeinv.errors import RunFailed
from pdeinv.typing import Array

__all__ = ["Place", "SolvedRows", "first_point", "solved_rows"]

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
    """Points (n, dim) with their finite values (n, ...), and how many had to be drawn anew."""

    xi: Array
    values: Array
    replaced: int


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


def solved_rows(
    xi: Array,
    ask: type[Misfit] | type[Predict],
    draw: Callable[[Array, int], Array],
    most: float = 1.0,
) -> Steps[SolvedRows]:
    """Values at all rows of ``xi``; rows that cannot be solved are drawn anew.

    Args:
        xi: points, shape (n, dim).
        ask: which values.
        draw: (rows that could be solved, k) to k new rows.
        most: the largest share of rows that may fail.

    Raises:
        RunFailed: more of the rows cannot be solved, or the new ones keep failing.
    """
    xi, replaced = xi.copy(), 0
    values = np.array((yield ask(xi)))
    for _ in range(TRIES):
        failed = ~np.isfinite(values.reshape(len(xi), -1)).all(axis=1)
        n = int(failed.sum())
        if n == 0:
            return SolvedRows(xi, values, replaced)
        if n > most * len(xi):
            break
        xi[failed] = draw(xi[~failed], n)
        values[failed] = yield ask(xi[failed])
        replaced += n
    raise RunFailed(f"{n} of {len(xi)} points cannot be solved; {ADVICE}")
