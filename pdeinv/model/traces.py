"""Data as traces: values at equal steps of time, one series for each place that has a clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pdeinv.errors import CapabilityError
from pdeinv.memory import check_fits
from pdeinv.typing import Array

__all__ = ["Traces", "traces_of"]

TIMES = ("time", "t")
"""Names of the coordinate along which a trace runs."""

OFF = 1e-3
"""How far a time may lie from its place on the grid, as a share of a step."""

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Traces:
    """Where each datum stands in a table (trace, sample); places without a datum are gaps.

    Attributes:
        trace: the row of each datum, shape (n_d,).
        sample: its column, shape (n_d,).
        shape: of the table.
        step: time between two columns, in the unit of the time.
    """

    trace: Ints
    sample: Ints
    shape: tuple[int, int]
    step: float

    @property
    def size(self) -> int:
        """The number of data."""
        return len(self.trace)

    def put(self, values: Array) -> Array:
        """(..., n_d) as tables (..., traces, samples), zero in gaps."""
        table = np.zeros((*values.shape[:-1], *self.shape))
        table[..., self.trace, self.sample] = values
        return table

    def take(self, table: Array) -> Array:
        """The transpose of :meth:`put`: the data out of tables, row by row in memory."""
        return np.ascontiguousarray(table[..., self.trace, self.sample])

    def pieces(self) -> list[Ints]:
        """The data of each stretch of a trace without a gap, by its length: (pieces, length)."""
        order = np.lexsort((self.sample, self.trace))
        trace, sample = self.trace[order], self.sample[order]
        follows = (np.diff(trace) == 0) & (np.diff(sample) == 1)
        starts = np.flatnonzero(np.append(True, ~follows))
        lengths = np.diff(np.append(starts, len(order)))
        return [
            order[starts[lengths == n, None] + np.arange(n)].astype(np.int64)
            for n in np.unique(lengths)
        ]


def traces_of(coords: Mapping[str, Array], who: str) -> Traces:
    """The traces of data by their coordinates: all but the time tell traces apart.

    Args:
        coords: one array (n_d,) per coordinate; the time is ``time`` or ``t``.
        who: what asks, for messages.

    Raises:
        CapabilityError: there is no time, or it does not go in equal steps.
    """
    name = next((n for n in TIMES if n in coords), None)
    if name is None:
        raise CapabilityError(
            f"{who} needs data with a time ({' or '.join(TIMES)}), these have "
            f"{', '.join(coords) or 'no coordinate'}; leave it out"
        )
    sample, step = _columns(np.asarray(coords[name], dtype=np.float64), who)
    others = [np.asarray(v, dtype=np.float64) for n, v in coords.items() if n != name]
    trace = np.zeros(len(sample), dtype=np.int64)
    for values in others:
        number = np.unique(values, return_inverse=True)[1].ravel()
        trace = trace * (int(number.max(initial=0)) + 1) + number
        trace = np.unique(trace, return_inverse=True)[1].ravel()
    shape = int(trace.max(initial=0)) + 1, int(sample.max(initial=0)) + 1
    check_fits(f"{who}: traces of {shape[0]} x {shape[1]} samples", 64 * shape[0] * shape[1],
               "take data at fewer times")  # fmt: skip
    if len(np.unique(trace * shape[1] + sample)) < len(trace):
        raise CapabilityError(f"{who} needs one datum at a place and time; some are there twice")
    return Traces(trace, sample, shape, step)


def _columns(times: Array, who: str) -> tuple[Ints, float]:
    """The number of each time, counted in steps from the first, and the step."""
    known = np.unique(times)
    if len(known) < 2:
        raise CapabilityError(f"{who} needs data at several times, these have one")
    gaps = np.diff(known)
    step = float(np.median(gaps[gaps <= 1.5 * gaps.min()]))
    steps = (times - known[0]) / step
    number = np.rint(steps)
    off = float(np.abs(steps - number).max())
    if off > OFF * max(1.0, number.max() * 1e-3):
        raise CapabilityError(
            f"{who} needs data at equal steps of time; a time lies {off:.2g} steps of {step:g} "
            "off; interpolate the data, or leave it out"
        )
    return number.astype(np.int64), step
