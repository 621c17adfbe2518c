"""The minimum of J = Φ + R in whitened coordinates, by Gauss-Newton-CG or L-BFGS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from pydantic import Field

from pdeinv.bayes.likelihood import LikelihoodKind
from pdeinv.bayes.posterior import Posterior, PosteriorPoint
from pdeinv.bayes.prior import cost
from pdeinv.config import Config
from pdeinv.engines.ended import Ended
from pdeinv.engines.gaussian import newton_cg
from pdeinv.engines.gaussian.curvature import ESCAPES, Stationary, lower_point
from pdeinv.engines.gaussian.lbfgs import Memory
from pdeinv.engines.learned_start import estimated_start
from pdeinv.engines.line_search import Point, backtrack, wolfe_search
from pdeinv.engines.requests import Curvature, Linearize, Misfit, Steps
from pdeinv.engines.solvable import Place, first_linearized, first_point, trained_start
from pdeinv.errors import SolverDiverged
from pdeinv.rng import set_aside
from pdeinv.typing import Array

__all__ = [
    "Minimum",
    "OptimizerConfig",
    "find_map",
    "first_minimum",
    "improved",
    "off_saddle",
]

CLOSE = 0.1
"""A minimum is reached within so many posterior standard deviations: the Gauss-Newton Hessian has
no eigenvalue below 1, hence ‖g‖ bounds that distance, whatever share of the first gradient g is."""

ROUNDING = 1e-20
"""A squared distance, in the same units, that only rounding makes: a start at the very minimum."""

REACH = 10.0
"""A step is cut to this many times sqrt(dim), the norm of a typical prior draw."""


class OptimizerConfig(Config):
    """Options of every engine that starts from a maximum a posteriori point."""

    method: Literal["newton-cg", "lbfgs"] | None = Field(
        None,
        description="newton-cg (inexact Gauss-Newton-CG) or lbfgs (limited-memory BFGS); unset: "
        "the first about additive noise, else the second, since the Fisher information of 0/1 data "
        "vanishes where they are wrong",
    )
    max_iterations: int = Field(200, ge=1, description="largest number of outer iterations")
    tolerance: float = Field(
        1e-6, gt=0, lt=1, description="stop when the gradient has shrunk to this share of the first"
    )
    cg_iterations: int = Field(200, ge=1, description="most CG iterations in one outer iteration")
    memory: int = Field(20, ge=1, description="pairs that L-BFGS remembers")
    start: Literal["mean", "prior"] | None = Field(
        None,
        description="where the first search starts: the prior mean or a prior draw; unset: the "
        "estimate of a learned inverse where one is given, else the prior mean",
    )


@dataclass(frozen=True)
class Minimum:
    """Where the minimization of J stands.

    ``gradient_norm`` belongs to the last point that was linearized; Gauss-Newton-CG has no memory.
    ``saddles`` counts the saddle points that were left.
    """

    xi: Array
    objective: float
    misfit: float
    gradient: Array
    memory: Memory
    gradient_norm: float = 0.0
    first_norm: float = 0.0
    forcing: float = 0.5
    n: int = 0
    ended: Ended = Ended.RUNNING
    saddles: int = 0

    @classmethod
    def nothing(cls, dim: int) -> Minimum:
        """Before there is a start."""
        none = np.zeros(dim)
        return cls(none, np.inf, np.inf, none, Memory.empty(0, dim))

    @property
    def quasi(self) -> bool:
        """Whether the method is L-BFGS, which alone has room for a memory."""
        return len(self.memory.s) > 0

    def on(self, config: OptimizerConfig) -> bool:
        """Whether another iteration is due."""
        return self.ended is Ended.RUNNING and self.n < config.max_iterations

    def moved(self, xi: Array, objective: float) -> Minimum:
        """The next iterate."""
        misfit = objective - float(cost(xi))
        return replace(self, xi=xi, objective=objective, misfit=misfit, n=self.n + 1)

    def without_success(self, slope: float, objective: float) -> Minimum:
        """What a search without success means: only rounding left to gain, or a real stall."""
        least = abs(slope) <= 1e-10 * max(1.0, abs(objective))
        return replace(self, ended=Ended.CONVERGED if least else Ended.STALLED)

    def message(self, config: OptimizerConfig, on: Posterior) -> str:
        """One sentence on how it ended."""
        drop = self.gradient_norm / self.first_norm if self.first_norm else 1.0
        ended = self.ended.unless_cut(self.n, config.max_iterations)
        left = f", left {self.saddles} saddle point{'s'[self.saddles == 1 :]}" * (self.saddles > 0)
        method = "lbfgs" if self.quasi else "newton-cg"
        return ended.sentence(
            f"{method} {ended.words} after {self.n} iterations, gradient reduced to {drop:.1e} "
            f"of the first, misfit {self.misfit:.4g} for {on.n_data} data "
            f"({on.likelihood.expectation}){left}"
        )

    def summary(self, counting: float) -> dict[str, float]:
        """The numbers that describe it; ``counting`` of the data do."""
        return {
            "iterations": float(self.n),
            "misfit": self.misfit,
            "misfit_per_datum": self.misfit / counting,
            "gradient_norm": self.gradient_norm,
        }


def first_minimum(
    posterior: Posterior,
    config: OptimizerConfig,
    rng: np.random.Generator,
    xi0: Array | None = None,
    *,
    from_prior: bool | None = None,
) -> Steps[Minimum]:
    """At ``xi0``, else as configured, moved into the range of a learned model.

    Where that solve fails it is another draw.

    L-BFGS needs the gradient there too.

    Raises:
        RunFailed: no starting point could be solved.
    """
    if xi0 is None:
        start = config.start if from_prior is None else ("prior" if from_prior else "mean")
        xi0 = _started(posterior, start, rng)
    additive = posterior.likelihood.kind is LikelihoodKind.GAUSSIAN
    if (config.method or ("newton-cg" if additive else "lbfgs")) == "newton-cg":
        return _begun((yield from first_point(rng, xi0)), 0)
    return (
        yield from first_linearized(rng, xi0, lambda p: _with_gradient(_begun(p, config.memory)))
    )


def _started(
    posterior: Posterior, start: Literal["mean", "prior"] | None, rng: np.random.Generator
) -> Array:
    """The prior mean or a draw; where neither is asked for, what a learned inverse says."""
    drawn = rng.standard_normal(posterior.dim) if start == "prior" else np.zeros(posterior.dim)
    usual = trained_start(posterior, drawn)
    return estimated_start(posterior, usual) if start is None else usual


def _begun(place: Place, memory: int) -> Minimum:
    dim, objective = len(place.xi), place.misfit + float(cost(place.xi))
    return Minimum(place.xi, objective, place.misfit, np.zeros(dim), Memory.empty(memory, dim))


def _with_gradient(state: Minimum) -> Steps[Minimum]:
    at: PosteriorPoint = yield Linearize(state.xi)
    norm = float(np.linalg.norm(at.gradient))
    # where the gradient is zero there is nothing to divide by: the start is the minimum
    ended = Ended.RUNNING if norm else Ended.CONVERGED
    return replace(state, gradient=at.gradient, gradient_norm=norm, first_norm=norm, ended=ended)


def off_saddle(
    posterior: Posterior,
    state: Minimum,
    config: OptimizerConfig,
    root: Callable[[Array], Array],
    rng: np.random.Generator,
) -> Steps[Minimum]:
    """The same where J has a minimum there; else on the way down, or given up.

    Args:
        posterior: of J.
        state: converged.
        config: how it goes on.
        root: C^(1/2) of the Gaussian about it.
        rng: left where it is.
    """
    at = Stationary(state.xi, state.objective, root)
    lower = yield from lower_point(at, set_aside(rng))
    if lower is None:
        return state
    saddles = state.saddles + 1
    if saddles > ESCAPES:
        return replace(state, ended=Ended.SADDLE)
    new = yield from first_minimum(posterior, config, rng, lower)
    return replace(new, first_norm=state.first_norm, n=state.n, saddles=saddles)


def improved(state: Minimum, config: OptimizerConfig) -> Steps[Minimum]:
    """One outer iteration of the configured method."""
    return (yield from (_lbfgs_step if state.quasi else _newton_step)(state, config))


def _cut(direction: Array) -> Array:
    """The direction, no longer than ``REACH`` typical prior draws."""
    reach = REACH * np.sqrt(direction.size)
    return np.asarray(direction * min(1.0, reach / float(np.linalg.norm(direction))))


def _newton_step(state: Minimum, config: OptimizerConfig) -> Steps[Minimum]:
    """(I + J^T Γ^(-1) J) p = -g, solved inexactly, then Armijo backtracking along p."""
    try:
        at: PosteriorPoint = yield Linearize(state.xi)
    except SolverDiverged:
        return replace(state, ended=Ended.STALLED)
    norm = float(np.linalg.norm(at.gradient))
    first = state.first_norm or norm
    eta = newton_cg.forcing(norm, state.gradient_norm, state.forcing)
    state = replace(state, gradient=at.gradient, gradient_norm=norm, first_norm=first, forcing=eta)
    small = norm <= config.tolerance * first
    if small and norm <= CLOSE:
        return replace(state, ended=Ended.CONVERGED)

    def hessian(v: Array) -> Steps[Array]:
        images: Array = yield Curvature(state.xi, at=at, directions=v[None])
        return np.asarray(v + images[0])

    p, _ = yield from newton_cg.conjugate_gradient(
        hessian, -at.gradient, eta * norm, config.cg_iterations
    )
    p = _cut(p)
    slope = float(at.gradient @ p)  # minus the squared distance to the minimum
    if (small and -slope <= CLOSE**2) or -slope <= ROUNDING:
        return replace(state, ended=Ended.CONVERGED)

    def objective(t: float) -> Steps[float]:
        xi = state.xi + t * p
        return float((yield Misfit(xi)) + cost(xi))

    found = yield from backtrack(objective, at.neg_log_posterior, slope)
    if found.t == 0:
        return state.without_success(slope, found.value)
    return state.moved(state.xi + found.t * p, found.value)


def _lbfgs_step(state: Minimum, config: OptimizerConfig) -> Steps[Minimum]:
    """A quasi-Newton direction, then a weak Wolfe search that linearizes every trial point."""
    start = Point(state.xi, state.objective, state.gradient)
    direction = _cut(state.memory.descent_direction(state.gradient))

    def point_at(t: float) -> Steps[Point]:
        x = state.xi + t * direction
        try:
            at: PosteriorPoint = yield Linearize(x)
        except SolverDiverged:
            return Point(x, np.inf, start.gradient)
        value = at.neg_log_posterior
        return Point(x, value if np.isfinite(value) else np.inf, at.gradient)

    length = float(np.linalg.norm(direction))
    first = 1.0 if state.memory.n_pairs else min(1.0, 1.0 / length)
    new = yield from wolfe_search(point_at, start, direction, first)
    if new is start:
        return state.without_success(float(state.gradient @ direction), state.objective)
    norm = float(np.linalg.norm(new.gradient))
    return replace(
        state.moved(new.x, new.value),
        gradient=new.gradient,
        gradient_norm=norm,
        ended=Ended.CONVERGED if norm <= _target(state, config) else Ended.RUNNING,
        memory=state.memory.remember(new.x - state.xi, new.gradient - state.gradient),
    )


def _target(state: Minimum, config: OptimizerConfig) -> float:
    """The norm of the gradient to reach."""
    return min(CLOSE, config.tolerance * state.first_norm)


def find_map(
    posterior: Posterior,
    rng: np.random.Generator,
    config: OptimizerConfig | None = None,
    xi0: Array | None = None,
) -> Steps[Array]:
    """The point where the minimization from ``xi0`` ends, (dim,), for all that starts from it.

    Raises:
        RunFailed: no starting point could be solved.
    """
    config = config or OptimizerConfig.model_validate({})
    state = yield from first_minimum(posterior, config, rng, xi0)
    while state.on(config):
        state = yield from improved(state, config)
    return state.xi
