"""Which shots, receivers and samples are data: sensors from text, and what they are in a run."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.kernels.waves import Taps
from pdeinv.memory import check_fits
from pdeinv.model.observed import Observed, Sensors
from pdeinv.model.sensors import is_file, listed, points_of
from pdeinv.typing import Array

from .clock import Clock
from .elements import SpectralElements

if TYPE_CHECKING:
    from .config import SeismicConfig

__all__ = ["COORDS", "Rows", "numbers_of", "observed_of", "parse"]

COORDS = ("shot", "receiver", "time")

Ints = NDArray[np.int64]

WANTED = (
    "PICKS or PICKS@TIMES, picks being all, shots:0,3, receivers:0-69/5 or both with a +, times "
    "being FIRST:LAST:COUNT or t,t,...; list:shot,receiver,time;... or a CSV file with header "
    "shot,receiver,time"
)


def observed_of(config: SeismicConfig) -> Observed:
    """The pressure of each shot, receiver and time."""
    units = dict(zip(COORDS, ("1", "1", "s"), strict=True))
    return Observed("u", config.units.u, "pressure", units, COORDS)


def parse(config: SeismicConfig, clock: Clock, spec: str) -> Sensors:
    """Data rows from text; the times of one trace stand behind each other.

    Raises:
        ConfigError: not understood, or what the survey has not.
    """
    if spec.startswith("list:") or is_file(spec):
        table = listed(spec, COORDS, WANTED)
        found = dict(zip(COORDS, table.T, strict=True))
    else:
        picks, at, when = spec.partition("@")
        shots, receivers = _picks(config, picks, spec)
        times = _times(when, spec) if at else clock.times
        found = _product(shots, receivers, times, spec)
    try:
        numbers_of(config, clock, found)
    except DataSchemaError as error:
        raise ConfigError(f"sensors '{spec[:60]}': {error}") from None
    rows = points_of(found, COORDS)
    if len(np.unique(rows, axis=0)) < len(rows):
        raise ConfigError(f"sensors '{spec[:60]}': a datum is there twice; name each once")
    return found


def _product(shots: Ints, receivers: Ints, times: Array, spec: str) -> dict[str, Array]:
    size = len(shots) * len(receivers) * len(times)
    check_fits(f"sensors '{spec}': {size:.3g} data", 24 * size, "take fewer times")
    found = np.meshgrid(
        shots.astype(np.float64), receivers.astype(np.float64), times, indexing="ij"
    )
    return {name: column.ravel() for name, column in zip(COORDS, found, strict=True)}


def _picks(config: SeismicConfig, text: str, spec: str) -> tuple[Ints, Ints]:
    """Numbers of shots and receivers."""
    every = {"shots": np.arange(len(config.sources)), "receivers": np.arange(len(config.receivers))}
    chosen = dict(every)
    if text != "all":
        for part in text.split("+"):
            name, _, numbers = part.partition(":")
            if name not in every or chosen[name] is not every[name]:
                raise ConfigError(f"sensors '{spec}': not understood; expected {WANTED}")
            chosen[name] = _numbers(numbers, spec)
    return chosen["shots"], chosen["receivers"]


def _numbers(text: str, spec: str) -> Ints:
    """Numbers from ``0,3,10-20,30-60/5``."""
    found: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d{1,6})(?:-(\d{1,6})(?:/([1-9]\d{0,5}))?)?", part.strip())
        if match is None:
            raise ConfigError(
                f"sensors '{spec}': numbers '{part}' not understood; expected {WANTED}"
            )
        first, last, step = match.groups()
        found += range(int(first), int(last or first) + 1, int(step or 1))
    if not found:
        raise ConfigError(f"sensors '{spec}': numbers '{text}' are none; expected {WANTED}")
    return np.array(found)


def _times(when: str, spec: str) -> Array:
    parts = when.split(":")
    with suppress(ValueError):
        if len(parts) == 3 and 0 < int(parts[2]) <= 10_000_000:
            return np.linspace(float(parts[0]), float(parts[1]), int(parts[2]))
        if len(parts) == 1:
            return np.array([float(t) for t in when.split(",")])
    raise ConfigError(f"sensors '{spec}': times '{when}' not understood; expected {WANTED}")


def numbers_of(config: SeismicConfig, clock: Clock, sensors: Sensors) -> tuple[Ints, Ints, Ints]:
    """Shot, receiver and sample of each datum.

    Raises:
        DataSchemaError: one that the survey or the run has not.
    """
    counts = {"shot": len(config.sources), "receiver": len(config.receivers)}
    found = []
    for name, count in counts.items():
        given = np.asarray(sensors[name], dtype=np.float64)
        bad = np.flatnonzero(~((given >= 0) & (given < count) & (given == np.rint(given))))
        if len(bad):
            raise DataSchemaError(
                f"datum {bad[0]} is of {name} {given[bad[0]]:g}; the survey has {name}s 0 to "
                f"{count - 1}"
            )
        found.append(given.astype(np.int64))
    return found[0], found[1], clock.sample(np.asarray(sensors["time"]))


@dataclass(frozen=True)
class Rows:
    """Where the data are in the traces of a run.

    Attributes:
        shots: those that are simulated, increasing.
        traces: shot (as a place in ``shots``) and receiver of each trace, shape (traces, 2).
        samples: those that are read, increasing from 1.
        trace: of each datum.
        sample: of each datum, as a place in ``samples``; −1 at t = 0, where all is at rest.
    """

    shots: Ints
    traces: Ints
    samples: Ints
    trace: Ints
    sample: Ints

    @classmethod
    def of(cls, shot: Ints, receiver: Ints, sample: Ints) -> Rows:
        """Those of data."""
        shots, of_shot = np.unique(shot, return_inverse=True)
        pairs = np.stack([of_shot.ravel(), receiver], axis=1)
        traces, trace = np.unique(pairs, axis=0, return_inverse=True)
        samples = np.unique(sample[sample > 0])
        at = np.where(sample > 0, np.searchsorted(samples, sample), -1)
        return cls(shots, traces, samples, trace.ravel(), at)

    @property
    def last(self) -> int:
        """The last sample that is read, at least 1."""
        return int(self.samples[-1]) if len(self.samples) else 1

    def steps(self, every: int) -> Ints:
        """For each step up to the last sample, the place of the sample that it ends at, or −1."""
        found = np.full(every * self.last, -1)
        found[self.samples * every - 1] = np.arange(len(self.samples))
        return found

    def data(self, table: Array) -> Array:
        """The data out of traces (samples, traces)."""
        at_rest = self.sample < 0
        if len(self.samples) == 0:
            return np.zeros(len(self.trace))
        return np.where(at_rest, 0.0, table[self.sample, self.trace])

    def table(self, w: Array) -> Array:
        """The transpose: w of the data as traces."""
        found = np.zeros((max(1, len(self.samples)), len(self.traces)))
        moving = self.sample >= 0
        np.add.at(found, (self.sample[moving], self.trace[moving]), w[moving])
        return found

    def receiver_taps(self, elements: SpectralElements, places: Array) -> Taps:
        """The traces as sums over the numbers of a state."""
        used, at = np.unique(self.traces[:, 1], return_inverse=True)
        rows = elements.evaluation(places[used])[at.ravel()]
        return Taps.of([(rows, self.traces[:, 0])])

    def source_taps(self, elements: SpectralElements, places: Array) -> Taps:
        """Where the shots go in, one series for all."""
        rows = elements.evaluation(places[self.shots])
        return Taps.of([(rows, np.arange(len(self.shots)))]).together()
