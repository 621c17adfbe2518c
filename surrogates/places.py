"""Where a field is known: scattered places with named coordinates, scaled for a network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pdeinv.errors import SurrogateRejected
from pdeinv.io.datasets import TrainingSet
from pdeinv.protocols import Sensors
from pdeinv.typing import Array

__all__ = ["Places", "known"]


@dataclass(frozen=True)
class Places:
    """Points in the box that holds the trained ones.

    Attributes:
        names: of the coordinates, sorted.
        low: smallest trained coordinate by name.
        high: largest.
    """

    names: tuple[str, ...]
    low: Array
    high: Array

    @classmethod
    def around(cls, sensors: Sensors) -> Places:
        """The box of some places."""
        names = tuple(sorted(sensors))
        points = _stacked(sensors, names)
        return cls(names, points.min(axis=0), points.max(axis=0))

    def outside(self, sensors: Sensors) -> NDArray[np.bool_]:
        """Which places lie outside in the coordinates of this box, others left aside."""
        points = _stacked(sensors, self.names)
        slack = 1e-9 * np.maximum(self.high - self.low, np.abs(self.high))
        return np.asarray(((points < self.low - slack) | (points > self.high + slack)).any(axis=1))

    def __call__(self, sensors: Sensors) -> Array:
        """Coordinates scaled to [-1, 1], shape (n, n_names); constant ones are zero.

        Raises:
            SurrogateRejected: other coordinates, or a place outside the box.
        """
        if tuple(sorted(sensors)) != self.names:
            raise SurrogateRejected(
                f"surrogate was trained for sensor coordinates {', '.join(self.names)}, this run "
                f"has {', '.join(sorted(sensors))}; train it again"
            )
        points, outside = _stacked(sensors, self.names), self.outside(sensors)
        length = self.high - self.low
        if outside.any():
            first = points[np.flatnonzero(outside)[0]]
            where = ", ".join(f"{n} = {v:g}" for n, v in zip(self.names, first, strict=True))
            raise SurrogateRejected(
                f"{int(outside.sum())} of {len(points)} sensors lie outside the box that the "
                f"surrogate was trained on, the first at {where}; leave them out"
            )
        wide = length > 0
        scaled = 2 * (points - self.low) / np.where(wide, length, 1.0) - 1
        return np.where(wide, scaled, 0.0)


def _stacked(sensors: Sensors, names: tuple[str, ...]) -> Array:
    return np.stack([np.asarray(sensors[n], dtype=np.float64) for n in names], axis=1)


def known(dataset: TrainingSet) -> tuple[Sensors, Array]:
    """All places where a data set holds the field, and its values there, (n, n_places).

    These are the sensors, and the nodes of the grid that lie in the domain where the grid has the
    sensors' coordinates.
    """
    axes = {**dataset.experiments, **dataset.axes}
    if dataset.field is None or sorted(axes) != sorted(dataset.sensors):
        return dataset.sensors, dataset.values
    field = np.asarray(dataset.field)
    nodes = np.meshgrid(*axes.values(), indexing="ij")
    inside = np.isfinite(field).all(axis=0)
    on_grid = {n: a[inside] for n, a in zip(axes, nodes, strict=True)}
    both = {n: np.concatenate([dataset.sensors[n], on_grid[n]]) for n in dataset.sensors}
    return both, np.concatenate([dataset.values, field[:, inside]], axis=1)
