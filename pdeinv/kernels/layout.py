"""Where the entries of a factor lie in memory, and where products of its rows go: the C ``plan``.

A supernode of w columns with m rows below has a square block, whose g-th four rows hold
min(w, 4g + 4) columns, and then ceil(m / 4) quads of rows by w columns. Offsets count entries.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pdeinv.errors import ConfigError
from pdeinv.kernels.ordering import Index
from pdeinv.kernels.symbolic import Supernodes

__all__ = ["Layout", "Plan", "layout"]

_LARGEST = 2**31 - 1

_FIELDS: tuple[tuple[str, Any], ...] = (
    ("starts", np.int32),
    ("below", np.int64),
    ("rows", np.int32),
    ("diagonal", np.int64),
    ("rest", np.int64),
    ("relative", np.int64),
    ("column", np.int32),
    ("targets", np.int32),
    ("fresh", np.int32),
    ("fresh_at", np.int32),
    ("given_at", np.int32),
    ("source", np.int32),
    ("place", np.int32),
    ("pivot", np.int32),
    ("order", np.int32),
)
"""The arrays of the C structure in its order."""


class Plan(ctypes.Structure):
    """``plan`` of kernels.c."""

    _fields_ = [
        ("n", ctypes.c_int64),
        ("groups", ctypes.c_int64),
        *((name, ctypes.c_void_p) for name, _ in _FIELDS),
        ("quads", ctypes.c_int64),
        ("tallest", ctypes.c_int64),
        ("indefinite", ctypes.c_int64),
    ]


@dataclass(frozen=True)
class Layout:
    """A plan with the arrays that it points to.

    Attributes:
        plan: what the kernels read.
        arrays: by the names of the C structure.
    """

    plan: Plan
    arrays: dict[str, Any] = field(repr=False)


@dataclass(frozen=True)
class _Places:
    """Offsets of entries (row, group) at the group's first column."""

    groups: Supernodes
    below: Index
    diagonal: Index
    rest: Index
    keys: Index

    def offset(self, row: Index, group: Index) -> Index:
        g = self.groups
        inside = row - g.starts[group]
        width = g.widths()[group]
        four = inside // 4
        square = self.diagonal[group] + 8 * four * (four + 1) + inside % 4
        under = np.searchsorted(self.keys, group * len(g.order) + row) - self.below[group]
        lower = self.rest[group] + under // 4 * 4 * width + under % 4
        return np.where(inside < width, square, lower)


def layout(
    groups: Supernodes, indptr: Index, indices: Index, *, indefinite: bool = False
) -> Layout:
    """The plan of a factorisation.

    Args:
        groups: the columns of the factor.
        indptr: pattern of the given values, CSR; both triangles or one.
        indices: of it. Where both triangles are given, the lower one is read.
        indefinite: whether complex pivots may point anywhere.

    Raises:
        ConfigError: the factor has more than 2^31 entries.
    """
    width, tall = groups.widths(), groups.heights()
    full = (width + 3) // 4
    square, lower = 2 * full * (full - 1) + width, (tall + 3) // 4 * width
    begin = _sums(square + lower)
    if 4 * begin[-1] > _LARGEST:
        raise ConfigError(
            f"a factor of {4 * begin[-1]} entries is too large for the compiled kernels; "
            "take a coarser mesh or another solver"
        )
    rows, below = groups.rows, groups.below
    owner = np.repeat(np.arange(len(width)), tall)
    diagonal = 4 * begin[:-1]
    places = _Places(
        groups, below, diagonal, diagonal + 4 * square, owner * len(groups.order) + rows
    )
    arrays = {
        **{"starts": groups.starts, "rows": rows, "below": below, "order": groups.order},
        **{"diagonal": places.diagonal, "rest": places.rest},
        **_targets(places, rows, owner),
        **_first_use(groups, rows, owner),
        **_given(places, indptr, indices),
    }
    held = {name: np.ascontiguousarray(arrays[name], kind) for name, kind in _FIELDS}
    addresses = (held[name].ctypes.data for name, _ in _FIELDS)
    tallest = int((tall.max(initial=0) + 3) // 4)
    return Layout(
        Plan(len(groups.order), len(width), *addresses, int(begin[-1]), tallest, indefinite),
        held,
    )


def _sums(counts: Index) -> Index:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _of_column(groups: Supernodes) -> Index:
    """(n,), the group of each column."""
    return np.repeat(np.arange(len(groups.starts) - 1), groups.widths())


def _targets(places: _Places, rows: Index, owner: Index) -> dict[str, Index]:
    """Where the product of rows i ≥ j under a group goes: to column j, in the group that owns j.

    Rows j of one owner share the offsets of their rows i; ``relative`` points to them.
    """
    groups = places.groups
    hit = _of_column(groups)[rows]
    new = np.ones(len(rows), dtype=bool)
    new[1:] = (hit[1:] != hit[:-1]) | (owner[1:] != owner[:-1])
    run = np.cumsum(new) - 1
    first = np.flatnonzero(new)
    length = places.below[owner[first] + 1] - first
    at = _sums(length)
    flat = np.arange(at[-1]) + np.repeat(first - at[:-1], length)
    targets = places.offset(rows[flat], np.repeat(hit[first], length))
    # indexed by the place of i under the group, not behind the first row of the run
    relative = at[run] - (first[run] - places.below[owner])
    return {
        "relative": relative,
        "column": 4 * (rows - groups.starts[hit]),
        "targets": targets,
    }


def _first_use(groups: Supernodes, rows: Index, owner: Index) -> dict[str, Index]:
    """By group, the groups that it is the first to touch: itself or ancestors."""
    count = len(groups.starts) - 1
    first = np.arange(count)
    np.minimum.at(first, _of_column(groups)[rows], owner)
    return {
        "fresh": np.argsort(first, kind="stable"),
        "fresh_at": _sums(np.bincount(first, minlength=count)),
    }


def _given(places: _Places, indptr: Index, indices: Index) -> dict[str, Index]:
    """Which given value goes where; of two that belong to one place the lower triangle's."""
    groups = places.groups
    n = len(groups.order)
    back = np.empty(n, dtype=np.int64)
    back[groups.order] = np.arange(n)
    row, column = np.repeat(np.arange(n), np.diff(indptr)), np.asarray(indices, dtype=np.int64)
    low, high = np.maximum(back[row], back[column]), np.minimum(back[row], back[column])
    source = np.lexsort((row < column, low, high))
    key = high[source] * n + low[source]
    source = source[np.concatenate([[True], key[1:] != key[:-1]])]
    low, high = low[source], high[source]
    group = _of_column(groups)[high]
    pivot = np.full(n, -1)
    on = low == high
    pivot[high[on]] = source[on]
    return {
        "source": source,
        "place": places.offset(low, group) + 4 * (high - groups.starts[group]),
        "given_at": _sums(np.bincount(group, minlength=len(groups.starts) - 1)),
        "pivot": pivot,
    }
