"""Linear reconstructions as baselines: ridge regression and the Wiener filter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from pydantic import Field

from pdeinv.model.learned import Estimate
from pdeinv.typing import Array

from ..common.record import Record
from ..common.split import Index
from .linear import LinearImages
from .modes import DataModes, Seen
from .rule import Course
from .surrogate import ImageConfig, Reconstruction

__all__ = ["LinearImage", "LinearImageConfig", "Linear", "taught_linear"]

FLOOR = 1e-4
"""Least standard deviation of a rule, as a share of that of all images."""


class LinearImageConfig(ImageConfig):
    """Options of ``linear-image``."""

    method: Literal["wiener", "ridge"] = Field(
        "wiener",
        description="the linear-Gaussian reconstruction, which knows the noise of the data, or "
        "ridge regression on data without noise, which does not",
    )


@dataclass(frozen=True)
class Linear:
    """A linear reconstruction with the standard deviation that the Gaussian law gives.

    Attributes:
        images: the reconstruction.
        floor: least standard deviation.
    """

    images: LinearImages
    floor: float

    @property
    def facts(self) -> dict[str, float]:
        """For the record."""
        return {"extra_variance": self.images.extra}

    def __call__(self, seen: Seen) -> Estimate:
        """Mean and standard deviation."""
        return Estimate(self.images(seen), np.maximum(self.images.std(seen), self.floor))

    def arrays(self) -> dict[str, Array]:
        """Its numbers."""
        return {**self.images.arrays(), "floor": np.array([self.floor])}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], data: DataModes) -> Linear:
        """The inverse of :meth:`arrays`."""
        return cls(LinearImages.from_arrays(data, arrays), float(arrays["floor"][0]))


def taught_linear(course: Course, method: str) -> Linear:
    """Fitted on most of the training samples, tuned on the others, fitted again on all."""
    learn, tune = course.parts("linear")
    seen = course.measured(tune, "tune")
    if method == "ridge":
        seen = Seen(course.values(tune), np.full(len(tune), -np.inf))

    def fitted(rows: Index) -> LinearImages:
        found = LinearImages.fit(course.data, course.values(rows), course.images(rows))
        return replace(found, knows_noise=method == "wiener")

    tuned = fitted(learn).tuned(seen, course.images(tune))
    whole = replace(fitted(course.lesson.split.train), extra=tuned.extra)
    return Linear(whole, FLOOR * float(course.images(tune).std()))


@dataclass(frozen=True)
class LinearImage(Reconstruction):
    """The best linear estimate of an image under a Gaussian law, or ridge regression."""

    name = "linear-image"
    Config = LinearImageConfig

    @classmethod
    def taught(cls, course: Course) -> Linear:
        """As its method says."""
        return taught_linear(course, course.lesson.config.method)

    @classmethod
    def rule_of(cls, arrays: Mapping[str, Array], data: DataModes, record: Record) -> Linear:
        """The stored one."""
        return Linear.from_arrays(arrays, data)
