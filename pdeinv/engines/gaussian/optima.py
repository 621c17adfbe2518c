"""Distinct minima of J = Φ + R, found by searches from prior draws, and the mass about each.

Two minima are one where the straight line between them shows no barrier that would hold a Markov
chain back, or where they lie within one standard deviation of one another. The mass about a minimum
is the Laplace evidence, log ∫ exp(-Φ) N(dξ; 0, I) ≈ -J - ½ Σ ln(1 + λ_i), λ the eigenvalues of the
Gauss-Newton Hessian of Φ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pdeinv.bayes.posterior import Posterior
from pdeinv.bayes.prior import cost
from pdeinv.engines.gaussian.approximation import (
    RANK,
    LaplaceApproximation,
    gaussian_approximation,
)
from pdeinv.engines.gaussian.curvature import ESCAPES, Stationary, lower_point
from pdeinv.engines.gaussian.minimize import Minimum, OptimizerConfig, first_minimum, improved
from pdeinv.engines.requests import Misfit, Steps
from pdeinv.engines.solvable import in_reach, unwatched
from pdeinv.errors import RunFailed, SolverDiverged
from pdeinv.rng import set_aside
from pdeinv.typing import Array

__all__ = ["FEW", "Optima", "Optimum", "found_optima", "masses", "optimum_at", "same_as"]

FEW = 20
"""Up to so many unknowns searches are cheap, and engines make more of them."""

BARRIER = 2.0
"""A rise of J on the line between two points, above the higher end, that a chain hardly notices."""

ON_THE_LINE = 7
"""Points of the line that are solved for."""

LEVEL = 5.0
"""A search is compared with a known minimum once its J is within dim / 2 and so much of that."""

LOOK = 5
"""Iterations of a search between two such comparisons."""

SEARCH = OptimizerConfig.model_validate(
    {"method": "lbfgs", "tolerance": 1e-5, "max_iterations": 150}
)
POLISH = OptimizerConfig.model_validate({"max_iterations": 50})
"""A search, whose iterations cost a gradient each, and its end where it found something new."""


@dataclass(frozen=True)
class Optimum:
    """A minimum of J with the Gaussian about it.

    Attributes:
        objective: J there.
        laplace: the Gaussian, whose mean is the minimum.
        hits: how many searches ended there.
    """

    objective: float
    laplace: LaplaceApproximation
    hits: int = 1

    @property
    def xi(self) -> Array:
        """Where it is, shape (dim,)."""
        return self.laplace.mean

    @property
    def log_evidence(self) -> float:
        """-J - ½ ln det(I + H)."""
        return -self.objective - 0.5 * float(np.sum(np.log1p(self.laplace.eigenvalues)))


@dataclass(frozen=True)
class Optima:
    """Minima as arrays, for a checkpoint; short spectra end in zeros.

    Attributes:
        xi: shape (k, dim).
        objective: J, shape (k,).
        eigenvalues: of the Hessian of Φ, shape (k, r).
        vectors: shape (k, dim, r).
        residual: what is known to be left out of each spectrum, shape (k,).
        hits: how many searches ended there, shape (k,).
    """

    xi: Array
    objective: Array
    eigenvalues: Array
    vectors: Array
    residual: Array
    hits: Array

    @classmethod
    def of(cls, optima: Sequence[Optimum], dim: int) -> Optima:
        """Any number of minima in ``dim`` dimensions."""
        k, r = len(optima), max((len(o.laplace.eigenvalues) for o in optima), default=0)
        eigenvalues, vectors = np.zeros((k, r)), np.zeros((k, dim, r))
        for i, o in enumerate(optima):
            n = len(o.laplace.eigenvalues)
            eigenvalues[i, :n], vectors[i, :, :n] = o.laplace.eigenvalues, o.laplace.vectors
        return cls(
            np.array([o.xi for o in optima]).reshape(k, dim),
            np.array([o.objective for o in optima]),
            eigenvalues,
            vectors,
            np.array([o.laplace.residual for o in optima]),
            np.array([o.hits for o in optima], dtype=int),
        )

    def listed(self) -> list[Optimum]:
        """One by one."""
        found = []
        for i, xi in enumerate(self.xi):
            known = self.eigenvalues[i] > 0
            values, vectors = self.eigenvalues[i][known], self.vectors[i][:, known]
            laplace = LaplaceApproximation(xi, values, vectors, float(self.residual[i]))
            found.append(Optimum(float(self.objective[i]), laplace, int(self.hits[i])))
        return found


def masses(log_evidences: Sequence[float]) -> Array:
    """The share of each minimum in the mass of all."""
    logs = np.asarray(log_evidences)
    weights = np.exp(logs - logs.max())
    return np.asarray(weights / weights.sum())


def optimum_at(
    posterior: Posterior, xi: Array, objective: float, rng: np.random.Generator
) -> Steps[Optimum]:
    """The minimum at ``xi`` with its Gaussian.

    Raises:
        SolverDiverged: the linearization there failed.
    """
    return Optimum(objective, (yield from gaussian_approximation(posterior, xi, RANK, rng)))


def same_as(xi: Array, objective: float, known: Sequence[Optimum]) -> Steps[int | None]:
    """Which known minimum a chain would reach from ``xi`` without a barrier; None where none.

    Args:
        xi: where a search is.
        objective: J there.
        known: minima.
    """
    for k, one in enumerate(known):
        off = xi - one.xi
        if float(off @ one.laplace.precision(off)) <= 1.0:
            return k
    for k, one in enumerate(known):
        if abs(objective - one.objective) > LEVEL + len(xi) / 2:
            continue
        rise = yield from _rise(xi, one.xi)
        if rise <= max(objective, one.objective) + BARRIER:
            return k
    return None


def _rise(start: Array, end: Array) -> Steps[float]:
    """The largest J on the line between two points; infinite where a solve fails."""
    t = np.arange(1, ON_THE_LINE + 1)[:, None] / (ON_THE_LINE + 1)
    xis = start + t * (end - start)
    return float(np.max((yield Misfit(xis)) + cost(xis)))


def found_optima(
    posterior: Posterior,
    n: int,
    rng: np.random.Generator,
    known: Sequence[Optimum] = (),
    start: Array | None = None,
) -> Steps[list[Optimum]]:
    """The known minima and those that ``n`` searches from prior draws add, each with its hits.

    A search ends as soon as nothing lies between it and a known minimum. One that fails or does not
    converge adds nothing.

    Args:
        posterior: a model with derivatives.
        n: how many searches.
        rng: for the starts.
        known: what there is already, in its order.
        start: where the searches start instead.
    """
    optima = list(known)
    for _ in range(n):
        try:
            with unwatched(posterior):
                found = yield from _search(posterior, optima, rng, start)
        except (RunFailed, SolverDiverged):
            continue
        if isinstance(found, int):
            optima[found] = replace(optima[found], hits=optima[found].hits + 1)
        elif found is not None:
            optima.append(found)
    return optima


def _search(
    posterior: Posterior,
    known: Sequence[Optimum],
    rng: np.random.Generator,
    start: Array | None,
) -> Steps[int | Optimum | None]:
    """The number of the known minimum that a search leads to, a new one, or None."""
    state = yield from first_minimum(posterior, SEARCH, rng, start, from_prior=True)
    for _ in range(1 + ESCAPES):
        found = yield from _descended(posterior, known, state, rng)
        if not isinstance(found, Optimum):
            return found
        at = Stationary(found.xi, found.objective, found.laplace.root)
        lower = yield from lower_point(at, set_aside(rng))
        if lower is None:
            return found
        state = yield from first_minimum(posterior, SEARCH, rng, lower)
    return None


def _descended(
    posterior: Posterior, known: Sequence[Optimum], state: Minimum, rng: np.random.Generator
) -> Steps[int | Optimum | None]:
    """The same, where a point whose gradient vanishes counts as a minimum."""
    while state.on(SEARCH):
        state = yield from improved(state, SEARCH)
        if state.n % LOOK == 0:
            met = yield from same_as(state.xi, state.objective, known)
            if met is not None:
                return met
    state = yield from _polished(posterior, state, rng)
    if not state.ended.converged or not in_reach(posterior, state.xi):
        return None
    met = yield from same_as(state.xi, state.objective, known)
    return (
        (yield from optimum_at(posterior, state.xi, state.objective, rng)) if met is None else met
    )


def _polished(posterior: Posterior, state: Minimum, rng: np.random.Generator) -> Steps[Minimum]:
    """The end of a search brought to the tolerance of all other minima."""
    state = yield from first_minimum(posterior, POLISH, rng, state.xi)
    while state.on(POLISH):
        state = yield from improved(state, POLISH)
    return state
