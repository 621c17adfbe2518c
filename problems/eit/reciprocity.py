"""Reciprocity of measured voltages, and what may be wrong where it fails.

Exchanging a current pattern with a voltage pattern leaves the voltage per ampere as it is. Data in
which it does not were read with another electrode order, or sign, than they were taken with.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from pdeinv.io.observations import Observations
from pdeinv.typing import Array

from .model import Sheet

__all__ = ["mismatch", "remarks"]

Ints = NDArray[np.int64]

_FAILS = 0.1
"""Relative mismatch above which reciprocity counts as broken, if noise does not explain it."""
_LEAST = 3
"""Fewer reciprocal pairs than these say nothing."""


def _keys(rows: Array) -> tuple[dict[tuple[float, ...], int], Array]:
    """Patterns scaled to a positive unit first entry, by number, and their scales."""
    lead = rows[np.arange(len(rows)), np.argmax(rows != 0, axis=1)]
    scaled = np.round(rows / np.where(lead == 0, 1, lead)[:, None], 9) + 0.0
    return {tuple(r): k for k, r in enumerate(scaled.tolist())}, lead


def pairs(drives: Array, measures: Array) -> tuple[Ints, Array]:
    """Reciprocal pairs ((i, j), (k, l)) as rows (i, j, k, l), and the factors of both voltages."""
    by_drive, amps = _keys(drives)
    by_measure, volts = _keys(measures)
    to_measure = {i: by_measure[key] for key, i in by_drive.items() if key in by_measure}
    to_drive = {j: by_drive[key] for key, j in by_measure.items() if key in by_drive}
    found, scale = [], []
    for i, target in to_measure.items():
        for j, source in to_drive.items():
            if i < source:
                found.append((i, j, source, target))
                scale.append((1 / (amps[i] * volts[j]), 1 / (amps[source] * volts[target])))
    return np.array(found, dtype=np.int64).reshape(-1, 4), np.array(scale).reshape(-1, 2)


def mismatch(table: Array, drives: Array, measures: Array) -> tuple[float, int]:
    """The root mean square of V_IM − V_MI over that of the voltages, and how many pairs count."""
    index, scale = pairs(drives, measures)
    if len(index) == 0:
        return 0.0, 0
    a = table[index[:, 0], index[:, 1]] * scale[:, 0]
    b = table[index[:, 2], index[:, 3]] * scale[:, 1]
    good = np.isfinite(a) & np.isfinite(b)
    if not good.any():
        return 0.0, 0
    size = float(np.sqrt(np.mean((a[good] ** 2 + b[good] ** 2) / 2)))
    gap = float(np.sqrt(np.mean((a[good] - b[good]) ** 2) / 2))
    return (gap / size if size > 0 else 0.0), int(good.sum())


def _suspects(table: Array, sheet: Sheet) -> list[tuple[float, str]]:
    """The mismatch under other readings of the measurement electrodes, with their description."""
    drives, measures = sheet.drives, sheet.measures
    n, found = drives.shape[1], []
    for r in range(1, n):
        turned = np.roll(measures, r, axis=1)
        found.append((turned, f"the measuring electrodes are shifted, 0 being electrode {r}"))
    for r in range(n):
        turned = np.roll(measures[:, ::-1], r, axis=1)
        found.append((turned, "the measuring electrodes are numbered in the other direction"))
    for a, b in combinations(range(n), 2):
        swapped = measures.copy()
        swapped[:, [a, b]] = measures[:, [b, a]]
        found.append((swapped, f"electrodes {a} and {b} are swapped where voltages are measured"))
    scores = []
    for reading, text in found:
        error, count = mismatch(table, drives, reading)
        if count >= _LEAST:
            scores.append((error, text))
    return scores


def remarks(observations: Observations, sheet: Sheet) -> tuple[str, ...]:
    """A warning where reciprocity fails beyond the noise, naming the likeliest cause.

    Args:
        observations: real voltages with coordinates injection and measurement.
        sheet: the protocol.
    """
    coords = observations.coords
    table = np.full((len(sheet.drives), len(sheet.measures)), np.nan)
    where = tuple(np.asarray(coords[k]).astype(np.int64) for k in ("injection", "measurement"))
    table[where] = observations.values
    error, count = mismatch(table, sheet.drives, sheet.measures)
    rms = float(np.sqrt(np.mean(observations.values**2)))
    noise = float(np.sqrt(np.mean(observations.noise.std**2))) / rms if rms > 0 else np.inf
    limit = max(_FAILS, 5 * noise)
    if count < _LEAST or error <= limit:
        return ()
    said = (
        f"reciprocity fails: V(I, M) and V(M, I) differ by {100 * error:.0f} % over {count} pairs, "
        f"noise explains {100 * noise:.2g} %"
    )
    suspects = _suspects(table, sheet)
    least = min((e for e, _ in suspects), default=np.inf)
    if least < max(limit / 2, 0.2 * error):
        # where several readings hold, as they may in a symmetric body, the simplest comes first
        text = next(t for e, t in suspects if e <= max(2 * least, noise))
        return (f"{said}; it would hold if {text}: check the electrode order",)
    return (f"{said}: check electrode order and signs",)
