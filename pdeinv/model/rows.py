"""Several unknowns at once: by the model's own rows where it offers them, else one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import cast

import numpy as np

from pdeinv.errors import SolverDiverged
from pdeinv.model.forward import (
    Capability,
    ForwardModel,
    Linearization,
    OffersRows,
    Rows,
    RowsLinearization,
    finite,
)
from pdeinv.typing import Array

__all__ = [
    "block_of",
    "by_rows",
    "each_row",
    "evaluate",
    "guarded",
    "in_blocks",
    "joined",
    "linearize",
    "linearize_each",
    "linearize_rows",
    "rows_each",
]


def by_rows(model: ForwardModel) -> OffersRows | None:
    """The model as one that offers rows; None where it does not."""
    return cast(OffersRows, model) if Capability.ROWS in model.capabilities else None


def block_of(model: object) -> int | None:
    """How many rows the model takes best at once, where it says so."""
    return getattr(model, "block", None)


def in_blocks(act: Callable[[Array], Array], vectors: Array, n: int, copies: int) -> Array:
    """An action at ``n`` points of ``copies`` rows each, on all vectors (k, size): (n, k, images).

    A row that has no vector left gets zeros.
    """
    parts = []
    for first in range(0, len(vectors), copies):
        some = vectors[first : first + copies]
        given = np.zeros((n, copies, vectors.shape[1]))
        given[:, : len(some)] = some
        images = act(given.reshape(n * copies, -1))
        parts.append(images.reshape(n, copies, -1)[:, : len(some)])
    return np.concatenate(parts, axis=1)


def each_row[T](ask: Callable[[Array], T], ms: Array) -> Rows[list[T | None]]:
    """``ask`` at each row of ``ms``; what raises :class:`SolverDiverged` is a failure."""
    values, failures = list[T | None](), dict[int, str]()
    for i, m in enumerate(ms):
        try:
            values.append(ask(m))
        except SolverDiverged as error:
            values.append(None)
            failures[i] = str(error)
    return Rows(values, failures)


def evaluate(model: ForwardModel, ms: Array) -> Rows[Array]:
    """G at each row of ``ms`` (n, n_m), in one call where the model takes rows or batches."""
    own = by_rows(model)
    if own is not None:
        return checked(own.rows(ms))
    if Capability.BATCH in model.capabilities:
        # a batch that is refused as a whole may hold rows that can be solved
        with suppress(SolverDiverged):
            return checked(Rows(model(ms), {}))
    return rows_each(model, ms)


def joined[T](parts: Sequence[Rows[list[T]]]) -> Rows[list[T]]:
    """Blocks of rows as one."""
    values, failures = list[T](), dict[int, str]()
    for part in parts:
        failures |= {len(values) + i: why for i, why in part.failures.items()}
        values += part.values
    return Rows(values, failures)


def checked(rows: Rows[Array]) -> Rows[Array]:
    """The same, with rows that are not finite among the failures."""
    if np.isfinite(rows.values).all():
        return rows
    lost = np.flatnonzero(~np.isfinite(rows.values).all(axis=-1))
    found = {int(i): "the prediction is not finite" for i in lost}
    return Rows(rows.values, {**found, **rows.failures})


def rows_each(model: ForwardModel, ms: Array) -> Rows[Array]:
    """G at each row of ``ms`` (n, n_m), one by one: ROWS of a model whose calls keep it."""
    found = each_row(lambda m: finite(model(m)), ms)
    return Rows(_stacked(found.values, len(ms), model.d_space.size), found.failures)


def linearize(model: ForwardModel, m: Array) -> Linearization:
    """G and its derivative at ``m`` of shape (n_m,), :func:`guarded`.

    Raises:
        SolverDiverged: the solve failed, or G is not finite.
    """
    at = model.linearize(m)
    finite(at.value)
    return guarded(at)


def guarded(at: Linearization) -> Linearization:
    """The same, whose actions raise :class:`SolverDiverged` where they are not finite."""
    return Linearization(
        at.value,
        lambda dm: finite(at.jvp(dm), "tangent"),
        lambda w: finite(at.vjp(w), "gradient"),
    )


def linearize_rows(model: ForwardModel, ms: Array) -> RowsLinearization:
    """The same at each row of ``ms`` (n, n_m), in one call where the model takes rows.

    Rows whose values are not finite are among the failures.
    """
    own = by_rows(model)
    if own is None:
        return linearize_each(model, ms)
    found = own.linearize_rows(ms)
    reasons = checked(found).failures
    # without the rest of what was found: a point would keep the factors of all rows
    return replace(found, failures=reasons, at=partial(_row, found.at, reasons))


def _row(at: Callable[[int], Linearization], reasons: Mapping[int, str], i: int) -> Linearization:
    if i in reasons:
        raise SolverDiverged(reasons[i])
    return guarded(at(i))


def linearize_each(model: ForwardModel, ms: Array) -> RowsLinearization:
    """The same one by one: ROWS of a model whose linearizations keep it."""
    found = each_row(lambda m: linearize(model, m), ms)
    points, reasons, n_d = found.values, found.failures, model.d_space.size
    values = [None if p is None else p.value for p in points]
    jvps = [None if p is None else p.jvp for p in points]
    vjps = [None if p is None else p.vjp for p in points]
    return RowsLinearization(
        _stacked(values, len(ms), n_d),
        reasons,
        lambda dms: _acted(jvps, dms, n_d),
        lambda ws: _acted(vjps, ws, model.m_space.size),
        lambda i: _point(points, reasons, i),
    )


def _point(
    points: Sequence[Linearization | None], reasons: Mapping[int, str], i: int
) -> Linearization:
    point = points[i]
    if point is None:
        raise SolverDiverged(reasons[i])
    return point


def _acted(acts: Sequence[Callable[[Array], Array] | None], vectors: Array, size: int) -> Array:
    """One action a row; NaN where there is none, or where it fails."""
    values = list[Array | None]()
    for act, v in zip(acts, vectors, strict=True):
        try:
            values.append(None if act is None else act(v))
        except SolverDiverged:
            values.append(None)
    return _stacked(values, len(acts), size)


def _stacked(values: Sequence[Array | None], n: int, size: int) -> Array:
    nothing = np.full(size, np.nan)
    return np.array([nothing if v is None else v for v in values]).reshape(n, size)
