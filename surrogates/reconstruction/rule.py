"""What a reconstruction is before it is calibrated, and what it is taught with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pdeinv.model.learned import Estimate
from pdeinv.rng import stream
from pdeinv.typing import Array

from ..common.lesson import Lesson
from ..common.split import Index, Split
from ..inverse.noising import NoiseLaw
from .labels import Labels, images_of
from .modes import DataModes, Seen

__all__ = ["Course", "Rule"]

ASIDE = 0.05
"""Half the share of the training samples that a rule is tuned or stopped by."""


class Rule(Protocol):
    """From data to images, with a spread that calibration corrects by a factor at each node."""

    def __call__(self, seen: Seen) -> Estimate:
        """Mean and standard deviation, shape (n, p)."""

    def arrays(self) -> dict[str, Array]:
        """Its numbers, for storage."""


@dataclass(frozen=True)
class Course:
    """The pairs that a rule is taught with.

    Attributes:
        lesson: the whole fit.
        labels: where images lie.
        law: how data scatter.
        data: their family.
    """

    lesson: Lesson
    labels: Labels
    law: NoiseLaw
    data: DataModes

    def values(self, rows: Index) -> Array:
        """Predictions of samples, without noise, shape (n, n_obs)."""
        return self.lesson.dataset.values[rows]

    def images(self, rows: Index) -> Array:
        """Images of samples, shape (n, p)."""
        return images_of(self.lesson.dataset, rows)

    def measured(self, rows: Index, name: str) -> Seen:
        """Data of samples with noise of a named stream, each at a level of its own."""
        return Seen(*self.law.rows(self.values(rows), self.lesson.seed, name))

    def parts(self, name: str, k: int = 0) -> tuple[Index, Index]:
        """Training samples to learn from, and a tenth of them to tune or to stop by."""
        train = self.lesson.split.train
        own = Split.of(len(train), int(stream(self.lesson.seed, name, k).integers(2**31)), ASIDE)
        return train[own.train], train[np.sort(np.concatenate([own.valid, own.test]))]
