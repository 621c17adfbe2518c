"""A causal filter along the time of data: what comes out never depends on what comes later.

Butterworth, as sections of second order (Oppenheim and Schafer 2010, §7.3). A filter of zero phase
spreads an arrival before its time, where a wave that begins at t = 0 has nothing to answer it with;
the same causal filter on data and predictions commutes with the equation.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pdeinv.errors import ConfigError
from pdeinv.model.traces import Traces
from pdeinv.typing import Array

__all__ = ["UNIT", "Causal"]

UNIT = "cycles per unit of time (Hz for s)"
"""Of corners, in messages."""


@dataclass(frozen=True)
class Causal:
    """F: a Butterworth filter of each trace, from rest; gaps count as zeros.

    Attributes:
        traces: where the data stand.
        below: upper corner in cycles per unit of time, where amplitudes fall to 0.71; or None.
        above: lower corner; or None.
        order: of the Butterworth filter at each corner.

    Raises:
        ConfigError: a corner that the sampling does not hold, or no band between them.
    """

    traces: Traces
    below: float | None = None
    above: float | None = None
    order: int = 4

    def __post_init__(self) -> None:
        most = 0.5 / self.traces.step
        for corner in (self.below, self.above):
            if corner is not None and not 0 < corner < most:
                raise ConfigError(
                    f"a corner of {corner:g} {UNIT}: data every {self.traces.step:g} hold "
                    f"frequencies below {most:g}; choose one of these"
                )
        if self.below is not None and self.above is not None and not self.above < self.below:
            raise ConfigError(
                f"expected above < below, got above {self.above:g} and below {self.below:g} {UNIT}"
            )

    @cached_property
    def _sections(self) -> Array:
        """All sections, one behind the other."""
        from scipy import signal  # which takes half a second to load

        corners = ((self.above, "highpass"), (self.below, "lowpass"))
        found = [
            signal.butter(self.order, corner, kind, fs=1 / self.traces.step, output="sos")
            for corner, kind in corners
            if corner is not None
        ]
        return np.concatenate([np.zeros((0, 6)), *found])

    @property
    def first(self) -> float:
        """The first value of the answer to an impulse, positive."""
        return float(np.prod(self._sections[:, 0]))

    def _filtered(self, table: Array) -> Array:
        from scipy import signal

        return np.asarray(signal.sosfilt(self._sections, table, axis=-1))

    def __call__(self, values: Array) -> Array:
        """F v for (..., n_d)."""
        if not len(self._sections):
            return values
        return self.traces.take(self._filtered(self.traces.put(values)))

    def transpose(self, values: Array) -> Array:
        """Fᵀ v for (..., n_d): the same filter backwards in time."""
        if not len(self._sections):
            return values
        turned = self._filtered(self.traces.put(values)[..., ::-1])
        return self.traces.take(turned[..., ::-1])
