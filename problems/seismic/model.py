"""The forward model: an unknown to traces at receivers, with its derivative."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from pdeinv.fem.trajectory import segment_length
from pdeinv.kernels.spare import SpareArrays
from pdeinv.model.reference import ReferenceModel, check_finite
from pdeinv.model.spaces import Space
from pdeinv.typing import Array

from .clock import Clock
from .elements import SpectralElements
from .medium import Medium, check
from .run import Ends, Run
from .scheme import Scheme
from .survey import Rows
from .unknown import Unknown
from .wavelet import Pulse

__all__ = ["Discretisation", "SeismicModel", "segment_of"]

LENT = 7
"""States beside those that are kept: two of the adjoint, or five of a tangent."""


def segment_of(steps: int, size: int, memory_mb: float) -> int:
    """Steps between states that are kept.

    Args:
        steps: of the run.
        size: numbers of one state.
        memory_mb: bound on all states.

    Raises:
        ConfigError: not even those fit.
    """
    bound = max(1e6 * memory_mb - 8 * size * LENT, 1.0)
    return segment_length(steps, size, bound)


@dataclass(frozen=True)
class Discretisation:
    """The equation on one level.

    Attributes:
        unknown: what m holds.
        level: of the mesh.
        scheme: a step.
        clock: in time.
        medium: the velocity's part of m to slowness squared.
    """

    unknown: Unknown
    level: int
    scheme: Scheme
    clock: Clock
    medium: Medium

    def check(self, m: Array) -> None:
        """Refuse an m that is out of range.

        Raises:
            SolverDiverged: names the first bad value.
        """
        check_finite(m)
        check(self.medium, m[: self.unknown.size], self.clock.limit)

    def run(self, m: Array, ends: Ends, spare: SpareArrays) -> Run:
        """The waves of ``m``, which march when they are asked for."""
        step = self.scheme.step(self.medium(m[: self.unknown.size]))
        wavelet = self.unknown.wavelet(m, self.wavelet, ends.steps)
        size, memory = self.scheme.elements.n * ends.shots, self.scheme.config.time.memory_mb
        segment = partial(segment_of, ends.steps, size, memory)
        return Run(step, ends, wavelet, segment, spare)

    @property
    def nodes(self) -> SpectralElements:
        """Where waves are."""
        return self.scheme.elements

    @property
    def element(self) -> str:
        """What the nodes are those of."""
        return f"Q{self.nodes.degree}"

    @property
    def wavelet(self) -> Pulse:
        """The wavelet of peak one."""
        source = self.scheme.config.source
        return Pulse(source.frequency, source.peak, self.clock.dt)

    def ends(self, rows: Rows) -> Ends:
        """What goes into a run of the data and comes out of it."""
        elements, config = self.scheme.elements, self.scheme.config
        return Ends(
            rows.source_taps(elements, config.sources),
            rows.receiver_taps(elements, config.receivers),
            rows.steps(self.clock.every),
            len(rows.samples),
            len(rows.shots),
        )


class SeismicModel(ReferenceModel):
    """G(m) = pressure at receivers and times of shots.

    Args:
        spaces: of m and of the data.
        on: the equation on one level.
        rows: which traces and samples are data.
    """

    def __init__(self, spaces: tuple[Space, Space], on: Discretisation, rows: Rows) -> None:
        super().__init__(*spaces)
        self.on, self._rows = on, rows
        self._ends = on.ends(rows)
        self._spare = SpareArrays()

    def solved(self, m: Array) -> Run:
        """The run of ``m``, which marches when it is asked for."""
        self.on.check(m)
        self._last = None  # its states come back before others are asked for
        return self.on.run(m, self._ends, self._spare)

    def data(self, m: Array, *, again: bool) -> Array:
        """The data; the states are kept where derivatives ask for them."""
        run: Run = self.state(m)
        with np.errstate(all="ignore"):
            return self._rows.data(run.traces(again=again))

    def tangent(self, m: Array, dm: Array) -> Array:
        """The change of the data, by one more run."""
        run, (own, step) = self.state(m), self._parts(m, dm)
        s = self.on.medium(own)
        change = self.on.scheme.change(s, self.on.medium.jvp(own, step))
        wavelet = self.on.unknown.change(m, dm, self.on.wavelet, self._ends.steps)
        return self._rows.data(run.tangent(change, wavelet))

    def _parts(self, *ms: Array) -> tuple[Array, ...]:
        return tuple(m[: self.on.unknown.size] for m in ms)

    def adjoint(self, m: Array, w: Array) -> Array:
        """The gradient of w·G(m), by one run backwards."""
        run, (own,) = self.state(m), self._parts(m)
        on_a, on_c, on_wavelet = run.adjoint(self._rows.table(w))
        on_s = self.on.scheme.gradient(self.on.medium(own), on_a, on_c)
        on_velocity = self.on.medium.vjp(own, on_s)
        return self.on.unknown.gradient(m, on_velocity, on_wavelet, self.on.wavelet)
