"""Whether the wavelet is emitted, and whether data have waves of its frequencies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pdeinv.errors import ConfigError
from pdeinv.io.observations import Observations
from pdeinv.typing import Array

from .resolution import HIGHEST
from .survey import COORDS
from .wavelet import ricker

if TYPE_CHECKING:
    from .config import SeismicConfig

__all__ = ["LOWEST", "check_wavelet", "share_in_band"]

CUT = 0.05
"""Of the peak; a wavelet that begins higher is cut off, which makes waves that no mesh carries."""
LOWEST = 0.25
"""Of the peak frequency, where the band of the wavelet begins."""


def check_wavelet(config: SeismicConfig) -> None:
    """Refuse a wavelet that has not come to its peak when the run ends, or has begun before it.

    Raises:
        ConfigError: with the frequency or delay that is possible.
    """
    source, final = config.source, config.time.final
    if source.peak >= final:
        raise ConfigError(
            f"source: the wavelet of {source.frequency:g} Hz has its peak at {source.peak:.4g} s, "
            f"after the run's end at {final:g} s: no waves; raise source.frequency or time.final, "
            "or give source.delay"
        )
    start = float(np.abs(ricker(np.array(-source.peak), source.frequency)))
    if start > CUT:
        raise ConfigError(
            f"source.delay: the wavelet is cut off at t = 0, where it is {start:.2g} of its peak; "
            f"expected a delay of about 1.1/frequency = {1.1 / source.frequency:.3g} s, got "
            f"{source.peak:g} s"
        )


def share_in_band(observations: Observations, frequency: float) -> float | None:
    """The part of the data's energy between a quarter and 2.5 times the peak frequency.

    None where it cannot be told: traces of different times, too few or too sparse samples.
    """
    table = _traces(observations, HIGHEST * frequency)
    if table is None:
        return None
    values, record = table
    power = np.sum(np.abs(np.fft.rfft(values, axis=1)) ** 2, axis=0)
    at = np.fft.rfftfreq(values.shape[1], record)
    inside = (at >= LOWEST * frequency) & (at <= HIGHEST * frequency)
    total = float(power.sum())
    return float(power[inside].sum()) / total if total > 0 else None


def _traces(observations: Observations, highest: float) -> tuple[Array, float] | None:
    """All traces (traces, samples) and the time between two samples."""
    shot, receiver, time = (np.asarray(observations.coords[c], np.float64) for c in COORDS)
    order = np.lexsort((time, receiver, shot))
    pairs, counts = np.unique(np.stack([shot, receiver], axis=1), axis=0, return_counts=True)
    if len(order) < 2 or (counts != counts[0]).any() or counts[0] < 8:
        return None
    times = time[order].reshape(len(pairs), -1)
    steps = np.diff(times[0])
    even = np.allclose(times, times[0]) and np.ptp(steps) <= 1e-6 * steps[0]
    if not even or 2 * highest * steps[0] > 1 + 1e-9:
        return None
    return np.asarray(observations.values)[order].reshape(times.shape), float(steps[0])
