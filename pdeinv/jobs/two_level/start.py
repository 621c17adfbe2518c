"""Where the first training round is drawn: about the fine model's MAP points.

A posterior of the coarse model alone may lie many standard deviations away from the fine one, where
a mesh does not follow the cells of the unknown for instance; what is learned there says nothing
about the place that counts. Where the fine model has derivatives, its Laplace approximation is
there for a few solves, most of the way to the MAP point being gone with the coarse model. The
searches begin at independent prior draws, and at every mode of the coarse posterior that many more
searches of the coarse model find: no explorer leaves the reach of a surrogate later, so that a mode
without samples would never be seen. The derivative that they take also corrects the coarse model to
first order (:mod:`pdeinv.model.tangent`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pdeinv.bayes.posterior import Posterior
from pdeinv.engines.gaussian.approximation import (
    RANK,
    LaplaceApproximation,
    gaussian_approximation,
)
from pdeinv.engines.gaussian.minimize import OptimizerConfig, find_map
from pdeinv.engines.gaussian.optima import Optimum, found_optima
from pdeinv.engines.mcmc.modes import ManyModesConfig, Modes
from pdeinv.engines.requests import drive
from pdeinv.errors import RunFailed, SolverDiverged
from pdeinv.model.forward import DERIVATIVES, require
from pdeinv.model.tangent import Tangent
from pdeinv.typing import Array

__all__ = ["AtMap", "MapPoints", "at_the_maps", "can_start_at_map"]

ROUGH = OptimizerConfig.model_validate({"tolerance": 1e-2, "max_iterations": 20})
"""The search for the MAP point: the draws are wider than the posterior, so that near it will do."""

FROM_PRIOR = OptimizerConfig.model_validate({"start": "prior"})
"""The search on the coarse model."""

FULL = 200
"""Up to so many unknowns the whole derivative costs less than a sketch of the Hessian."""

NEAR = 0.25
"""Points are one where their squared distance in standard deviations is below this per unknown."""


def can_start_at_map(fine: Posterior) -> bool:
    """Whether the model has the derivatives that it takes."""
    return fine.model.capabilities >= DERIVATIVES


@dataclass(frozen=True)
class AtMap:
    """What the fine model says of one of its MAP points.

    Attributes:
        laplace: N(xi_map, (I + H)^(-1)), H the Gauss-Newton Hessian of the misfit.
        tangent: the model's linearization there, along the directions that H knows.
        height: Φ + R there.
    """

    laplace: LaplaceApproximation
    tangent: Tangent
    height: float

    def draws(self, n: int, inflation: float, rng: np.random.Generator) -> Array:
        """``n`` draws (n, dim) of the Laplace approximation for ``inflation`` times the noise."""
        wide = replace(self.laplace, eigenvalues=self.laplace.eigenvalues / inflation**2)
        return wide.sample(rng, n)

    def has(self, xi: Array) -> bool:
        """Whether a search that ended at ``xi`` found this point."""
        off = xi - self.laplace.mean
        return float(off @ self.laplace.precision(off)) < NEAR * max(4, len(xi))


@dataclass(frozen=True)
class MapPoints:
    """The different MAP points that searches from prior draws found, best first."""

    points: Sequence[AtMap]

    @property
    def tangent(self) -> Tangent:
        """The linearization at the best of them."""
        return self.points[0].tangent

    def draws(self, n: int, inflation: float, rng: np.random.Generator) -> Array:
        """``n`` draws (n, dim), shared evenly among the points."""
        shares = np.array_split(np.arange(n), len(self.points))
        parts = [p.draws(len(s), inflation, rng) for p, s in zip(self.points, shares, strict=True)]
        return np.concatenate(parts)


def at_the_maps(
    fine: Posterior,
    coarse: Posterior,
    rng: np.random.Generator,
    starts: int = 4,
    look: Callable[[], None] = lambda: None,
) -> MapPoints:
    """Search the fine MAP point from prior draws, and linearize where the searches ended.

    Args:
        fine: the posterior; its solves, tangents and adjoints are counted there.
        coarse: the same with a cheap model, which goes most of the way from each prior draw.
        rng: for the starts and the sketch of H.
        starts: how many searches; the coarse model's modes are looked for by more of them.
        look: called between the searches; raises where the training has to stop.

    Raises:
        CapabilityError: the fine model has no derivatives.
        RunFailed: no starting point could be solved.
        SolverDiverged: the linearization at the start or at the MAP point failed, each time.
    """
    require(fine.model, DERIVATIVES, "training with start = 'laplace'")
    found, lost = list[AtMap](), list[RunFailed | SolverDiverged]()
    own = [_coarse_map(coarse, rng) for _ in range(starts)]
    for begin in _distinct([*own, *_coarse_modes(coarse, starts, rng, look)]):
        look()
        try:
            xi = drive(fine, find_map(fine, rng, ROUGH, begin))
            if not any(p.has(xi) for p in found):
                found.append(_at(fine, xi, rng))
        except (RunFailed, SolverDiverged) as error:
            lost.append(error)
    if not found:
        raise lost[0]
    return MapPoints(sorted(found, key=lambda p: p.height))


def _distinct(points: Sequence[Array]) -> list[Array]:
    """Without those that lie where an earlier one does."""
    kept = list[Array]()
    for xi in points:
        if not any(np.sum((xi - other) ** 2) < 0.01 * len(xi) for other in kept):
            kept.append(xi)
    return kept


def _at(fine: Posterior, xi: Array, rng: np.random.Generator) -> AtMap:
    sketched = None
    if fine.dim > FULL:
        sketched = drive(fine, gaussian_approximation(fine, xi, RANK, rng))
    at = fine.linearize(xi)
    directions = np.eye(fine.dim) if sketched is None else sketched.vectors
    tangent = Tangent.along(directions, xi, at.prediction, at.jvp)
    return AtMap(sketched or _exact(fine, tangent), tangent, at.neg_log_posterior)


def _exact(fine: Posterior, tangent: Tangent) -> LaplaceApproximation:
    """The Laplace approximation from the whole derivative."""
    jacobian = fine.likelihood.fisher(tangent.value).whiten(tangent.images.T)
    values, vectors = np.linalg.eigh(jacobian @ jacobian.T)
    return LaplaceApproximation(tangent.point, np.maximum(values, 0)[::-1], vectors[:, ::-1], 0.0)


def _coarse_modes(
    coarse: Posterior, starts: int, rng: np.random.Generator, look: Callable[[], None]
) -> list[Array]:
    """The minima with more than a negligible mass; searches as many as so many chains make."""
    optima = list[Optimum]()
    for _ in range(starts * ManyModesConfig().searches_for(coarse)):
        look()
        optima = drive(coarse, found_optima(coarse, 1, rng, optima))
    return list(Modes.of(optima).point) if optima else []


def _coarse_map(coarse: Posterior, rng: np.random.Generator) -> Array:
    """Where a search on the coarse model ends, or the prior draw that it would begin at."""
    if can_start_at_map(coarse):
        try:
            return drive(coarse, find_map(coarse, rng, FROM_PRIOR))
        except (RunFailed, SolverDiverged):
            pass
    return rng.standard_normal(coarse.dim)
