"""The images that a reconstruction learns: the coefficient of each sample on a regular grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.io.datasets import TrainingSet
from pdeinv.model.spaces import Space, Variable
from pdeinv.plugins import hooks
from pdeinv.plugins.problem import Problem
from pdeinv.typing import Array

__all__ = ["Labels", "images_of"]


@dataclass(frozen=True)
class Labels:
    """Where the numbers of an image lie, and what values they had in the training.

    Attributes:
        axes: nodes along each axis by coordinate, the slowest axis first.
        inside: which nodes lie in the body, flat, shape (p,).
        low: the least value that any training image has in the body.
        high: the largest.
    """

    axes: Mapping[str, Array]
    inside: NDArray[np.bool_]
    low: float
    high: float

    @classmethod
    def of(cls, dataset: TrainingSet, problem: Problem, rows: NDArray[np.intp]) -> Labels:
        """Those of a data set.

        Args:
            dataset: with its coefficients on a grid.
            problem: says which nodes lie in the body.
            rows: the training samples.

        Raises:
            DataSchemaError: the data set has no coefficients.
        """
        if dataset.coefficient is None:
            raise DataSchemaError(
                "images are learned from coefficients on a grid, which this data set has not; "
                "generate it with --grid, such as --grid 32x32"
            )
        nodes = np.meshgrid(*dataset.axes.values(), indexing="ij")
        places = dict(zip(dataset.axes, (n.ravel() for n in nodes), strict=True))
        points = np.stack([places[a] for a in problem.axes], axis=1)
        inside = hooks.mask(problem, points)
        seen = images_of(dataset, rows)[:, inside]
        return cls(dict(dataset.axes), inside, float(seen.min()), float(seen.max()))

    @property
    def shape(self) -> tuple[int, ...]:
        """Nodes along each axis, the slowest first."""
        return tuple(len(nodes) for nodes in self.axes.values())

    def plane(self, who: str) -> tuple[int, int]:
        """Nodes along y and x, for a rule of plane images.

        Raises:
            ConfigError: images are not of the plane.
        """
        if len(self.shape) != 2:
            raise ConfigError(
                f"surrogate '{who}' needs images of the plane, got a grid of {len(self.shape)} "
                "axes; use 'linear-image'"
            )
        return self.shape[0], self.shape[1]

    @property
    def space(self) -> Space:
        """Of one image."""
        coords = {a: ((a,), nodes) for a, nodes in self.axes.items()}
        return Space((Variable("coefficient", tuple(self.axes), self.shape, coords=coords),))

    def within(self, images: Array) -> Array:
        """Images (n, p) without values that no training image has."""
        return np.clip(images, self.low, self.high)

    def arrays(self) -> dict[str, Array]:
        """For storage; the order of the axes is in their numbers."""
        nodes = {f"axis.{k}.{a}": np.asarray(x) for k, (a, x) in enumerate(self.axes.items())}
        ends = np.array([self.low, self.high])
        return {**nodes, "inside": self.inside.astype(np.uint8), "ends": ends}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> Labels:
        """The inverse of :meth:`arrays`."""
        names = sorted(k for k in arrays if k.startswith("axis."))
        axes = {k.split(".")[2]: arrays[k] for k in names}
        low, high = map(float, arrays["ends"])
        return cls(axes, np.asarray(arrays["inside"], dtype=bool), low, high)


def images_of(dataset: TrainingSet, rows: NDArray[np.intp]) -> Array:
    """Images of some samples, flat, shape (n, p)."""
    found = np.asarray(dataset.coefficient[rows], dtype=np.float64)
    return found.reshape(len(rows), -1)
