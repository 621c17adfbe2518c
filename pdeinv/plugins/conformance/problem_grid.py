"""The regular grid on which learned operators, figures and scores see the coefficient."""

from __future__ import annotations

from math import prod

import numpy as np

from pdeinv.errors import CapabilityError, ConfigError
from pdeinv.io.fields import UNKNOWN
from pdeinv.plugins.hooks import grid_shape, mask, on_grid
from pdeinv.typing import Array

from .clauses import Table, hold
from .problem_case import PROTOCOL, Case, gap

__all__ = ["CLAUSES"]

CLAUSES: Table[Case] = Table(PROTOCOL)

NO_FIELD = "this unknown is no field on a grid; `score` compares numbers where `grid_shape` tells"


def _nodes(case: Case, shape: tuple[int, ...]) -> Array:
    """The nodes as rows of their coordinates along the axes."""
    grid = case.problem.grid(shape)
    return np.stack([grid[a] for a in case.problem.axes], axis=1)


@CLAUSES.clause(
    "grid", "`grid(shape)` has every node of a box, row-major: the first of `axes` runs "
    "fastest",
    needs=("axes",),
)  # fmt: skip
def grid(case: Case) -> None:
    shape = case.shape
    found = case.problem.grid(shape)
    sizes = {c: np.shape(a) for c, a in found.items()}
    hold(set(sizes.values()) == {(prod(shape),)}, f"shapes {sizes} for {prod(shape)} nodes")
    for i, name in enumerate(case.problem.axes):
        values = np.asarray(found[name]).reshape(shape)
        axis = len(shape) - 1 - i
        steps = np.diff(values, axis=axis)
        hold((steps > 0).all(), f"{name} does not grow along axis {axis} of {shape}")
        first = np.take(values, [0], axis=axis)
        ends = np.ptp(first) == 0 and np.ptp(np.take(values, [-1], axis=axis)) == 0
        hold(ends, f"{name} is not the same on a whole side of the box")
        hold(np.ptp(steps) <= 1e-9 * np.ptp(values), f"steps of {name} differ")


@CLAUSES.clause(
    "grid-operator", "`grid_operator(shape)` is a matrix (nodes, n_m), or refused with ConfigError "
    "or CapabilityError", needs=("grid", "built"),
)  # fmt: skip
def grid_operator(case: Case) -> str | None:
    wanted = (prod(case.shape), case.prior.space.size)
    try:
        found = case.problem.grid_operator(case.shape)
    except (ConfigError, CapabilityError) as error:
        hold("\n" not in str(error), "the refusal takes more than one line")
        return "this unknown has none"
    hold(tuple(found.shape) == wanted, f"it is {tuple(found.shape)}, expected {wanted}")
    return None


def _coefficient(case: Case, shape: tuple[int, ...]) -> Array | None:
    try:
        return on_grid(case.problem, case.m(), shape)
    except (ConfigError, CapabilityError):
        return None


@CLAUSES.clause(
    "coefficient", "the coefficient on the grid is finite inside the domain, and on_grid agrees "
    "with grid_operator", needs=("grid-operator", "prior-draws"),
    where="pdeinv.plugins.hooks.HasOnGrid",
)  # fmt: skip
def coefficient(case: Case) -> str | None:
    found = _coefficient(case, case.shape)
    if found is None:
        return NO_FIELD
    hold(found.shape == case.shape, f"shape {found.shape}, expected {case.shape}")
    within = mask(case.problem, _nodes(case, case.shape)).reshape(case.shape)
    hold(np.isfinite(found[within]).all(), "it is not finite at a node inside")
    try:
        matrix = case.problem.grid_operator(case.shape)
    except (ConfigError, CapabilityError):
        return None
    worst = gap(found.ravel(), np.asarray(matrix @ case.m()))
    hold(worst < 1e-12, f"on_grid and grid_operator differ by {worst:.2g} of the peak")
    return None


@CLAUSES.clause(
    "score-grid", "the coefficient is there on the grid that `score` compares on: "
    "`grid_shape(nodes)`, else as many nodes along each axis", needs=("coefficient",),
    where="pdeinv.plugins.hooks.HasGridShape",
)  # fmt: skip
def score_grid(case: Case) -> str | None:
    if _coefficient(case, case.shape) is None and grid_shape(case.problem, 9) is None:
        return NO_FIELD
    shape = grid_shape(case.problem, 9) or (9,) * case.dims[0]
    hold(_coefficient(case, shape) is not None, f"it is refused on {shape}, so `score` fails")
    return None


@CLAUSES.clause(
    "coefficient-solved", "the coefficient on the grid is what `solve` writes of it at common "
    "points",
    needs=("coefficient", "solve"),
)  # fmt: skip
def coefficient_solved(case: Case) -> str | None:
    name = case.prior.space.names[0]
    marked = [v for v in case.fields.data_vars.values() if v.attrs.get(UNKNOWN) == name]
    d = case.dims[0]
    values = _coefficient(case, (5,) * d)
    axes = case.problem.axes
    if values is None or not marked or not set(axes) <= set(marked[0].coords):
        return f"`solve` marks none by the attribute {UNKNOWN}, or not at nodes"
    places = np.stack([np.asarray(marked[0].coords[a]) for a in axes], axis=1)
    nodes = _nodes(case, (5,) * d)
    apart = np.linalg.norm(nodes[:, None] - places[None], axis=2)
    # on the border of the box a coefficient may jump to what it is outside
    slack = 1e-9 * np.ptp(nodes)
    ends = (nodes - nodes.min(axis=0) <= slack) | (nodes.max(axis=0) - nodes <= slack)
    here = (apart.min(axis=1) < slack) & ~ends.any(axis=1)
    here &= mask(case.problem, nodes)
    if not here.any():
        return "grid and mesh have no inner node in common"
    solved = np.asarray(marked[0]).ravel()[apart.argmin(axis=1)][here]
    differs = np.abs(values.ravel()[here] - solved) > 1e-8 * np.abs(solved).max()
    # a node on the border of two cells may take the value of either
    hold(differs.mean() <= 0.5, f"it differs at {differs.sum()} of {here.sum()} common nodes")
    return None
