"""The misfit of normalised traces: their shape in time, whatever their strength."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from pdeinv.bayes.causal import Causal
from pdeinv.bayes.score import Score
from pdeinv.typing import Array

__all__ = ["Correlation"]

FLOOR = 1e-8
"""Share of the squared norm of its data that is added to that of a predicted trace: where nothing
is predicted the correlation is zero and smooth."""


@dataclass(frozen=True)
class Correlation(Score):
    """Φ = Σ_k ‖y_k‖² (1 − ⟨g_k, y_k⟩/(‖g_k‖ ‖y_k‖)) over traces k, all divided by σ.

    The zero-lag correlation of each trace, blind to gains and to the strength of the source (Routh
    et al. 2011; Choi and Alkhalifah 2012). Near a fit it is ½ ‖g − y‖² of traces of equal norms, so
    traces of noise count for little. It is a score, since the norms say nothing.

    Attributes:
        filter: through which predictions and data go first.
        std: σ of each datum, shape (n_d,).
    """

    filter: Causal
    std: Array

    called: ClassVar[str] = "a correlation of traces"

    @property
    def size(self) -> int:
        """The number of data."""
        return len(self.std)

    def check(self, data: Array) -> None:
        """Any number may be measured."""

    def _white(self, values: Array) -> Array:
        """Tables (..., traces, samples) of what passes the filter, over σ."""
        return self.filter.traces.put(self.filter(values) / self.std)

    def _back(self, tables: Array) -> Array:
        """The transpose of :meth:`_white`."""
        return self.filter.transpose(self.filter.traces.take(tables) / self.std)

    def _norms(self, g: Array, y: Array) -> tuple[Array, Array]:
        """‖g_k‖, with its floor, and ‖y_k‖; 1 where there are neither."""
        square = np.vecdot(y, y)
        norm = np.sqrt(np.vecdot(g, g) + FLOOR * square)
        return np.where(norm > 0, norm, 1.0), np.sqrt(square)

    def misfit(self, prediction: Array, data: Array) -> Array:
        """Φ for (..., n_d)."""
        return self._value(self._white(prediction), self._white(data))

    def _value(self, g: Array, y: Array) -> Array:
        norm, size = self._norms(g, y)
        return np.asarray(np.sum(size**2 - size * np.vecdot(g, y) / norm, axis=-1))

    def slope(self, prediction: Array, data: Array) -> tuple[Array, Array]:
        """Φ and dΦ/dG."""
        g, y = self._white(prediction), self._white(data)
        norm, size = self._norms(g, y)
        along = (np.vecdot(g, y) / norm**2)[..., None] * g
        on_g = (size / norm)[..., None] * (along - y)
        return self._value(g, y), self._back(on_g)

    def fisher(self, prediction: Array) -> CorrelationFisher:
        """Kᵀ K, which curves as the score does where the data are fitted."""
        return CorrelationFisher(self, self._white(prediction))

    def tempered(self, temperature: float) -> Correlation:
        """With the misfit Φ / ``temperature``."""
        return replace(self, std=np.sqrt(temperature) * self.std)


@dataclass(frozen=True)
class CorrelationFisher:
    """K v = v_k − ĝ_k ⟨ĝ_k, v_k⟩ trace by trace, ĝ = g/‖g‖; the change of strength is left out.

    Attributes:
        of: the misfit.
        g: the filtered prediction over σ, (traces, samples).
    """

    of: Correlation
    g: Array

    def _projected(self, v: Array) -> Array:
        size = np.vecdot(self.g, self.g)
        share = np.vecdot(self.g, v) / np.where(size > 0, size, 1.0)
        return np.asarray(v - share[..., None] * self.g)

    def whiten(self, residual: Array) -> Array:
        """K v for (..., n_d)."""
        return self.of.filter.traces.take(self._projected(self.of._white(residual)))

    def whiten_transpose(self, w: Array) -> Array:
        """Kᵀ w."""
        return self.of._back(self._projected(self.of.filter.traces.put(w)))
