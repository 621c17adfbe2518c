"""Fields on a regular grid: which places the reference model is asked at, and what they vary over.

A problem's grid says where. What else its data vary over (times, sources, frequencies, real and
imaginary part) becomes leading axes of the field, which takes the values that the sensors have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from pdeinv.errors import ConfigError
from pdeinv.model.observed import Sensors
from pdeinv.plugins.hooks import HasOnGrid, grid_shape, on_grid
from pdeinv.plugins.problem import Problem
from pdeinv.typing import Array

__all__ = ["coefficient_of", "experiments", "grid_places", "measures_field", "parse_times"]


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
    observed = problem.observed
    return observed.everywhere and set(problem.grid(shape)) <= set(observed.coords)


def coefficient_of(problem: Problem, shape: tuple[int, ...]) -> Callable[[Array], Array]:
    """The map from unknowns (n, n_m) to the coefficient on a grid, (n, *shape).

    A matrix where the coefficient is linear in m, else the problem's own map (ellipses).

    Raises:
        ConfigError: the unknown is no field on that grid.
    """
    try:
        matrix = problem.grid_operator(shape)
    except ConfigError:
        if not isinstance(problem, HasOnGrid) or grid_shape(problem, 2) is not None:
            raise
        return lambda ms: np.stack([on_grid(problem, m, shape) for m in ms])
    return lambda ms: np.asarray((matrix @ ms.T).T).reshape(len(ms), *shape)


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
