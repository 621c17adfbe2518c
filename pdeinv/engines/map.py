"""The maximum a posteriori point in whitened coordinates, by Gauss-Newton-CG or L-BFGS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self

import numpy as np
import xarray as xr
from pydantic import Field, model_validator

from pdeinv.bayes.posterior import Posterior
from pdeinv.bayes.prior import cost
from pdeinv.config import Config
from pdeinv.engines import lbfgs, newton_cg
from pdeinv.engines.base import Chain, Outcome, Produces, first_point
from pdeinv.errors import SolverDiverged
from pdeinv.models import Capability
from pdeinv.typing import Array

__all__ = ["Map", "MapConfig", "MapState", "OptimizerConfig", "describe", "find_map", "optimize"]

RUNNING, CONVERGED, STALLED = 0, 1, 2
REACH = 10.0
"""A step is cut to this many times sqrt(dim), the norm of a typical prior draw."""


class OptimizerConfig(Config):
    """Options of every engine that starts from a maximum a posteriori point."""

    method: Literal["newton-cg", "lbfgs"] = Field(
        "newton-cg", description="inexact Gauss-Newton-CG, or limited-memory BFGS"
    )
    max_iterations: int = Field(200, ge=1, description="largest number of outer iterations")
    tolerance: float = Field(
        1e-6, gt=0, lt=1, description="stop when the gradient has shrunk to this share of the first"
    )
    cg_iterations: int = Field(200, ge=1, description="most CG iterations in one outer iteration")
    memory: int = Field(20, ge=1, description="pairs that L-BFGS remembers")
    start: Literal["mean", "prior"] | None = Field(
        None, description="start from the prior mean or a prior draw; unset: the mean for one start"
    )


class MapConfig(OptimizerConfig):
    """Options of ``map``."""

    starts: int = Field(1, ge=1, description="independent starts; the best one wins")

    @model_validator(mode="after")
    def _distinct_starts(self) -> Self:
        if self.starts > 1 and self.start == "mean":
            raise ValueError(
                "several starts from the prior mean are all the same; use start = 'prior'"
            )
        return self


@dataclass(frozen=True)
class MapState:
    """Where the minimisation of J = Φ + R stands.

    ``gradient_norm`` belongs to the last point that was linearised; Gauss-Newton-CG has no memory.
    """

    xi: Array
    objective: float
    misfit: float
    gradient: Array
    gradient_norm: float
    first_norm: float
    forcing: float
    n: int
    status: int
    s: Array
    y: Array
    n_pairs: int


def start_state(
    posterior: Posterior,
    config: OptimizerConfig,
    rng: np.random.Generator,
    *,
    from_prior: bool,
    xi0: Array | None = None,
) -> MapState:
    """The state at ``xi0``, else at 0 or a prior draw; another draw where that solve fails."""
    if xi0 is None:
        xi0 = rng.standard_normal(posterior.dim) if from_prior else np.zeros(posterior.dim)
    xi, misfit = first_point(posterior, rng, xi0)
    memory = config.memory if config.method == "lbfgs" else 0
    pairs = np.zeros((memory, posterior.dim))
    objective, gradient = misfit + float(cost(xi)), np.zeros(posterior.dim)
    state = MapState(
        xi, objective, misfit, gradient, 0.0, 0.0, 0.5, 0, RUNNING, pairs, pairs.copy(), 0
    )
    if config.method == "newton-cg":
        return state
    at = posterior.linearize(xi)
    norm = float(np.linalg.norm(at.gradient))
    status = RUNNING if norm else CONVERGED  # nothing to divide by: the start is the minimum
    return replace(state, gradient=at.gradient, gradient_norm=norm, first_norm=norm, status=status)


def optimize[S: MapState](posterior: Posterior, state: S, config: OptimizerConfig) -> S:
    """One outer iteration of the configured method."""
    step = _newton_step if config.method == "newton-cg" else _lbfgs_step
    return step(posterior, state, config)


def _moved[S: MapState](state: S, xi: Array, objective: float) -> S:
    return replace(
        state, xi=xi, objective=objective, misfit=objective - float(cost(xi)), n=state.n + 1
    )


def _cut(direction: Array) -> Array:
    """The direction, no longer than ``REACH`` typical prior draws."""
    reach = REACH * np.sqrt(direction.size)
    return np.asarray(direction * min(1.0, reach / float(np.linalg.norm(direction))))


def _ended(slope: float, objective: float) -> int:
    """What a search without success means: nothing left to gain but rounding, or a real stall."""
    return CONVERGED if abs(slope) <= 1e-10 * max(1.0, abs(objective)) else STALLED


def _newton_step[S: MapState](posterior: Posterior, state: S, config: OptimizerConfig) -> S:
    """(I + J^T Γ^(-1) J) p = -g, solved inexactly, then Armijo backtracking along p."""
    try:
        at = posterior.linearize(state.xi)
    except SolverDiverged:
        return replace(state, status=STALLED)
    norm = float(np.linalg.norm(at.gradient))
    first = state.first_norm or norm
    eta = newton_cg.forcing(norm, state.gradient_norm, state.forcing)
    state = replace(state, gradient=at.gradient, gradient_norm=norm, first_norm=first, forcing=eta)
    if norm <= config.tolerance * first:
        return replace(state, status=CONVERGED)
    p, _ = newton_cg.conjugate_gradient(
        lambda v: v + at.gauss_newton(v), -at.gradient, eta * norm, config.cg_iterations
    )
    p = _cut(p)
    slope = float(at.gradient @ p)
    t, objective = newton_cg.backtrack(
        lambda t: float(posterior.neg_log_posterior(state.xi + t * p)), at.neg_log_posterior, slope
    )
    if t == 0:
        return replace(state, status=_ended(slope, objective))
    return _moved(state, state.xi + t * p, objective)


def _lbfgs_step[S: MapState](posterior: Posterior, state: S, config: OptimizerConfig) -> S:
    """A quasi-Newton direction, then a weak Wolfe search that linearises every trial point."""
    start = lbfgs.Point(state.xi, state.objective, state.gradient)

    def point_at(t: float) -> lbfgs.Point:
        x = state.xi + t * direction
        try:
            at = posterior.linearize(x)
        except SolverDiverged:
            return lbfgs.Point(x, np.inf, start.gradient)
        value = at.neg_log_posterior
        return lbfgs.Point(x, value if np.isfinite(value) else np.inf, at.gradient)

    direction = _cut(lbfgs.descent_direction(state.gradient, state.s, state.y, state.n_pairs))
    first = 1.0 if state.n_pairs else min(1.0, 1.0 / float(np.linalg.norm(direction)))
    new = lbfgs.wolfe_search(point_at, start, direction, first)
    if new is start:
        slope = float(state.gradient @ direction)
        return replace(state, status=_ended(slope, state.objective))
    s, y, n_pairs = lbfgs.remember(
        state.s, state.y, state.n_pairs, new.x - state.xi, new.gradient - state.gradient
    )
    norm = float(np.linalg.norm(new.gradient))
    return replace(
        _moved(state, new.x, new.value),
        gradient=new.gradient,
        gradient_norm=norm,
        status=CONVERGED if norm <= config.tolerance * state.first_norm else RUNNING,
        s=s,
        y=y,
        n_pairs=n_pairs,
    )


def find_map(
    posterior: Posterior,
    rng: np.random.Generator,
    config: OptimizerConfig | None = None,
    xi0: Array | None = None,
) -> Array:
    """The point where the minimisation from ``xi0`` ends, (dim,), for all that starts from it.

    Raises:
        RunFailed: no starting point could be solved.
        SolverDiverged: the first linearisation failed.
    """
    config = config or OptimizerConfig.model_validate({})
    state = start_state(posterior, config, rng, from_prior=config.start == "prior", xi0=xi0)
    while state.status == RUNNING and state.n < config.max_iterations:
        state = optimize(posterior, state, config)
    return state.xi


def describe(state: MapState, method: str, n_data: int) -> str:
    """One sentence on how the minimisation ended."""
    how = {
        RUNNING: "stopped at the largest number of iterations",
        CONVERGED: "converged",
        STALLED: "stalled, no step lowers the objective ('pdeinv check' tests the derivatives),",
    }[state.status]
    drop = state.gradient_norm / state.first_norm if state.first_norm else 1.0
    return (
        f"{method} {how} after {state.n} iterations, gradient reduced to {drop:.1e} of the first, "
        f"misfit {state.misfit:.4g} for {n_data} data (half the number of data is expected)"
    )


class Map:
    """argmin Φ(xi) + ½ ‖xi‖², one outer iteration per step.

    The point of highest density in xi. It depends on the coordinates: under a nonlinear transform
    it is not the mode of m. Reference: Nocedal and Wright (2006, §7.1, §7.2).
    """

    name: ClassVar[str] = "map"
    produces: ClassVar[Produces] = "point"
    requires: ClassVar[frozenset[Capability]] = frozenset({Capability.JVP, Capability.VJP})
    Config: ClassVar[type[Config]] = MapConfig

    def __init__(self, config: MapConfig) -> None:
        self.config = config

    @property
    def n_chains(self) -> int:
        """One per start."""
        return self.config.starts

    @property
    def n_steps(self) -> int:
        """As configured."""
        return self.config.max_iterations

    def init(self, posterior: Posterior, rng: np.random.Generator) -> MapState:
        """The prior mean for one start, prior draws for several."""
        several = self.config.starts > 1
        from_prior = self.config.start == "prior" or (self.config.start is None and several)
        return start_state(posterior, self.config, rng, from_prior=from_prior)

    def step(self, posterior: Posterior, state: MapState, rng: np.random.Generator) -> MapState:
        """One outer iteration."""
        return optimize(posterior, state, self.config)

    def record(self, state: MapState, step: int) -> Mapping[str, Any] | None:
        """The course of the minimisation."""
        return {"objective": state.objective, "gradient_norm": state.gradient_norm}

    def finished(self, state: MapState) -> bool:
        """Converged or stalled."""
        return state.status != RUNNING

    def finalize(
        self, posterior: Posterior, chains: Sequence[Chain], rng: np.random.Generator
    ) -> Outcome:
        """The best of the starts; all of them in the group ``starts``."""
        best: MapState = min((c.state for c in chains), key=lambda s: s.objective)
        return Outcome(
            xi=best.xi[None, None, :],
            stats={"misfit": np.array([[best.misfit]]), "lp": np.array([[-best.objective]])},
            converged=best.status == CONVERGED,
            message=describe(best, self.config.method, posterior.n_data),
            summary=point_summary(best, posterior.n_data),
            groups={"starts": _starts(chains)},
        )


def point_summary(state: MapState, n_data: int) -> dict[str, float]:
    """The numbers that describe a minimisation."""
    return {
        "iterations": float(state.n),
        "misfit": state.misfit,
        "misfit_per_datum": state.misfit / n_data,
        "gradient_norm": state.gradient_norm,
    }


def _starts(chains: Sequence[Chain]) -> xr.Dataset:
    states: list[MapState] = [c.state for c in chains]
    longest = max(len(c.records.get("objective", ())) for c in chains)
    course = np.full((len(chains), longest), np.nan)
    for row, chain in zip(course, chains, strict=True):
        values = chain.records.get("objective", np.zeros(0))
        row[: len(values)] = values
    return xr.Dataset(
        {
            "xi": (("start", "xi_dim"), np.stack([s.xi for s in states])),
            "objective": ("start", [s.objective for s in states]),
            "misfit": ("start", [s.misfit for s in states]),
            "gradient_norm": ("start", [s.gradient_norm for s in states]),
            "iterations": ("start", [s.n for s in states]),
            "converged": ("start", [int(s.status == CONVERGED) for s in states]),
            "objective_course": (("start", "iteration"), course),
        }
    )
