"""The samples of one batch of a data set: reference solves, failures recorded, never raised."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pdeinv.bayes.prior_rows import unwhiten_rows
from pdeinv.errors import CapabilityError, ConfigError, SolverDiverged, reason
from pdeinv.io.runs import PLAN
from pdeinv.jobs.generate import shards
from pdeinv.jobs.generate.actions import actions, actions_of_rows
from pdeinv.jobs.generate.grid import coefficient_of, experiments, grid_places, measures_field
from pdeinv.jobs.generate.plan import Plan
from pdeinv.jobs.generate.samples import Samples
from pdeinv.jobs.generate.size import check_points
from pdeinv.model.forward import DERIVATIVES, Rows
from pdeinv.model.observed import Sensors
from pdeinv.model.rows import by_rows, evaluate, linearize_rows
from pdeinv.plugins.hooks import grid_shape
from pdeinv.plugins.problem import Problem
from pdeinv.plugins.recipe import make_problem, whitened_model
from pdeinv.typing import Array

__all__ = ["BatchSolver", "checked", "solve_batches"]

NOT_FINITE = "the solve gave values that are not finite"


def _check_grid(problem: Problem, grid: tuple[int, ...]) -> None:
    """Refuse a grid of another dimension, or an unknown that is no field on it.

    Raises:
        ConfigError: either.
    """
    text, numbers = "x".join(map(str, grid)), grid_shape(problem, 2)
    axes: tuple[str, ...] = getattr(problem, "axes", ())  # plug-ins may lack them
    if numbers is None and axes and len(grid) != len(axes):
        raise ConfigError(
            f"--grid {text}: problem {problem.name} lies over {', '.join(axes)}; expected nodes "
            f"along each, such as --grid {'x'.join(['33'] * len(axes))}"
        )
    if numbers is not None and grid != numbers:
        raise ConfigError(
            f"--grid {text}: the unknown of problem {problem.name} is a list of {numbers[0]} "
            "numbers and no field on a grid; leave --grid out"
        )
    coefficient_of(problem, grid)


def _check_offers(problem: Problem, plan: Plan) -> None:
    """Refuse what the problem cannot give: a coefficient on the grid, or derivatives.

    Builds the model where derivatives are asked for.

    Raises:
        CapabilityError: neither JVP nor VJP is offered.
        ConfigError: the unknown is no field on that grid.
    """
    if plan.grid is not None:
        _check_grid(problem, plan.grid)
    if plan.jacobian == 0:
        return
    model = whitened_model(problem, plan.sensors, plan.level)
    if not DERIVATIVES & model.capabilities:
        raise CapabilityError(
            f"--jacobian needs the derivative of problem '{plan.problem}', which it does not offer "
            "for this unknown; leave --jacobian out"
        )


def checked(plan: Plan) -> tuple[Problem, dict[str, Array]]:
    """The problem of a plan that it can serve, and the further axes of its grid fields.

    Raises:
        CapabilityError: derivatives are asked for that the problem does not offer.
        ConfigError: a design or grid that does not fit the unknown.
    """
    problem = make_problem(plan.problem, plan.problem_config)
    dim = problem.prior().dim
    check_points(plan, dim)
    plan.draw(0, dim)
    _check_offers(problem, plan)
    if plan.grid is None or plan.n_obs == 0:
        return problem, {}
    return problem, experiments(problem, plan.sensors, plan.grid, plan.times)


@dataclass(frozen=True)
class _Solved:
    """Data (n, n_d) and derivative actions (n, k, n_obs) of samples, and why samples failed."""

    values: Array
    tangents: Array
    failures: tuple[str, ...]


class BatchSolver:
    """One process's model: sensors and grid nodes in one set of places."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        problem = make_problem(plan.problem, plan.problem_config)
        self.n_obs = plan.n_obs
        self.places = _places(problem, plan)
        self.prior = problem.prior()
        if self.n_obs:
            self.model = whitened_model(problem, self.places.sensors, plan.level)

    def solve(self, k: int) -> Samples:
        """The samples of batch ``k``."""
        plan, dim, rows = self.plan, self.prior.dim, self.plan.batch(k)
        xi = plan.draws(rows, dim)
        m = unwhiten_rows(self.prior, xi)
        if not self.n_obs:
            return self._unsolved(xi, m)
        one_by_one = by_rows(self.model) is None
        found = self._each(xi, rows) if one_by_one else self._together(xi, rows)
        values = found.values
        on_grid, shape = plan.grid is not None, self.places.field_shape
        return Samples(
            xi,
            m,
            values[:, : self.n_obs],
            found.failures,
            self._coefficient(m) if on_grid else None,
            None if shape is None else values[:, self.n_obs :].reshape(len(xi), *shape),
            self._probes(rows) if plan.jacobian else None,
            found.tangents if plan.jacobian else None,
        )

    def _unsolved(self, xi: Array, m: Array) -> Samples:
        """Draws of the prior, with the coefficient on the grid where that is wanted."""
        coefficient = self._coefficient(m) if self.plan.grid is not None else None
        return Samples(xi, m, np.zeros((len(xi), 0)), ("",) * len(xi), coefficient)

    def _each(self, xi: Array, rows: range) -> _Solved:
        """One sample after another."""
        values, tangents = self._nothing(len(xi))
        failures = [""] * len(xi)
        for j, i in enumerate(rows):
            try:
                values[j], tangents[j] = self._checked(xi[j], i)
            except SolverDiverged as error:
                failures[j] = reason(error)
        return _Solved(values, tangents, tuple(failures))

    def _nothing(self, n: int) -> tuple[Array, Array]:
        """Data and actions that are not known."""
        n_probes = min(self.plan.jacobian, self.prior.dim)
        values = np.full((n, self.model.d_space.size), np.nan)
        return values, np.full((n, n_probes, self.n_obs), np.nan)

    def _together(self, xi: Array, rows: range) -> _Solved:
        """All samples at once, each by its own bits."""
        if self.plan.jacobian == 0:
            found: Rows[Array] = evaluate(self.model, xi)
            tangents = np.zeros((len(xi), 0, self.n_obs))
        else:
            found = at = linearize_rows(self.model, xi)
            probes = np.stack([self.plan.probes(i, self.prior.dim) for i in rows])
            tangents = actions_of_rows(at, probes, self.n_obs, self.model.capabilities)
        finite = np.isfinite(found.values).all(axis=1) & np.isfinite(tangents).all(axis=(1, 2))
        lost = {int(j): NOT_FINITE for j in np.flatnonzero(~finite)}
        reasons = {**lost, **{j: text.splitlines()[0] for j, text in found.failures.items()}}
        values, actions = self._nothing(len(xi))
        values[finite], actions[finite] = found.values[finite], tangents[finite]
        return _Solved(values, actions, tuple(reasons.get(j, "") for j in range(len(xi))))

    def _coefficient(self, m: Array) -> Array:
        assert self.places.to_grid is not None
        return self.places.to_grid(m)

    def _probes(self, rows: range) -> Array:
        dim = self.prior.dim
        if self.plan.jacobian >= dim:
            return np.eye(dim)
        return np.stack([self.plan.probes(i, dim) for i in rows])

    def _checked(self, xi: Array, i: int) -> tuple[Array, Array]:
        """Data and derivative actions of sample ``i``.

        Raises:
            SolverDiverged: a solve failed, or a number is not finite.
        """
        if self.plan.jacobian == 0:
            value, tangent = self.model(xi), np.zeros((0, self.n_obs))
        else:
            at = self.model.linearize(xi)
            probes = self.plan.probes(i, self.prior.dim)
            value = at.value
            tangent = actions(at, probes, self.n_obs, self.model.capabilities)
        if not (np.isfinite(value).all() and np.isfinite(tangent).all()):
            raise SolverDiverged(NOT_FINITE)
        return value, tangent


@dataclass(frozen=True)
class _Places:
    """Sensors and grid nodes in one set, the map from m to the grid, and the field's shape."""

    sensors: Sensors
    to_grid: Callable[[Array], Array] | None = None
    field_shape: tuple[int, ...] | None = None


def _places(problem: Problem, plan: Plan) -> _Places:
    if plan.grid is None:
        return _Places(plan.sensors)
    if plan.n_obs == 0 or not measures_field(problem, plan.grid):
        return _Places(plan.sensors, coefficient_of(problem, plan.grid))
    axes = experiments(problem, plan.sensors, plan.grid, plan.times)
    nodes = grid_places(problem.grid(plan.grid), axes)
    both = {c: np.concatenate([plan.sensors[c], nodes[c]]) for c in plan.sensors}
    shape = (*(len(values) for values in axes.values()), *plan.grid)
    return _Places(both, coefficient_of(problem, plan.grid), shape)


_lock = threading.Lock()
_built: tuple[str, BatchSolver] | None = None
"""The solver of this process and the plan that it was built for."""


def solve_batches(folder: str, key: str, _brought: object, numbers: Sequence[int]) -> None:
    """Solve batches in a worker; the model is built once, and only numbers travel here.

    Each batch is a file as soon as it is solved, hence a worker that dies loses at most one.

    Args:
        folder: the run folder, which holds the plan and receives the shards.
        key: of the plan that the caller has.
        _brought: what unpickling it has made known here, so that the problem can be built; or None.
        numbers: of the batches; those that are there already are left alone.

    Raises:
        ConfigError: the plan in the folder is another one.
    """
    global _built
    with _lock:  # a scheduler's worker may have several threads; the solvers have one
        run = Path(folder)
        if _built is None or _built[0] != key:
            _built = (key, BatchSolver(_plan(run, key)))
        solver = _built[1]
        for k in numbers:
            if shards.verified(run, k, len(solver.plan.batch(k))) is None:
                shards.save(run, k, solver.solve(k))


def _plan(run: Path, key: str) -> Plan:
    plan = Plan.load(run / PLAN)
    if plan.key() != key:
        raise ConfigError(
            f"the plan in {run} changed while its batches were being solved; let one command "
            "at a time set --n and the other options"
        )
    return plan
