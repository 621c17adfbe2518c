"""How far an estimate is from the truth: the coefficient of both on one grid, and a number.

The grid is regular, so that sums over its nodes are area-weighted; nodes outside the body are left
out where the problem says which those are. A problem may bring metrics of its own, and what follows
from its unknown is compared quantity by quantity (see :mod:`pdeinv.plugins.hooks` for all three).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from pdeinv.config import named
from pdeinv.errors import ConfigError, DataSchemaError, UnknownPlugin, hint
from pdeinv.io import netcdf
from pdeinv.io.fields import check_one_problem, run_tables_of
from pdeinv.jobs.observe import read_truth, unknown_of
from pdeinv.memory import check_fits
from pdeinv.model.multilinear import multilinear
from pdeinv.model.observed import Sensors
from pdeinv.plugins.hooks import derived, grid_shape, mask, metrics, on_grid
from pdeinv.plugins.problem import Metric, Problem
from pdeinv.plugins.recipe import make_problem
from pdeinv.typing import Array

__all__ = ["dice", "metrics_of", "relative_l1", "relative_l2", "score"]

NODES = 128
"""Grid nodes along each axis where no metric asks for others."""

EACH = ("rel-l2", "rel-l1")
"""Metrics that are told of each quantity that follows from the unknown as well."""

ALIKE = 0.02
"""How far two meshes of one body may differ: ends of their box and nodes inside, relatively."""


def relative_l2(truth: Array, guess: Array) -> float:
    """‖guess − truth‖₂ / ‖truth‖₂ over the nodes of the body."""
    return float(np.linalg.norm((guess - truth)[_body(truth)]) / np.linalg.norm(_inner(truth)))


def relative_l1(truth: Array, guess: Array) -> float:
    """‖guess − truth‖₁ / ‖truth‖₁ over the nodes of the body."""
    return float(np.abs((guess - truth)[_body(truth)]).sum() / np.abs(_inner(truth)).sum())


def dice(truth: Array, guess: Array, threshold: float) -> float:
    """2 |A ∩ B| / (|A| + |B|) of the sets where truth and guess exceed a threshold.

    Raises:
        ConfigError: both are empty.
    """
    a, b = _inner(truth) > threshold, guess[_body(truth)] > threshold
    total = int(a.sum() + b.sum())
    if not total:
        raise ConfigError(
            f"--threshold {threshold:g}: neither truth nor estimate exceeds it anywhere; the truth "
            f"goes up to {_inner(truth).max():.4g}, choose less"
        )
    return 2 * int((a & b).sum()) / total


def _body(truth: Array) -> Any:
    return np.isfinite(truth)


def _inner(truth: Array) -> Array:
    return np.asarray(truth[_body(truth)])


def metrics_of(problem: Problem, threshold: float | None = None) -> dict[str, Metric]:
    """The metrics that a truth of a problem can be compared by.

    Args:
        problem: of the truth.
        threshold: for ``dice``, which is there only with one.

    Raises:
        ConfigError: the threshold is not finite, or the unknown a list of numbers and no field.
    """
    if threshold is not None and not np.isfinite(threshold):
        raise ConfigError(f"--threshold must be a finite number, got {threshold:g}")
    if threshold is not None and grid_shape(problem, NODES) is not None:
        raise ConfigError(
            f"--threshold is for fields over places, and problem {problem.name} compares a list of "
            "numbers; leave it and metric dice out, and take rel-l2 or rel-l1"
        )
    found = {
        "rel-l2": Metric("relative L2 error", relative_l2),
        "rel-l1": Metric("relative L1 error", relative_l1),
    }
    if threshold is not None:
        found["dice"] = Metric(
            f"Dice coefficient of values above {threshold:g}",
            lambda truth, guess: dice(truth, guess, threshold),
        )
    return found | metrics(problem)


def score(
    result: Path,
    truth: Path,
    names: Sequence[str] = ("rel-l2",),
    *,
    threshold: float | None = None,
    nodes: int = NODES,
) -> dict[str, float]:
    """Metrics of a result, or of another truth, against a truth.

    Args:
        result: a file of ``invert`` (the mean of the draws is judged) or of ``solve``.
        truth: a file of ``solve``.
        names: of the metrics.
        threshold: for ``dice``.
        nodes: grid nodes along each axis, where the metric does not fix them.

    Raises:
        DataSchemaError: files that are not what they should be, or of different bodies.
        UnknownPlugin: no such metric.
    """
    problem, _ = read_truth(truth)
    true, guess = _Stored(problem, truth), _Stored(_problem_of(result), result)
    check_one_problem({result: guess.problem.name, truth: problem.name})
    _check_axes(true, guess)
    known = metrics_of(problem, threshold)
    chosen = {name: _metric(name, known, problem.name) for name in names}
    grids: dict[tuple[int, ...], tuple[Array, Array]] = {}
    found = {}
    for name, metric in chosen.items():
        shape = metric.shape or grid_shape(problem, nodes) or (nodes,) * len(problem.axes)
        if shape not in grids:
            size = (32 * len(shape) + 48) * math.prod(shape)  # two grids of places, six of values
            check_fits(f"a grid of {shape} nodes", size, "take a coarser grid")
            grids[shape] = _pair(true, guess, shape)
        found[name] = float(metric.evaluate(*grids[shape]))
    return found | _of_derived(true, guess, {name: chosen[name] for name in names if name in EACH})


def _of_derived(true: _Stored, guess: _Stored, chosen: Mapping[str, Metric]) -> dict[str, float]:
    """The same metrics of each quantity that follows from the unknown in both files."""
    right, own = (derived(stored.problem, 0) for stored in (true, guess))
    if right is None or own is None or not chosen:
        return {}
    a = right.space.unpack(right.values(true.unknown))
    b = own.space.unpack(own.values(guess.unknown))
    shared = [str(n) for n in a.data_vars if n in b and a[n].shape == b[n].shape]
    return {
        f"{name} of {quantity}": float(
            metric.evaluate(np.atleast_1d(a[quantity]), np.atleast_1d(b[quantity]))
        )
        for name, metric in chosen.items()
        for quantity in shared
    }


def _metric(name: str, known: Mapping[str, Metric], problem: str) -> Metric:
    if name in known:
        return known[name]
    if name == "dice":
        raise ConfigError("metric dice needs --threshold, the value that counts as inside")
    raise UnknownPlugin(f"problem {problem} has no metric '{name}'; {hint(name, known, ['dice'])}")


def _problem_of(path: Path) -> Problem:
    """The problem that a result or truth file carries."""
    attrs = netcdf.read_dataset(path).attrs
    netcdf.check_kind(attrs, path, {"result": "invert", "truth": "solve"})
    name, config = named(run_tables_of(attrs, path).get("problem", {}))
    return make_problem(str(name or attrs.get("pdeinv_problem")), config)


@dataclass(frozen=True)
class _Stored:
    """A file with an unknown, and the problem that it carries."""

    problem: Problem
    path: Path

    @cached_property
    def unknown(self) -> Array:
        """That of the file; the mean of draws."""
        return unknown_of(self.problem.prior(), self.path)

    def on_grid(self, shape: tuple[int, ...]) -> Array:
        """The coefficient on the problem's grid."""
        return on_grid(self.problem, self.unknown, shape)


def _check_axes(truth: _Stored, result: _Stored) -> None:
    """Refuse bodies of different dimension.

    Raises:
        DataSchemaError: they are.
    """
    own, other = truth.problem.axes, result.problem.axes
    if own != other:
        raise DataSchemaError(
            f"{result.path} belongs to a body over {', '.join(other)} and {truth.path} to one over "
            f"{', '.join(own)}; compare files of one body"
        )


def _pair(truth: _Stored, result: _Stored, shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Both coefficients on the truth's grid; the truth is NaN outside the body.

    Meshes of one body may end a little differently: such a result is read off its own grid at the
    truth's nodes.

    Raises:
        DataSchemaError: files of different bodies.
    """
    a, b = truth.problem.grid(shape), result.problem.grid(shape)
    apart, places = _apart(a, b), np.stack([a[axis] for axis in truth.problem.axes], axis=1)
    own = mask(truth.problem, places)
    other = mask(result.problem, places) if apart <= ALIKE else ~own
    if (own != other).sum() > ALIKE * own.sum():
        raise DataSchemaError(
            f"{result.path} and {truth.path} belong to different domains; compare files of one body"
        )
    guess = result.on_grid(shape)
    if apart > 1e-6:
        axes = [np.unique(b[axis]) for axis in result.problem.axes]
        guess = (multilinear(axes, places) @ guess.ravel()).reshape(shape)
    return np.where((own & other).reshape(shape), truth.on_grid(shape), np.nan), guess


def _apart(a: Sensors, b: Sensors) -> float:
    """How far two grids of one shape are apart, relative to their size."""
    if set(a) != set(b):
        return math.inf
    size = max(float(np.ptp(c)) for c in a.values())
    return max(float(np.abs(a[k] - b[k]).max()) for k in a) / size
