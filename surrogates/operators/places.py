"""Where a field is known: scattered places with named coordinates, made ready for a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pdeinv.errors import SurrogateRejected
from pdeinv.io.datasets import TrainingSet
from pdeinv.model.observed import Sensors
from pdeinv.typing import Array

from ..common.identity import check_coordinates

__all__ = ["Places", "known"]

CONTINUOUS = frozenset({"x", "y", "z", "t"})
"""Coordinates between whose values a field is smooth; any other is a label: a source, a frequency,
a component."""


@dataclass(frozen=True)
class Places:
    """Points in the box that holds the trained ones, with the trained labels.

    Attributes:
        names: of the continuous coordinates, sorted.
        low: smallest trained coordinate by name.
        high: largest.
        labels: by name the trained values of every other coordinate, ascending.
        octaves: how many frequencies π, 2π, 4π, … of the scaled coordinates a network gets to see
            besides (Tancik et al. 2020); fields with short waves need some.
    """

    names: tuple[str, ...]
    low: Array
    high: Array
    labels: Mapping[str, Array] = field(default_factory=dict)
    octaves: int = 0

    @classmethod
    def around(cls, sensors: Sensors, octaves: int = 0) -> Places:
        """The box and the labels of some places."""
        names = tuple(sorted(CONTINUOUS & set(sensors)))
        points = _stacked(sensors, names)
        labels = {n: np.unique(sensors[n]) for n in sorted(set(sensors) - CONTINUOUS)}
        return cls(names, points.min(axis=0), points.max(axis=0), labels, octaves)

    def outside(self, sensors: Sensors) -> NDArray[np.bool_]:
        """Which places lie outside the box, labels left aside."""
        points = _stacked(sensors, self.names)
        slack = 1e-9 * np.maximum(self.high - self.low, np.abs(self.high))
        return np.asarray(((points < self.low - slack) | (points > self.high + slack)).any(axis=1))

    def points(self, sensors: Sensors) -> Array:
        """The continuous coordinates, shape (n, n_names), checked.

        Raises:
            SurrogateRejected: other coordinates, or a place outside the box.
        """
        check_coordinates([*self.names, *self.labels], sensors)
        points, outside = _stacked(sensors, self.names), self.outside(sensors)
        if outside.any():
            first = points[np.flatnonzero(outside)[0]]
            where = ", ".join(f"{n} = {v:g}" for n, v in zip(self.names, first, strict=True))
            sides = zip(self.names, self.low, self.high, strict=True)
            box = ", ".join(f"{n} from {a:g} to {b:g}" for n, a, b in sides)
            raise SurrogateRejected(
                f"{int(outside.sum())} of {len(points)} sensors lie outside the box that the "
                f"surrogate was trained on ({box}), the first at {where}; leave them out"
            )
        return points

    def __call__(self, sensors: Sensors) -> Array:
        """Inputs of a network, shape (n, n_inputs).

        These are the continuous coordinates scaled to [-1, 1] (constant ones are zero), sines and
        cosines of them, and one column of zeros and ones for every value of every label.

        Raises:
            SurrogateRejected: other coordinates, a place outside the box, or an unknown label.
        """
        length = self.high - self.low
        wide = length > 0
        scaled = 2 * (self.points(sensors) - self.low) / np.where(wide, length, 1.0) - 1
        scaled = np.where(wide, scaled, 0.0)
        phases = [np.pi * 2.0**k * scaled for k in range(self.octaves)]
        waves = [f(phase) for phase in phases for f in (np.sin, np.cos)]
        return np.concatenate([scaled, *waves, *self._chosen(sensors)], axis=1)

    def _chosen(self, sensors: Sensors) -> list[Array]:
        columns = []
        for name, known_values in self.labels.items():
            asked = np.asarray(sensors[name], dtype=np.float64)
            same = np.isclose(asked[:, None], known_values, rtol=1e-9, atol=0.0)
            if not (found := same.any(axis=1)).all():
                raise SurrogateRejected(
                    f"surrogate was trained for {name} "
                    f"{', '.join(f'{v:g}' for v in known_values)}, this run has "
                    f"{asked[~found][0]:g}; leave those data out or train it again"
                )
            columns.append(same.astype(np.float64))
        return columns


def _stacked(sensors: Sensors, names: tuple[str, ...]) -> Array:
    n_places = len(next(iter(sensors.values())))
    points = [np.asarray(sensors[n], dtype=np.float64) for n in names]
    return np.stack(points, axis=1) if points else np.zeros((n_places, 0))


def known(dataset: TrainingSet, most: int, rng: np.random.Generator) -> tuple[Sensors, Array]:
    """Places where a data set holds the field, and its values there, (n, n_places).

    These are the sensors, and where the grid has the sensors' coordinates its nodes in the domain,
    for every time and label: a choice of them that makes ``most`` places in all.
    """
    axes = {**dataset.experiments, **dataset.axes}
    if dataset.field is None or sorted(axes) != sorted(dataset.sensors):
        return dataset.sensors, dataset.values
    field = np.asarray(dataset.field)
    inside = np.flatnonzero(np.isfinite(field).all(axis=0))
    room = max(most - dataset.values.shape[1], 0)
    chosen = np.sort(rng.permutation(inside)[:room])
    nodes = np.meshgrid(*axes.values(), indexing="ij")
    on_grid = {n: a.ravel()[chosen] for n, a in zip(axes, nodes, strict=True)}
    both = {n: np.concatenate([dataset.sensors[n], on_grid[n]]) for n in dataset.sensors}
    flat = field.reshape(len(field), -1)
    return both, np.concatenate([dataset.values, flat[:, chosen]], axis=1)
