"""The time steps of a run, where the duration of growth is known and where it is not.

Scans are dated by the time of the last one, ``time.final``. Where it is unknown since when the
tumor grows, the steps fall into those before the window that holds all scans, whose length is
unknown, and those of the window: data are read at times whose steps do not depend on it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.model.sensors import check_times
from pdeinv.typing import Array

from .config import TumorConfig

__all__ = ["Clock"]


@dataclass(frozen=True)
class Clock:
    """Equal steps before the window, and equal ones in it.

    Attributes:
        before: steps of unknown length; 0 where the duration is known.
        within: steps of known length.
        window: days that those take.
        final: the time at the end.
        stored: how many levels further the next one is that ``solve`` writes.
    """

    before: int
    within: int
    window: float
    final: float
    stored: int

    @classmethod
    def of(cls, config: TumorConfig, level: int) -> Clock:
        """That of a level, with twice the steps on each.

        Raises:
            ConfigError: steps that cannot be halved.
        """
        time = config.time
        if time.steps % (1 << max(0, -level)):
            raise ConfigError(
                f"level {level}: {time.steps} steps cannot be divided by {1 << -level}; choose "
                "time.steps a multiple of it"
            )
        steps = time.steps << level if level >= 0 else time.steps >> -level
        if config.unknown.duration is None:
            return cls(0, steps, time.final, time.final, time.stored)
        share = time.window / time.final
        within = min(max(round(steps * share), 1), steps - 1) if share > 0 else 0
        return cls(steps - within, within, time.window, time.final, time.stored)

    @property
    def steps(self) -> int:
        """Of the whole run."""
        return self.before + self.within

    @property
    def written(self) -> NDArray[np.int64]:
        """The levels that ``solve`` writes, the last one among them."""
        return np.append(np.arange(0, self.steps, self.stored), self.steps)

    @property
    def count(self) -> int:
        """How many those are."""
        return -(-self.steps // self.stored) + 1

    def lengths(self, duration: Array) -> tuple[tuple[int, Array], ...]:
        """Steps and their length for each part of the run, for durations (width,)."""
        parts = []
        if self.before:
            parts.append((self.before, (duration - self.window) / self.before))
        if self.within:
            parts.append((self.within, np.full(len(duration), self.window / self.within)))
        return tuple(parts)

    def times(self, duration: float) -> Array:
        """The time of each level, (steps + 1,); those before zero lie before the first day."""
        parts = self.lengths(np.array([duration]))
        lengths = np.concatenate([np.repeat(length, count) for count, length in parts])
        times = self.final - duration + np.concatenate([[0.0], np.cumsum(lengths)])
        return np.asarray(np.where(np.arange(len(times)) == self.steps, self.final, times))

    def check(self, t: Array) -> None:
        """Refuse times that are not part of the run.

        Raises:
            DataSchemaError: names the first one.
        """
        check_times(t, self.final)
        early = np.flatnonzero(t < self.final - self.window - 1e-9 * self.final)
        if len(early):
            k = int(early[0])
            raise DataSchemaError(
                f"sensor {k} at t = {t[k]:g} lies before the window [{self.final - self.window:g}, "
                f"{self.final:g}] of scans; raise time.window"
            )

    def read(self, t: Array) -> tuple[Array, Array, Array]:
        """The levels at or before and at or after each time, and where it is between them."""
        last = self.steps
        if self.within == 0:
            return np.full(len(t), last), np.full(len(t), last), np.zeros(len(t))
        place = (t - (self.final - self.window)) * (self.within / self.window)
        near = np.rint(place)
        place = np.where(np.abs(place - near) < 1e-9 * self.within, near, place)
        place = np.clip(place, 0, self.within)
        low = np.floor(place)
        return self.before + low, self.before + np.ceil(place), place - low
