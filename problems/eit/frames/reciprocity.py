"""Do drives and measurements fit together? What reciprocity says of the order of the data.

The voltage of measurement pattern p under injection c is V = pᵀ R c with a symmetric transfer
matrix R between electrodes, whatever the body: swapping drive and measurement changes nothing
(Geselowitz 1971). Electrodes that are numbered in one way for drives and in another for
measurements, or voltages that are read in the wrong order, break this.

A sign that is reversed everywhere, and data without redundancy, are told by likeness to a uniform
disc, R_kl = −log|x_k − x_l| / π, instead: any body is more like it than like its negative.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lstsq

from pdeinv.typing import Array

__all__ = ["MAX_ERROR", "MIN_LIKENESS", "Numbers", "Reciprocity", "reciprocity", "rms"]

MAX_ERROR = 0.1
"""Larger violations, relative to the rms voltage, are no measurement noise."""
LEAST = 3
"""Fewer relations than these say nothing."""
MIN_LIKENESS = 0.5
"""Correlation with a uniform disc that right data are expected to exceed."""
MAX_TRIED = 10
"""How many other orders, the most disc-like ones, are examined in full."""

Numbers = NDArray[Any]
Order = tuple[str, Array, Numbers]
"""A possible reading: what it says is wrong, its measurement patterns, its voltages."""


@dataclass(frozen=True)
class Reciprocity:
    """How well the data obey V = pᵀ R c with a symmetric R.

    Attributes:
        relations: independent relations among the data; 0 where nothing is measured twice.
        noise_std: rms violation per datum in V, an estimate of the noise standard deviation.
        error: the same relative to the rms voltage.
        likeness: correlation with a uniform disc, −1 to 1.
        limit: the error that noise may cause.
        signed: whether the likeness counts, which it does not for differences of frames.
        suspicion: what is probably wrong, in words, where the data do not fit.
    """

    relations: int
    noise_std: float
    error: float
    likeness: float
    limit: float = MAX_ERROR
    signed: bool = True
    suspicion: str | None = None

    @property
    def obeys(self) -> bool:
        """Whether reciprocity holds as far as noise allows."""
        return self.relations < LEAST or self.error <= self.limit

    @property
    def fits(self) -> bool:
        """Whether the order and signs of the data are plausible."""
        return self.obeys and (self.likeness >= MIN_LIKENESS or not self.signed)

    @property
    def warning(self) -> str | None:
        """One line for the user where the data do not fit, else None."""
        if self.fits:
            return None
        if not self.obeys:
            what = f"reciprocity fails by {self.error:.0%} of the rms voltage"
        else:
            what = f"the voltages are unlike those of any body (likeness {self.likeness:.2f})"
        hint = self.suspicion or "check the order and signs of electrodes and voltages"
        return f"{what}; {hint}"


def reciprocity(
    current: Array,
    pattern: Array,
    voltage: Numbers,
    places: Array | None = None,
    *,
    noise_std: float = 0.0,
    signed: bool = True,
) -> Reciprocity:
    """Examine order and signs of a frame.

    Args:
        current: drive of each injection, shape (n_injection, n_electrode), A.
        pattern: weights of each measurement, shape (n_measurement, n_electrode).
        voltage: shape (n_injection, n_measurement), V, real or complex, NaN where not measured.
        places: of the electrodes, shape (n_electrode, 2); on a circle, in order, by default.
        noise_std: of the voltages (of real and imaginary part each), V, where it is known.
        signed: whether the voltages have the sign of a body, as those of one frame do; those of a
            difference of two frames have not.
    """
    uniform = _disc(_ring(current.shape[1]) if places is None else places)
    size = rms(voltage)
    spread = noise_std * (np.sqrt(2) if np.iscomplexobj(voltage) else 1.0)
    limit = max(MAX_ERROR, 5 * spread / size if size else 0.0)

    def examined(pattern: Array, voltage: Numbers) -> Reciprocity:
        found = _examine(current, pattern, voltage, uniform)
        return replace(found, limit=limit, signed=signed)

    found = examined(pattern, voltage)
    if found.fits:
        return found
    others = sorted(
        _orders(current, pattern, voltage),
        key=lambda order: -abs(_likeness(current, order[1], order[2], uniform)),
    )
    tried = [(text, examined(p, v)) for text, p, v in others[:MAX_TRIED]]
    tried.insert(0, ("", found))
    text, best = min(tried, key=lambda t: (round(t[1].error, 3), -round(abs(t[1].likeness), 2)))
    return replace(found, suspicion=_suspicion(best, text))


def _suspicion(best: Reciprocity, text: str) -> str | None:
    """What the reading that fits best says is wrong with the one at hand."""
    if not best.obeys or (best.signed and abs(best.likeness) < MIN_LIKENESS):
        return None
    sign = "the sign of all voltages, or of all drives, is reversed"
    parts = [p for p in (text, sign if best.signed and best.likeness < 0 else "") if p]
    return "it looks as if " + " and ".join(parts) if parts else None


def _examine(current: Array, pattern: Array, voltage: Numbers, uniform: Array) -> Reciprocity:
    good = np.isfinite(voltage)
    data, size = voltage[good], rms(voltage)
    likeness = _likeness(current, pattern, voltage, uniform)
    left, relations = _left_by_symmetric(current, pattern, good, data)
    noise_std = float(np.linalg.norm(left) / np.sqrt(relations)) if relations else 0.0
    return Reciprocity(relations, noise_std, noise_std / size if size else 0.0, likeness)


def rms(voltage: Numbers) -> float:
    """The root mean square of what was measured, 0 where nothing was."""
    data = voltage[np.isfinite(voltage)]
    return float(np.sqrt(np.mean(np.abs(data) ** 2))) if data.size else 0.0


def _left_by_symmetric(
    current: Array, pattern: Array, good: NDArray[np.bool_], data: Numbers
) -> tuple[Numbers, int]:
    """What the best symmetric R leaves of the data, and how many relations that tests."""
    i, m = np.nonzero(good)
    rows, columns = np.triu_indices(current.shape[1])
    c, p = current[i], pattern[m]
    scale = float(np.max(np.abs(current))) or 1.0
    design = (p[:, rows] * c[:, columns] + p[:, columns] * c[:, rows]) / scale
    fitted, _, rank, _ = lstsq(design, data, cond=1e-10, lapack_driver="gelsy")
    return data - design @ fitted, len(data) - int(rank)


def _likeness(current: Array, pattern: Array, voltage: Numbers, uniform: Array) -> float:
    good = np.isfinite(voltage)
    a = np.real(voltage)[good]
    b = (current @ uniform @ pattern.T)[good]
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / size if size else 0.0


def _ring(n: int) -> Array:
    angle = 2 * np.pi * np.arange(n) / n
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _disc(places: Array) -> Array:
    """Transfer matrix of a uniform disc with σ = 1 between points on its rim."""
    distance = np.linalg.norm(places[:, None] - places[None], axis=2)
    nearest = np.min(distance + np.where(distance > 0, 0.0, np.inf), axis=1)
    # An electrode that covers half of the space around it, in place of a point.
    np.fill_diagonal(distance, 0.1 * nearest)
    table = -np.log(distance) / np.pi
    table = table - table.mean(axis=0)  # potentials of single electrodes sum to zero
    return np.asarray(table - table.mean(axis=1, keepdims=True))


def _orders(current: Array, pattern: Array, voltage: Numbers) -> Iterator[Order]:
    """Other readings of the same numbers that users commonly have in front of them."""
    n = current.shape[1]
    for text, v in _reordered(current, voltage):
        yield text, pattern, v
    for k in range(1, n):
        off = f"{k} too low" if k <= n // 2 else f"{n - k} too high"
        text = f"the electrodes of measurements are rotated against those of drives (numbers {off})"
        yield text, np.roll(pattern, k, axis=1), voltage
    for k in range(n):
        text = (
            "the electrodes of measurements are mirrored against those of drives (number e stands "
            f"for {k} - e modulo {n}, counted from 0)"
        )
        yield text, pattern[:, (k - np.arange(n)) % n], voltage
    for k, other in combinations(range(n), 2):
        swapped = pattern.copy()
        swapped[:, [k, other]] = pattern[:, [other, k]]
        text = (
            f"electrodes {k} and {other} (counted from 0) are swapped where voltages are measured"
        )
        yield text, swapped, voltage


def _reordered(current: Array, voltage: Numbers) -> Iterator[tuple[str, Numbers]]:
    """The voltages in the other orders in which files list them."""
    good = np.isfinite(voltage)
    counts = good.sum(axis=1)
    if len(counts) > 1 and (counts == counts[0]).all():
        turned = np.full_like(voltage, np.nan)
        turned[good] = voltage[good].reshape((counts[0], len(counts))).T.ravel()
        yield "the voltages are listed measurement by measurement, not by injection", turned
    sources = np.argmax(current, axis=1)
    there, back = np.full_like(voltage, np.nan), np.full_like(voltage, np.nan)
    for i, source in enumerate(sources):
        kept = np.flatnonzero(good[i])
        from_source = kept[np.argsort((kept - source) % voltage.shape[1], kind="stable")]
        there[i, from_source] = voltage[i, kept]
        back[i, kept] = voltage[i, from_source]
    yield "the voltages of each injection begin at its source (rotated), not at electrode 1", there
    yield "the voltages of each injection begin at electrode 1, not at its source (rotated)", back
