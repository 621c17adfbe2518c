"""Fields on a regular grid: which places the reference model is asked at, and what they vary over.

A problem's grid says where. What else its data vary over (times, sources, frequencies, real and
imaginary part) becomes leading axes of the field, which takes the values that the sensors have.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pdeinv.errors import ConfigError
from pdeinv.model.observed import Sensors
from pdeinv.plugins.problem import Problem
from pdeinv.typing import Array

__all__ = ["experiments", "grid_places", "measures_field", "parse_times"]


def parse_times(text: str, sensors: Sensors) -> tuple[float, ...]:
    """Times from ``sensors``, ``FIRST:LAST:COUNT`` or ``t,t,...``.

    Raises:
        ConfigError: not understood, or the sensors have no times.
    """
    if "t" not in sensors:
        raise ConfigError("--times: the data of this problem have no times; leave it out")
    if text == "sensors":
        return tuple(float(t) for t in np.unique(sensors["t"]))
    try:
        first, *rest = text.split(":")
        if rest:
            found = np.linspace(float(first), float(rest[0]), int(rest[1]))
        else:
            found = np.array([float(t) for t in text.split(",")])
    except (ValueError, IndexError):
        found = np.zeros(0)
    if len(found) == 0 or not (np.diff(found) > 0).all():
        raise ConfigError(
            f"--times {text}: expected 'sensors', FIRST:LAST:COUNT or increasing t,t,..."
        )
    return tuple(float(t) for t in found)


def measures_field(problem: Problem, shape: tuple[int, ...]) -> bool:
    """Whether the data are values of a field at places, so that it can be asked for on a grid."""
    return set(problem.grid(shape)) <= set(problem.observed.coords)


def experiments(
    problem: Problem, sensors: Sensors, shape: tuple[int, ...], times: tuple[float, ...] = ()
) -> dict[str, Array]:
    """The leading axes of a gridded field, by coordinate, in the order of the data's coordinates.

    None where the data are not values at places (electrodes, far fields): there is no such field.
    """
    if not measures_field(problem, shape):
        return {}
    nodes, coords = problem.grid(shape), problem.observed.coords
    found = {c: np.unique(np.asarray(sensors[c])) for c in coords if c not in nodes}
    if times:
        found["t"] = np.asarray(times)
    return {c: found[c] for c in coords if c in found}


def grid_places(nodes: Sensors, axes: Mapping[str, Array]) -> dict[str, Array]:
    """Every node for every combination of the axes' values, nodes running fastest."""
    n = len(next(iter(nodes.values())))
    mesh = np.meshgrid(*axes.values(), np.arange(n), indexing="ij")
    row = mesh[-1].ravel()
    places = {c: np.asarray(values)[row] for c, values in nodes.items()}
    return places | {c: m.ravel() for c, m in zip(axes, mesh, strict=False)}
