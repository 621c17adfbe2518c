"""Unknowns that were solved for before a run, held against its data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pdeinv.bayes.likelihood import Likelihood, finite_misfit
from pdeinv.typing import Array

__all__ = ["PredictedRows", "Simulations"]

READ, BLOCK = 1 << 22, 1 << 18
"""Numbers of the predictions that are read at a time, and that are held against the data at a time:
these stay in the cache."""


class PredictedRows(Protocol):
    """Predictions (n, n_d), an array or rows that stay in a file until they are asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice, /) -> Array: ...


@dataclass(frozen=True)
class Simulations:
    """Solved unknowns, and what their predictions are compared with.

    That is the data of the posterior where the predictions are of these; else the same data as they
    would be where the simulations were observed.

    Attributes:
        name: of the file that they are in, for messages.
        xi: in the whitened unknown of the posterior, shape (n, dim).
        predictions: shape (n, n_s).
        data: shape (n_d,).
        likelihood: of those data.
        columns: which of the predictions are of those data, where not all are, shape (n_d,).
    """

    name: str
    xi: Array
    predictions: PredictedRows
    data: Array
    likelihood: Likelihood
    columns: NDArray[np.intp] | None = None

    @property
    def _width(self) -> int:
        """About how many numbers a row of predictions has."""
        return len(self.data) if self.columns is None else int(self.columns.max()) + 1

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self.xi)

    def misfit(self, rows: range) -> Array:
        """Φ of some of them, shape (len(rows),); infinite where a prediction is not finite.

        Blocks bound the memory and change no bit, since a likelihood takes each row by itself.
        """
        return np.concatenate(
            [np.zeros(0), *(self._misfit(self.predictions[p]) for p in self._parts(rows, READ))]
        )

    def _misfit(self, predictions: Array) -> Array:
        parts = self._parts(range(len(predictions)), BLOCK)
        return np.concatenate([self._part(predictions[p]) for p in parts])

    def _part(self, predictions: Array) -> Array:
        taken = predictions if self.columns is None else predictions[:, self.columns]
        return finite_misfit(self.likelihood, taken, self.data)

    def _parts(self, rows: range, numbers: int) -> list[slice]:
        """Rows in parts of at most so many numbers."""
        step = max(1, numbers // max(self._width, 1))
        starts = range(rows.start, rows.stop, step)
        return [slice(i, min(i + step, rows.stop)) for i in starts]
