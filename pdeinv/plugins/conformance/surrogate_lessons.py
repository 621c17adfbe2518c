"""Data sets for surrogates under test, solved here and now by a problem's own model."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np

from pdeinv.config import parse
from pdeinv.errors import CapabilityError, ConfigError
from pdeinv.io.datasets import TrainingSet, prior_probe
from pdeinv.model.observed import Sensors
from pdeinv.plugins.hooks import on_grid
from pdeinv.plugins.problem import Problem
from pdeinv.rng import stream
from pdeinv.typing import Array

__all__ = ["lesson", "neighbour"]


def lesson(problem: Problem, sensors: Sensors, n: int, cells: int = 9) -> TrainingSet:
    """``n`` solved prior draws, with fields on a grid where data are values at places alone.

    Args:
        problem: who solves, at level 0.
        sensors: where the data are.
        n: samples.
        cells: nodes of the grid along each axis.
    """
    prior = problem.prior()
    xi = stream(0, "conformance", 10).standard_normal((n, prior.dim))
    ms, model = prior.unwhiten(xi), problem.forward_model(sensors)
    return TrainingSet(
        problem=problem.name,
        problem_config=problem.config.model_dump(mode="json"),
        observed=problem.observed,
        sensors=sensors,
        xi=xi,
        values=np.stack([model(m) for m in ms]),
        prior_probe=prior_probe(prior),
        level=0,
        digest="0" * 64,
        n_failed=0,
        **_grids(problem, ms, cells),
    )


def _grids(problem: Problem, ms: Array, cells: int) -> dict[str, Any]:
    """Coefficient and field of each sample on a grid of the plane; None where there is none."""
    shape = (cells, cells)
    nothing: dict[str, Any] = {"coefficient": None, "field": None, "axes": {}}
    try:
        grid = problem.grid(shape)
        coefficient = np.stack([on_grid(problem, m, shape) for m in ms])
    except (ConfigError, CapabilityError):
        return nothing
    if set(grid) != set(problem.observed.coords):
        return nothing
    model = problem.forward_model(grid)
    field = np.stack([np.reshape(model(m), shape) for m in ms])
    axes = {"y": np.unique(grid["y"]), "x": np.unique(grid["x"])}
    return {"coefficient": coefficient, "field": field, "axes": axes}


def neighbour(problem: Problem, without: Collection[str] = ()) -> Problem | None:
    """The same class with one number of its configuration changed; None where none can be.

    Args:
        problem: whose class and configuration it is.
        without: tables that stay as they are.
    """
    kind: Any = type(problem)
    own = problem.config.model_dump(mode="json")
    for changed in _changed({k: v for k, v in own.items() if k not in without}):
        try:
            config = parse(kind.Config, {**own, **changed}, "neighbour")
            other: Problem = kind(config)
            other.prior()
        except Exception:
            continue
        if config != problem.config:
            return other
    return None


def _changed(data: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Copies of nested tables with one number a tenth larger, the innermost first."""
    for key, value in data.items():
        if isinstance(value, Mapping):
            yield from ({**data, key: inner} for inner in _changed(value))
    for key, value in data.items():
        if isinstance(value, float) and value:
            yield {**data, key: 1.1 * value}
