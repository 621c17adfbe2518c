"""Products with the Gauss-Newton Hessians at several points, many in one call of the model.

A row is one point with one direction; its bits are its own, whoever else asks at the same time
(:class:`pdeinv.model.forward.OffersRows`). Points that ask together once are expected to do so
again: conjugate gradients ask for one direction after another. What they were linearized in is
kept for as long as one of them is. That linearization is charged to nobody: how often it is made
depends on who asks together, and no count may.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pdeinv.bayes.counters import Counters
from pdeinv.bayes.likelihood import DataMisfit, Fisher
from pdeinv.bayes.point import PosteriorPoint
from pdeinv.errors import SolverDiverged
from pdeinv.model.forward import ForwardModel, RowsLinearization
from pdeinv.model.rows import block_of, in_blocks, linearize_rows
from pdeinv.typing import Array

__all__ = ["Along", "products_alone", "products_together"]


@dataclass(frozen=True)
class Along:
    """Directions at a point.

    Attributes:
        xi: where, shape (dim,).
        at: the point there.
        directions: shape (k, dim).
        counters: who pays.
    """

    xi: Array
    at: PosteriorPoint
    directions: Array
    counters: Counters


def products_alone(along: Along) -> Array:
    """J^T F J v for each direction, (k, dim), one by one; NaN where one fails."""
    found = np.full(along.directions.shape, np.nan)
    for i, v in enumerate(along.directions):
        try:
            found[i] = along.at.gauss_newton(v)
        except SolverDiverged:
            continue
    return found


def products_together(model: ForwardModel, law: DataMisfit, alongs: Sequence[Along]) -> list[Array]:
    """The same at several points of a model that takes rows; each is charged for its own.

    Points with one direction share their rows, one with several fills rows by itself.

    Args:
        model: of the points.
        law: the distribution of the data, whose Fisher information is F.
        alongs: what is asked for.
    """
    ones = [a for a in alongs if len(a.directions) == 1]
    single = iter(_at_several(model, law, ones) if ones else ())
    return [next(single) if len(a.directions) == 1 else _at_one(model, law, a) for a in alongs]


def _at_several(model: ForwardModel, law: DataMisfit, alongs: Sequence[Along]) -> list[Array]:
    """One direction at each point; rows of points that ask for none have the direction zero."""
    rows, seats = _shared(model, alongs), [a.at.seat.row for a in alongs]
    vs = np.zeros((len(rows.values), alongs[0].directions.shape[1]))
    vs[seats] = [a.directions[0] for a in alongs]
    tangents, ws = rows.jvp(vs), np.zeros_like(rows.values)
    for a, i in zip(alongs, seats, strict=True):
        ws[i] = _weighted(law.fisher(a.at.prediction), tangents[i])
    images = rows.vjp(ws)
    for a, i in zip(alongs, seats, strict=True):
        _charge(model, a.counters, tangents[i : i + 1], images[i : i + 1])
    return [images[i : i + 1] for i in seats]


def _shared(model: ForwardModel, alongs: Sequence[Along]) -> RowsLinearization:
    """The linearization that all points have a row of: the one they have, or a new one."""
    points = [a.at for a in alongs]
    held = points[0].seat.rows
    if held is not None and all(p.seat.rows is held for p in points):
        return held
    rows = linearize_rows(model, np.array([a.xi for a in alongs]))
    for i, point in enumerate(points):
        point.seat.take(rows, i)
    return rows


def _at_one(model: ForwardModel, law: DataMisfit, along: Along) -> Array:
    """Several directions at one point, by rows that are copies of it: a block of the model."""
    n = len(along.directions)
    copies = min(n, block_of(model) or n)
    rows = linearize_rows(model, np.tile(along.xi, (copies, 1)))
    fisher = law.fisher(along.at.prediction)
    tangents = in_blocks(rows.jvp, along.directions, 1, copies)[0]
    weighted = np.array([_weighted(fisher, t) for t in tangents])
    images: Array = in_blocks(rows.vjp, weighted, 1, copies)[0]
    _charge(model, along.counters, tangents, images)
    return images


def _weighted(fisher: Fisher, tangent: Array) -> Array:
    """F t, row by row: products with all of them at once would have other bits."""
    return fisher.whiten_transpose(fisher.whiten(tangent))


def _charge(model: ForwardModel, counters: Counters, tangents: Array, images: Array) -> None:
    sound = int(np.isfinite(tangents).all(axis=1).sum())
    failed = len(images) - int(np.isfinite(images).all(axis=1).sum())
    counters.count(model.kind, tangent=len(tangents), adjoint=sound, failed=failed)
