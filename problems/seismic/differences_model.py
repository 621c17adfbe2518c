"""The fast forward model: an unknown to traces at receivers by deepwave, with its derivative."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pdeinv.model.reference import ReferenceModel, check_finite
from pdeinv.model.spaces import Space
from pdeinv.typing import Array

from .clock import Clock, fastest_of
from .config import SeismicConfig
from .differences import Differences, Survey, Waves
from .grid import NodeGrid
from .medium import Medium, check
from .survey import Rows
from .unknown import Unknown
from .wavelet import Pulse

__all__ = ["DifferencesModel", "OnGrid"]

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class OnGrid:
    """The equation on one level of finite differences.

    Attributes:
        unknown: what m holds.
        level: of the grid.
        clock: in time.
    """

    unknown: Unknown
    level: int
    clock: Clock

    @property
    def config(self) -> SeismicConfig:
        """Of the problem."""
        return self.unknown.config

    @cached_property
    def scheme(self) -> Differences:
        """The equation but for v."""
        grid, fastest = NodeGrid.of(self.config, self.level), fastest_of(self.config)
        return Differences(grid, self.config, self.clock.dt, fastest)

    @property
    def nodes(self) -> NodeGrid:
        """Where waves are."""
        return self.scheme.grid

    @property
    def element(self) -> str:
        """What the nodes are those of."""
        return "Q1"

    @cached_property
    def medium(self) -> Medium:
        """The velocity's part of m to slowness squared."""
        return self.unknown.medium(self.scheme.grid)

    @cached_property
    def wavelet(self) -> Pulse:
        """The wavelet of peak one."""
        source = self.config.source
        return Pulse(source.frequency, source.peak, self.clock.dt)

    def check(self, m: Array) -> None:
        """Refuse an m that is out of range.

        Raises:
            SolverDiverged: names the first bad value.
        """
        check_finite(m)
        check(self.medium, m[: self.unknown.size], self.scheme.fastest)

    def survey(self, rows: Rows, receivers: Ints) -> Survey:
        """What goes into a run of the data and comes out of it."""
        config, places = self.config, self.scheme.grid.places
        steps = self.clock.every * rows.last
        sources = places(config.sources[rows.shots])
        return Survey(sources, places(config.receivers[receivers]), steps, self.clock.every)


class DifferencesModel(ReferenceModel):
    """G(m) = pressure at receivers and times of shots, by finite differences.

    Args:
        spaces: of m and of the data.
        on: the equation on one level.
        rows: which traces and samples are data.
    """

    def __init__(self, spaces: tuple[Space, Space], on: OnGrid, rows: Rows) -> None:
        super().__init__(*spaces)
        self.on, self._rows = on, rows
        used, self._column = np.unique(rows.traces[:, 1], return_inverse=True)
        self._survey = on.survey(rows, used)
        survey, shots = self._survey, self._survey.shots
        every = np.broadcast_to(survey.receivers, (shots, *survey.receivers.shape))
        self._ends = on.scheme.points(survey.sources[:, None]), on.scheme.points(every.copy())
        self._by_wavelet = on.config.source.unknown

    def solved(self, m: Array) -> Waves:
        """The waves of ``m``, which march when they are asked for."""
        on = self.on
        on.check(m)
        self._last = None  # what it keeps goes before more is asked for
        velocity = on.medium(m[: on.unknown.size]) ** -0.5
        wavelet = on.unknown.wavelet(m, on.wavelet, self._survey.steps)
        return Waves(on.scheme, self._survey, self._ends, velocity, wavelet, self._by_wavelet)

    @property
    def _chosen(self) -> tuple[Ints, Ints, Ints]:
        """Shot, receiver and sample of the table of traces, (samples, traces)."""
        samples = self._rows.samples - 1
        return self._rows.traces[None, :, 0], self._column[None], samples[:, None]

    def data(self, m: Array, *, again: bool) -> Array:
        """The data; the states are kept where derivatives ask for them."""
        waves: Waves = self.state(m)
        return self._rows.data(waves.traces(again=again)[self._chosen])

    def tangent(self, m: Array, dm: Array) -> Array:
        """The change of the data, by Born's waves."""
        on, waves = self.on, self.state(m)
        own, step = (x[: on.unknown.size] for x in (m, dm))
        dv = -0.5 * on.medium(own) ** -1.5 * on.medium.jvp(own, step)
        wavelet = on.unknown.change(m, dm, on.wavelet, self._survey.steps)
        return self._rows.data(waves.tangent(dv, wavelet)[self._chosen])

    def adjoint(self, m: Array, w: Array) -> Array:
        """The gradient of w·G(m), by one run backwards."""
        on, waves = self.on, self.state(m)
        own, survey = m[: on.unknown.size], self._survey
        table = np.zeros((survey.shots, len(survey.receivers), self._rows.last))
        if len(self._rows.samples):
            table[self._chosen] = self._rows.table(w)
        on_v, on_wavelet = waves.adjoint(table)
        on_s = -0.5 * on.medium(own) ** -1.5 * on_v
        return on.unknown.gradient(m, on.medium.vjp(own, on_s), on_wavelet, on.wavelet)
