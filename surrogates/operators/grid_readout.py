"""What sensors read off fields on the grid that an operator was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pdeinv.errors import SurrogateRejected
from pdeinv.model.observed import Sensors
from pdeinv.typing import Array

from .grid import Grid

__all__ = ["check_range", "to_sensors"]


def check_range(name: str, values: Array, axis: Array) -> None:
    """Refuse times, sources or the like that lie outside the trained ones.

    Raises:
        SurrogateRejected: names the first.
    """
    slack = 1e-9 * max(float(np.ptp(axis)), float(np.abs(axis).max()), 1e-300)
    bad = values[(values < axis[0] - slack) | (values > axis[-1] + slack)]
    if len(bad):
        raise SurrogateRejected(
            f"{len(bad)} of {len(values)} sensors have {name} outside the trained range "
            f"{axis[0]:g} to {axis[-1]:g}, the first {bad[0]:g}; generate fields with it"
        )


def to_sensors(
    grid: Grid, inside: NDArray[np.bool_], experiments: Mapping[str, Array], sensors: Sensors
) -> Any:
    """The sparse matrix from fields (*experiments, y, x) to the data.

    Args:
        grid: of the fields.
        inside: which of its nodes lie in the domain.
        experiments: values of each leading axis, as trained.
        sensors: where the data are.

    Raises:
        SurrogateRejected: other coordinates, or a sensor outside the grid.
    """
    names = grid.names
    trained = sorted([*names, *experiments])
    if sorted(sensors) != trained:
        raise SurrogateRejected(
            f"surrogate was trained for sensor coordinates {', '.join(trained)}, this "
            f"run has {', '.join(sorted(sensors))}; train it again"
        )
    for name, axis in experiments.items():
        check_range(name, np.asarray(sensors[name], dtype=np.float64), axis)
    points = np.stack([np.asarray(sensors[n], dtype=np.float64) for n in names], axis=1)
    outside = np.flatnonzero(grid.outside(points))
    if len(outside):
        place = ", ".join(f"{n} = {v:g}" for n, v in zip(names, points[outside[0]], strict=True))
        raise SurrogateRejected(
            f"{len(outside)} of {len(points)} sensors lie outside the grid that the surrogate "
            f"was trained on, the first at {place}; leave them out"
        )
    return grid.readout(points, inside, experiments, sensors)
