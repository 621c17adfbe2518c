"""A wavelet that is unknown as a whole: a Gaussian process about the Ricker wavelet."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pdeinv.bayes.fields.base import DenseField
from pdeinv.bayes.fields.matern import Matern
from pdeinv.bayes.prior import FieldPrior
from pdeinv.bayes.transforms import Identity
from pdeinv.model.spaces import Space, Variable
from pdeinv.typing import Array

from .source_config import SourceConfig
from .wavelet import ricker

__all__ = ["FreeWavelet"]

SMOOTHNESS = 2.5
"""Matérn ν of the process: its paths have two derivatives, as what a source radiates."""

PER_PERIOD = 20
"""Knots in a period of the peak frequency; a departure is linear between them."""

ROUNDING = 1e-10
"""Of the variance, added to its covariance, whose knots are close together."""


@dataclass(frozen=True)
class FreeWavelet:
    """A ricker(t) + Σ_k (w_k − A ricker(t_k)) B_k(t), with the values w_k at knots unknown.

    B_k are hats, so that the Ricker wavelet itself is among these, and beyond the last knot a
    departure ends within one spacing. Data are linear in w.

    Attributes:
        config: of the source.
        units: of u.
    """

    config: SourceConfig
    units: str

    @property
    def spacing(self) -> float:
        """Between two knots, s."""
        return 1 / (PER_PERIOD * self.config.frequency)

    @cached_property
    def knots(self) -> Array:
        """Their times, shape (k,)."""
        count = int(np.ceil(self.config.duration / self.spacing - 1e-9)) + 1
        return np.asarray(self.spacing * np.arange(count))

    def _known(self, times: Array) -> Array:
        peak = self.config.peak
        return self.config.amplitude * ricker(times - peak, self.config.frequency)

    @cached_property
    def prior(self) -> FieldPrior:
        """Of the values at the knots."""
        law = Matern(SMOOTHNESS, self.config.correlation, self.config.amplitude)
        std = self.config.wavelet_std
        gaps = np.abs(self.knots[:, None] - self.knots)
        covariance = std**2 * (law(gaps) + ROUNDING * law.std**2 * np.eye(len(self.knots)))
        field = DenseField.from_covariance(self._known(self.knots), covariance)
        coords = {"source_time": (("source_time",), self.knots)}
        attrs = {"source_time": {"units": "s", "long_name": "time since the shot"}}
        shape, words = (len(self.knots),), "wavelet of the source"
        variable = Variable("wavelet", ("source_time",), shape, self.units, words, coords, attrs)
        return FieldPrior(Space((variable,)), field, Identity())

    def _hats(self, times: Array) -> Array:
        """B_k at times, shape (n, k)."""
        off = np.abs(times[:, None] - self.knots) / self.spacing
        return np.maximum(1 - off, 0.0)

    def __call__(self, values: Array, times: Array) -> Array:
        """The wavelet at times (n,)."""
        return self._known(times) + self._hats(times) @ (values - self._known(self.knots))

    def change(self, step: Array, times: Array) -> Array:
        """Its change with that of the values."""
        return np.asarray(self._hats(times) @ step)

    def gradient(self, weights: Array, times: Array) -> Array:
        """The transpose of :meth:`change`."""
        return np.asarray(weights @ self._hats(times))
