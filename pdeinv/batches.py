"""The samples of one batch of a data set: reference solves, failures recorded, never raised."""

from __future__ import annotations

from typing import Any

import numpy as np

from pdeinv.bayes.posterior import WhitenedModel
from pdeinv.building import make_problem
from pdeinv.designs import Plan
from pdeinv.errors import CapabilityError, SolverDiverged, reason
from pdeinv.io.datasets import Samples
from pdeinv.models import Capability, ForwardModel, Linearization
from pdeinv.protocols import Problem, Sensors
from pdeinv.typing import Array

__all__ = ["BatchSolver", "actions", "check_derivatives"]

DERIVATIVES = frozenset({Capability.JVP, Capability.VJP})


def check_derivatives(problem: Problem, plan: Plan) -> None:
    """Refuse ``plan.jacobian`` where the problem has no derivative; builds the model for it.

    Raises:
        CapabilityError: neither JVP nor VJP is offered.
    """
    if plan.jacobian == 0:
        return
    model = WhitenedModel(problem.prior(), problem.forward_model(plan.sensors, plan.level))
    if not DERIVATIVES & model.capabilities:
        raise CapabilityError(
            f"--jacobian needs the derivative of problem '{plan.problem}', which it does not offer "
            "for this unknown; leave --jacobian out"
        )


def actions(at: Linearization, probes: Array, n_obs: int, offered: frozenset[Capability]) -> Array:
    """J v for each row v of ``probes``, shape (k, n_obs), by whichever solves are fewer.

    Args:
        at: the derivative J; its first ``n_obs`` rows are those of the sensors.
        probes: shape (k, dim).
        n_obs: how many rows are wanted.
        offered: JVP, VJP or both.
    """
    by_rows = Capability.JVP not in offered or n_obs < len(probes)
    if by_rows and Capability.VJP in offered:
        rows = np.stack([at.vjp(w) for w in np.eye(n_obs, len(at.value))])
        return np.asarray(probes @ rows.T)
    return np.stack([at.jvp(v)[:n_obs] for v in probes])


class BatchSolver:
    """One process's model: sensors and grid nodes in one set of places."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        problem = make_problem(plan.problem, plan.problem_config)
        self.prior = problem.prior()
        self.n_obs = len(next(iter(plan.sensors.values())))
        places, self.to_grid = _places(problem, plan)
        self.model: ForwardModel = WhitenedModel(
            self.prior, problem.forward_model(places, plan.level)
        )

    def solve(self, k: int) -> Samples:
        """The samples of batch ``k``."""
        plan, dim, rows = self.plan, self.prior.dim, self.plan.batch(k)
        xi = np.stack([plan.draw(i, dim) for i in rows])
        m = self.prior.unwhiten(xi)
        values = np.full((len(xi), self.model.d_space.size), np.nan)
        tangents = np.full((len(xi), min(plan.jacobian, dim), self.n_obs), np.nan)
        failures = [""] * len(xi)
        for j, i in enumerate(rows):
            try:
                values[j], tangents[j] = self._checked(xi[j], i)
            except SolverDiverged as error:
                failures[j] = reason(error)
        on_grid = plan.grid is not None
        shape = (len(xi), *(plan.grid or ()))
        return Samples(
            xi,
            m,
            values[:, : self.n_obs],
            tuple(failures),
            np.asarray((self.to_grid @ m.T).T).reshape(shape) if on_grid else None,
            values[:, self.n_obs :].reshape(shape) if on_grid else None,
            self._probes(rows) if plan.jacobian else None,
            tangents if plan.jacobian else None,
        )

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
            raise SolverDiverged("the solve gave values that are not finite")
        return value, tangent


def _places(problem: Problem, plan: Plan) -> tuple[Sensors, Any]:
    if plan.grid is None:
        return plan.sensors, None
    nodes = problem.grid(plan.grid)
    both = {c: np.concatenate([plan.sensors[c], nodes[c]]) for c in plan.sensors}
    return both, problem.grid_operator(plan.grid)
