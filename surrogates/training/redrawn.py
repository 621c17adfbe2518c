"""Rows of training data that are drawn when they are read, anew in every epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from pdeinv.typing import Array

__all__ = ["Beside", "Redrawn"]


class Redrawn(Protocol):
    """What is random in a row depends on its number alone, which no row of another epoch has.

    So a training that was stopped, and one that several processes share, see the same.

    Attributes:
        epoch: which draws; :meth:`begin` sets it.
    """

    epoch: int

    def __len__(self) -> int:
        """How many rows an epoch has."""

    def begin(self, epoch: int) -> None:
        """Draw those of another epoch from now on."""
        self.epoch = epoch

    def numbered(self, rows: Any) -> list[tuple[int, int]]:
        """The rows that are asked for, each with its number among those of all epochs."""
        chosen = np.atleast_1d(np.arange(len(self))[rows])
        return [(int(k), self.epoch * len(self) + int(k)) for k in chosen]


@dataclass
class Beside:
    """Rows that are drawn, with numbers beside them that are the same in every epoch.

    Attributes:
        drawn: the former, shape (n, k).
        fixed: the latter, shape (n, more).
    """

    drawn: Any
    fixed: Array

    @property
    def shape(self) -> tuple[int, int]:
        """Of all rows."""
        return len(self.fixed), self.drawn.shape[1] + self.fixed.shape[1]

    def __len__(self) -> int:
        return len(self.fixed)

    def begin(self, epoch: int) -> None:
        """Draw the rows of another epoch from now on."""
        self.drawn.begin(epoch)

    def __getitem__(self, rows: Any) -> Array:
        return np.concatenate([self.drawn[rows], self.fixed[rows]], axis=1)
