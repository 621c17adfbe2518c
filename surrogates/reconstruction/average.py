"""The mean and the median image: what an estimate is worth that does not look at the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field

from pdeinv.model.learned import Estimate
from pdeinv.typing import Array

from ..common.record import Record
from .modes import DataModes, Seen
from .rule import Course
from .surrogate import ImageConfig, Reconstruction

__all__ = ["AverageImage", "AverageImageConfig"]


class AverageImageConfig(ImageConfig):
    """Options of ``average-image``."""

    statistic: Literal["mean", "median"] = Field(
        "median", description="of the training's values at each node; the median has the least L1"
    )


@dataclass(frozen=True)
class Constant:
    """The same image for all data.

    Attributes:
        image: shape (p,).
        std: root mean square distance of the training's images from it, shape (p,).
    """

    image: Array
    std: Array

    def __call__(self, seen: Seen) -> Estimate:
        """That image for each row."""
        n = len(seen.values)
        return Estimate(np.tile(self.image, (n, 1)), np.tile(self.std, (n, 1)))

    def arrays(self) -> dict[str, Array]:
        """Both."""
        return {"image": self.image, "std": self.std}


@dataclass(frozen=True)
class AverageImage(Reconstruction):
    """The training's mean or median image whatever the data: the least that others must beat."""

    name = "average-image"
    Config = AverageImageConfig

    @classmethod
    def taught(cls, course: Course) -> Constant:
        """Of all training samples."""
        images = course.images(course.lesson.split.train)
        mean = course.lesson.config.statistic == "mean"
        image = images.mean(axis=0) if mean else np.median(images, axis=0)
        std = np.sqrt(np.mean((images - image) ** 2, axis=0))
        return Constant(image, np.maximum(std, 1e-6 * images.std()))

    @classmethod
    def rule_of(cls, arrays: Mapping[str, Array], data: DataModes, record: Record) -> Constant:
        """The image and its spread."""
        return Constant(arrays["image"], arrays["std"])
