"""How far an estimate is from the truth: the coefficient of both on one grid, and a number.

The grid is regular, so that sums over its nodes are area-weighted; nodes outside the body are left
out where the problem says which those are. A problem may bring metrics of its own
(see :mod:`pdeinv.plugins.hooks` for both).
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pdeinv.config import parse_toml
from pdeinv.errors import ConfigError, DataSchemaError, UnknownPlugin
from pdeinv.io import netcdf
from pdeinv.jobs.common.recipe import make_problem
from pdeinv.jobs.observe import read_truth, unknown_of
from pdeinv.plugins.hooks import grid_shape, inside, metrics, on_grid
from pdeinv.plugins.problem import Metric, Problem
from pdeinv.typing import Array

__all__ = ["dice", "metrics_of", "relative_l1", "relative_l2", "score"]

NODES = 128
"""Grid nodes along each axis where no metric asks for others."""


def relative_l2(truth: Array, guess: Array) -> float:
    """‖guess − truth‖₂ / ‖truth‖₂ over the nodes of the body."""
    return float(np.linalg.norm((guess - truth)[_body(truth)]) / np.linalg.norm(_inner(truth)))


def relative_l1(truth: Array, guess: Array) -> float:
    """‖guess − truth‖₁ / ‖truth‖₁ over the nodes of the body."""
    return float(np.abs((guess - truth)[_body(truth)]).sum() / np.abs(_inner(truth)).sum())


def dice(truth: Array, guess: Array, threshold: float) -> float:
    """2 |A ∩ B| / (|A| + |B|) of the sets where truth and guess exceed a threshold; 1 if empty."""
    a, b = _inner(truth) > threshold, guess[_body(truth)] > threshold
    total = int(a.sum() + b.sum())
    return 2 * int((a & b).sum()) / total if total else 1.0


def _body(truth: Array) -> Any:
    return np.isfinite(truth)


def _inner(truth: Array) -> Array:
    return np.asarray(truth[_body(truth)])


def metrics_of(problem: Problem, threshold: float | None = None) -> dict[str, Metric]:
    """The metrics that a truth of a problem can be compared by.

    Args:
        problem: of the truth.
        threshold: for ``dice``, which is there only with one.
    """
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
    other = _problem_of(result)
    known = metrics_of(problem, threshold)
    chosen = {name: _metric(name, known, problem.name) for name in names}
    grids: dict[tuple[int, ...], tuple[Array, Array]] = {}
    found = {}
    for name, metric in chosen.items():
        shape = metric.shape or grid_shape(problem, nodes) or (nodes,) * _dimension(problem)
        if shape not in grids:
            grids[shape] = _pair((problem, truth), (other, result), shape)
        found[name] = float(metric.evaluate(*grids[shape]))
    return found


def _metric(name: str, known: Mapping[str, Metric], problem: str) -> Metric:
    if name in known:
        return known[name]
    if name == "dice":
        raise ConfigError("metric dice needs --threshold, the value that counts as inside")
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join([*known, 'dice'])}"
    raise UnknownPlugin(f"problem {problem} has no metric '{name}'; {hint}")


def _problem_of(path: Path) -> Problem:
    """The problem that a result or truth file carries."""
    attrs = netcdf.read_dataset(path).attrs
    if attrs.get("pdeinv_kind") not in ("result", "truth"):
        raise DataSchemaError(
            f"{path}: expected the output of 'pdeinv invert' or 'pdeinv solve', got a file of kind "
            f"'{attrs.get('pdeinv_kind')}'"
        )
    table = parse_toml(str(attrs.get("pdeinv_config", "")), f"{path}: attribute pdeinv_config")
    config = dict(table.get("problem", {}))
    return make_problem(str(config.pop("name", attrs.get("pdeinv_problem"))), config)


def _dimension(problem: Problem) -> int:
    """How many axes the problem's grid has."""
    for d in (2, 1, 3):
        try:
            problem.grid((2,) * d)
        except ConfigError:
            continue
        return d
    raise ConfigError(f"problem {problem.name} has no grid to compare on")


def _pair(
    truth: tuple[Problem, Path], result: tuple[Problem, Path], shape: tuple[int, ...]
) -> tuple[Array, Array]:
    """Both coefficients on the truth's grid; the truth is NaN outside the body."""
    a, b = truth[0].grid(shape), result[0].grid(shape)
    size = max(float(np.ptp(c)) for c in a.values())
    if set(a) != set(b) or any(np.abs(a[k] - b[k]).max() > 1e-6 * size for k in a):
        raise DataSchemaError(
            f"{result[1]} and {truth[1]} belong to different domains; compare files of one body"
        )
    values = [on_grid(p, unknown_of(p.prior(), path), shape) for p, path in (truth, result)]
    body = inside(truth[0], np.stack(list(a.values()), axis=1)).reshape(shape)
    return np.where(body, values[0], np.nan), values[1]
