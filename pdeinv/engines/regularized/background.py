"""The constants that fit the data best, from which a reconstruction departs.

min Φ(p_0 + Σ_k c_k 1_k) + ½ Σ_k (c_k / s_k)² over one constant c_k for each field of the
unknown, by Gauss-Newton. s is wide: it only holds a constant that the data do not see.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pdeinv.bayes.noise import Noise
from pdeinv.bayes.point import PosteriorPoint
from pdeinv.bayes.posterior import Posterior
from pdeinv.engines.line_search import backtrack
from pdeinv.engines.regularized.differences import has_places
from pdeinv.engines.regularized.parametrization import Parametrization
from pdeinv.engines.requests import Linearize, Steps
from pdeinv.errors import SolverDiverged
from pdeinv.typing import Array

__all__ = ["fitted_background"]

STEPS = 20
"""Most steps; each is a linearization and a tangent for each variable."""
SETTLED = 1e-3
"""A step that promises less, relative to the objective, is the last."""
WIDE, DRAWS = 3.0, 8
"""s is this many typical departures of so many prior draws from the prior's map at ξ = 0."""


def fitted_background(
    posterior: Posterior, noise: Noise, at: Parametrization, rng: np.random.Generator
) -> Steps[Array]:
    """The reference of ``at``, moved by one constant for each field, where it can be solved.

    Numbers without a place (contact impedances) have no background and stay; ``noise`` is that of
    the Φ that is asked for.
    """
    variables = _variables(posterior)
    if not variables.size:
        return at.reference
    widths = _widths(at, variables, rng)
    c = np.zeros(len(widths))
    for _ in range(STEPS):
        try:
            step, objective, slope = yield from _step(posterior, noise, at, variables, (c, widths))
        except SolverDiverged:
            break
        if -slope <= SETTLED * objective:
            break

        def value_at(t: float, c: Array = c, step: Array = step) -> Steps[float]:
            moved = c + t * step
            misfit = yield from at.misfit(at.reference + variables @ moved, trial=True)
            return misfit + 0.5 * float(np.sum((moved / widths) ** 2))

        found = yield from backtrack(value_at, objective, slope)
        c = c + found.t * step
        if found.t == 0:
            break
    return np.asarray(at.reference + variables @ c)


def _variables(posterior: Posterior) -> Array:
    """1 where an entry of m (rows) belongs to a field (columns)."""
    variables = posterior.prior.space.variables
    which = np.repeat(np.eye(len(variables)), [v.size for v in variables], axis=0)
    return which[:, [has_places(v) for v in variables]]


def _widths(at: Parametrization, variables: Array, rng: np.random.Generator) -> Array:
    """s of each variable."""
    draws = [at.place(rng.standard_normal(at.prior.dim)) for _ in range(DRAWS)]
    squares = np.mean([(p - at.reference) ** 2 for p in draws], axis=0)
    found = WIDE * np.sqrt(squares @ variables / variables.sum(axis=0))
    return np.where(np.isfinite(found) & (found > 0), found, 1.0)


def _step(
    posterior: Posterior,
    noise: Noise,
    at: Parametrization,
    variables: Array,
    where: tuple[Array, Array],
) -> Steps[tuple[Array, float, float]]:
    """The Gauss-Newton step in c, the objective and its derivative along the step."""
    c, widths = where
    p = at.reference + variables @ c
    found: PosteriorPoint = yield Linearize(at.argument(p), at.level)
    r = noise.whiten(found.prediction - posterior.data)
    columns: list[Any] = [found.jvp(at.slope(p) * v) for v in variables.T]
    a = noise.whiten(np.array(columns)).T
    gradient = a.T @ r + c / widths**2
    step = -np.linalg.solve(a.T @ a + np.diag(widths**-2.0), gradient)
    objective = found.misfit + 0.5 * float(np.sum((c / widths) ** 2))
    return step, objective, float(gradient @ step)
