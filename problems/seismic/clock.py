"""The time steps of a run: as long as leapfrog is stable, and a whole part of a sample.

The steps are stable where dt ≤ 2/√λ for the largest λ of K u = λ M u. With velocities up to v it is
at most v² times that of v = 1, which one element of the mesh tells exactly (Rayleigh). Finite
differences are stable up to v dt √2/h = 0.78 ... 1, by their order, and deepwave takes 0.6
where ``deepwave.courant`` does not say otherwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.fem.levels import HIGHEST
from pdeinv.model.sensors import check_times
from pdeinv.typing import Array

from .elements import fastest_rate
from .unknown_config import velocities

if TYPE_CHECKING:
    from .config import SeismicConfig

__all__ = ["Clock", "fastest_of"]

MOST_STEPS = 100_000_000


@dataclass(frozen=True)
class Clock:
    """Levels 0 ... steps of a run, of which every ``every``-th is a sample.

    Attributes:
        dt: the time step, s.
        every: steps between two samples.
        samples: of a trace, the one at rest at t = 0 left out.
        stable: the product of time step and velocity that is just stable, m.
    """

    dt: float
    every: int
    samples: int
    stable: float

    @classmethod
    def of(cls, config: SeismicConfig, level: int) -> Clock:
        """That of a level.

        Raises:
            ConfigError: a time step that is unstable or no whole part of a sample, or no mesh of
                that level.
        """
        time = config.time
        stable = _stable(config, level)
        fastest = fastest_of(config)
        longest = stable / fastest
        samples = math.floor(time.final / time.record * (1 + 1e-9))
        if time.step is None:
            every = math.ceil(time.record / longest * (1 - 1e-12))
        else:
            every = _given(time.record, time.step, level)
        if every * samples > MOST_STEPS:
            raise ConfigError(f"level {level}: {every * samples:.3g} time steps are too many")
        dt = time.record / every
        if dt > longest * (1 + 1e-9):
            raise ConfigError(
                f"time.step: {dt:.4g} s on level {level} is unstable for velocities up to "
                f"{fastest:.4g} m s-1; the largest stable step is {longest:.4g} s: lower time.step "
                "or time.fastest, or take fewer cells"
            )
        return cls(dt, every, samples, stable)

    @property
    def steps(self) -> int:
        """Of the whole run."""
        return self.every * self.samples

    @property
    def limit(self) -> float:
        """The largest velocity for which the steps are stable, m s-1."""
        return self.stable / self.dt

    @property
    def record(self) -> float:
        """Time between two samples."""
        return self.dt * self.every

    @property
    def times(self) -> Array:
        """Those of the samples, shape (samples,)."""
        return times_of(self.samples, self.record)

    def sample(self, t: Array) -> NDArray[np.int64]:
        """The number of the sample at each time, counted from 1; 0 at t = 0.

        Raises:
            DataSchemaError: a time between two samples or outside the run.
        """
        t = np.asarray(t, dtype=np.float64)
        check_times(t, self.samples * self.record)
        near = np.rint(t / self.record)
        bad = np.flatnonzero(np.abs(t - near * self.record) > 1e-6 * self.record)
        if len(bad):
            k = int(bad[0])
            raise DataSchemaError(
                f"sensor {k} at t = {t[k]:g} s lies between two samples, which are "
                f"{self.record:g} s apart; set time.record to the sampling of the data"
            )
        return near.astype(np.int64)


def fastest_of(config: SeismicConfig) -> float:
    """The velocity up to which the time step is made to be stable, m s-1."""
    return config.time.fastest or velocities(config.unknown)[2]


def times_of(samples: int, record: float) -> Array:
    """k times ``record`` for k = 1 ... samples, without the noise of binary fractions."""
    return np.array([float(f"{k * record:.12g}") for k in range(1, samples + 1)])


def _stable(config: SeismicConfig, level: int) -> float:
    """dt times v at the edge of stability."""
    if config.model == "deepwave":
        return config.deepwave.courant * config.between_nodes(level) / math.sqrt(2)
    spacing = config.spacing(level)
    width, across = config.frame(level)
    sides = [min(h, width / across) if across else h for h in spacing]
    rate = fastest_rate(config.degree) * sum(1 / h**2 for h in sides)
    return 2 / math.sqrt(rate)


def _given(record: float, step: float, level: int) -> int:
    """Steps to a sample where the user gives the step."""
    every = record / step
    if every < 1 - 1e-9 or abs(every - round(every)) > 1e-6 * every:
        raise ConfigError(
            f"time.step: expected time.record = {record:g} s over a whole number, got {step:g} s"
        )
    whole = round(every)
    return whole << min(level, HIGHEST) if level >= 0 else -(-whole // (1 << -level))
