"""What an operator needs beside its network to go from one stored time to the next.

States are anomalies z_k = (u_k - mean_k) / scale of :class:`~pdeinv.surrogates.operators.fields
.FieldScaling`. The network G predicts increments in units of their own spread,

    z_(k+1) = z_k + w_k G(coefficient, z_k / s_k, t_k),    k = 0, ..., n - 2,

w_k the standard deviation of z_(k+1) - z_k at each node and s_k the rms spread of z_k. A state that
is prescribed somewhere stays exact there, and an untrained network predicts the mean trajectory.

The first state must be known when the network is used. Either no training sample differs from the
others in it, or the unknown is the first state itself; anything else is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.typing import Array

from ..common.split import Index
from ..training.minibatches import moments, take
from .fields import FieldScaling
from .grid import Grid
from .task import Task

__all__ = ["Stepping"]

SAME = 1e-6
"""Spread of a first state that all samples share, in units of the field's spread."""
CLOSE = 0.05
"""Largest relative rms difference of the first state from the unknown: the error of a mesh."""
ROWS = 64
"""Samples that are compared at once."""
ARRAYS = ("start", "increments", "sizes", "clock")


@dataclass(frozen=True)
class Stepping:
    """The scales of steps, fitted on training samples.

    Attributes:
        start: share of the coefficient in the first state, shape (n_y, n_x): 1 where it is the
            coefficient, 0 where all samples agree.
        increments: w, shape (n_times - 1, n_y, n_x).
        sizes: s, shape (n_times - 1,).
        clock: what G is told of each step, shape (n_times - 1, n_clock): the time, from 0 to 1, and
            the logarithm of the step's length over the mean one where steps differ.
    """

    start: Array
    increments: Array
    sizes: Array
    clock: Array

    @classmethod
    def fit(cls, task: Task, scaling: FieldScaling, train: Index) -> Stepping:
        """From training samples, read in pieces.

        Raises:
            ConfigError: the data are no values of a field at places.
            DataSchemaError: fewer than two times, or the first state does not follow from the
                unknown.
        """
        times = _times(task)
        inside = scaling.inside

        def steps(fields: Array) -> Array:
            return np.diff(np.where(inside, fields, 0.0), axis=1)

        sizes = np.sqrt(np.mean(scaling.envelope[:-1, inside] ** 2, axis=1))
        return cls(
            _start(task, scaling, train, times),
            moments(task.target, train, steps).std / scaling.scale,
            np.where(sizes > 1e-12, sizes, 1.0),
            _clock(times),
        )

    @property
    def steps(self) -> int:
        """How many steps there are."""
        return len(self.increments)

    @property
    def from_unknown(self) -> bool:
        """Whether the unknown is the first state."""
        return bool(self.start.any())

    @property
    def inputs(self) -> int:
        """Fields that G reads: the state, the clock, and the coefficient unless it is the first
        state, which later steps do not depend on.
        """
        return 1 + int(self.clock.shape[1]) + (not self.from_unknown)

    def summary(self) -> dict[str, Any]:
        """JSON data for the metadata."""
        return {
            "steps": self.steps,
            "first_state": "the unknown" if self.from_unknown else "the same in all samples",
        }

    def on(self, grid: Grid, other: Grid) -> Stepping:
        """The same from ``grid`` to another one."""
        if grid is other:
            return self
        moved = grid.onto(other)
        return replace(self, start=moved(self.start), increments=moved(self.increments))

    def arrays(self) -> dict[str, Array]:
        """What a surrogate stores."""
        return {f"step_{name}": getattr(self, name) for name in ARRAYS}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> Stepping:
        """Among a surrogate's stored arrays.

        Raises:
            KeyError: one of :meth:`arrays` is missing.
        """
        return cls(*(arrays[f"step_{name}"] for name in ARRAYS))


def _times(task: Task) -> Array:
    """The stored times.

    Raises:
        ConfigError: the data are no values of a field at places.
        DataSchemaError: fewer than two, or the fields vary over something else too.
    """
    if task.pod is not None:
        raise ConfigError(
            "time = 'steps' expects data that are values of a field at places and times, these are "
            "not; use time = 'trajectory'"
        )
    others = [name for name in task.experiments if name != "t"]
    if others:
        raise DataSchemaError(
            "time = 'steps' expects fields that vary over t alone, those of the data set vary "
            f"over {', '.join(task.experiments)}; use time = 'trajectory'"
        )
    times = np.asarray(task.experiments.get("t", np.zeros(0)), dtype=np.float64)
    if len(times) < 2:
        got = f"one, t = {times[0]:g}" if len(times) else "steady fields"
        raise DataSchemaError(
            f"time = 'steps' expects fields at two times or more, the data set has {got}; use "
            "'generate --grid 33x33 --times 0:LAST:COUNT', or time = 'trajectory'"
        )
    return times


def _clock(times: Array) -> Array:
    """Time from 0 to 1 at the start of each step, and the length of steps that differ."""
    lengths = np.diff(times)
    found = [(times[:-1] - times[0]) / (times[-1] - times[0])]
    if np.ptp(lengths) > 1e-6 * lengths.mean():
        found.append(np.log(lengths / lengths.mean()))
    return np.stack(found, axis=1)


def _start(task: Task, scaling: FieldScaling, train: Index, times: Array) -> Array:
    """Where the first state is the coefficient; nowhere, if no sample differs from the mean.

    Raises:
        DataSchemaError: neither.
    """
    free = (scaling.envelope[0] > SAME) & scaling.inside
    if not free.any():
        return np.zeros(scaling.inside.shape)
    square = 0.0
    for rows in np.array_split(train, -(-len(train) // ROWS)):
        difference = take(task.target, rows)[:, 0] - take(task.coefficient, rows)
        square += float(np.sum(difference[:, free] ** 2))
    spread = scaling.scale * np.sqrt(np.mean(scaling.envelope[0, free] ** 2))
    relative = np.sqrt(square / (len(train) * free.sum())) / spread
    if relative > CLOSE:
        raise DataSchemaError(
            f"time = 'steps' must know the first state, here of t = {times[0]:g}: it varies from "
            f"sample to sample and is not the unknown (it differs from it by {relative:.2g} times "
            "its spread); store the state from the start, 'generate --times 0:LAST:COUNT', with a "
            "mesh as fine as the unknown, or use time = 'trajectory'"
        )
    return np.asarray(free, dtype=np.float64)
