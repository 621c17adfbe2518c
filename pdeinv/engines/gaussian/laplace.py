"""The Laplace approximation: a Gaussian at the MAP point from a low-rank Hessian.

In whitened coordinates the prior-preconditioned Gauss-Newton Hessian of the misfit is J^T Γ^(-1) J,
J = d G(m(xi)) / d xi, and its symmetric eigenproblem is the generalised one
H_misfit v = λ C^(-1) v of the unknown before the transform (Bui-Thanh, Ghattas, Martin, Stadler
2013, §5; Villa, Petra, Ghattas 2021).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import xarray as xr
from pydantic import Field

from pdeinv.bayes.posterior import Posterior
from pdeinv.bayes.prior import cost
from pdeinv.config import Config
from pdeinv.engines.base import Chain, Outcome, Produces
from pdeinv.engines.gaussian.map import (
    CONVERGED,
    RUNNING,
    MapState,
    OptimizerConfig,
    describe,
    optimize,
    point_summary,
    start_state,
)
from pdeinv.engines.gaussian.randomized_eig import Sketch, eigenpairs, grow
from pdeinv.errors import RunFailed
from pdeinv.model.forward import Capability
from pdeinv.typing import Array

__all__ = [
    "Laplace",
    "LaplaceApproximation",
    "LaplaceConfig",
    "LaplaceState",
    "gaussian_approximation",
]

OVERSAMPLING, CUTOFF, SUFFICIENT = 10, 0.1, 1.0
"""Extra columns; eigenvalues kept above; the rank is enough when the last one is below."""


class LaplaceConfig(OptimizerConfig):
    """Options of ``laplace``."""

    rank: int = Field(
        50, ge=1, description="eigenpairs sought; doubled while the last eigenvalue is above 1"
    )
    oversampling: int = Field(OVERSAMPLING, ge=0, description="extra columns of the random sketch")
    cutoff: float = Field(CUTOFF, gt=0, description="eigenvalues below this are left to the prior")
    draws: int = Field(1000, ge=1, description="independent draws of the Gaussian")


@dataclass(frozen=True)
class LaplaceApproximation:
    """N(mean, I - V diag(λ / (1 + λ)) V^T) in whitened coordinates.

    Attributes:
        mean: the MAP point, shape (dim,).
        eigenvalues: λ, shape (r,), decreasing, those above the cut-off.
        vectors: V, shape (dim, r), orthonormal columns.
        residual: the largest eigenvalue that is known to be left out (0 where none is).
    """

    mean: Array
    eigenvalues: Array
    vectors: Array
    residual: float

    def _along(self, factor: Array, v: Array) -> Array:
        return np.asarray(v + (v @ self.vectors * factor) @ self.vectors.T)

    def covariance(self, v: Array) -> Array:
        """C v for (..., dim)."""
        return self._along(-self.eigenvalues / (1 + self.eigenvalues), v)

    def precision(self, v: Array) -> Array:
        """C^(-1) v for (..., dim)."""
        return self._along(self.eigenvalues, v)

    def root(self, v: Array) -> Array:
        """C^(1/2) v for (..., dim)."""
        return self._along(1 / np.sqrt(1 + self.eigenvalues) - 1, v)

    def sample(self, rng: np.random.Generator, n: int) -> Array:
        """``n`` independent draws, shape (n, dim)."""
        return np.asarray(self.mean + self.root(rng.standard_normal((n, len(self.mean)))))

    @property
    def variance(self) -> Array:
        """The variance of each component of xi, shape (dim,)."""
        lost = self.eigenvalues / (1 + self.eigenvalues)
        return np.asarray(1 - np.square(self.vectors) @ lost)

    @property
    def kl_divergence(self) -> float:
        """KL(posterior ‖ prior) = ½ [Σ ln(1 + λ) - Σ λ/(1 + λ) + ‖mean‖²], in nats."""
        lam = self.eigenvalues
        spread = np.sum(np.log1p(lam) - lam / (1 + lam))
        return 0.5 * float(spread) + float(cost(self.mean))


def _approximation(xi: Array, sketch: Sketch, rank: int, cutoff: float) -> LaplaceApproximation:
    values, vectors = eigenpairs(sketch)
    kept = min(rank, int(np.sum(values > cutoff)))
    residual = max(0.0, float(values[kept])) if kept < len(values) else 0.0
    return LaplaceApproximation(xi, values[:kept], vectors[:, :kept], residual)


def _enough(sketch: Sketch, rank: int, limit: int) -> bool:
    """Whether the eigenvalue number ``rank`` is small, or no larger rank exists."""
    if sketch.size == 0 or rank < limit:
        return sketch.size > 0 and float(eigenpairs(sketch)[0][rank - 1]) <= SUFFICIENT
    return True


def _limit(posterior: Posterior) -> int:
    """The largest rank of J^T Γ^(-1) J."""
    return min(posterior.dim, posterior.n_data)


def gaussian_approximation(
    posterior: Posterior,
    xi_map: Array,
    rank: int,
    rng: np.random.Generator,
    *,
    oversampling: int = OVERSAMPLING,
) -> LaplaceApproximation:
    """The Gaussian at ``xi_map`` with the Gauss-Newton Hessian there.

    Costs one linearisation and 2 (rank + oversampling) Hessian actions; the rank doubles while its
    last eigenvalue is above 1, up to the number of unknowns or data.

    Raises:
        SolverDiverged: the linearisation failed.
    """
    action = posterior.linearize(xi_map).gauss_newton
    limit = _limit(posterior)
    rank, sketch = min(rank, limit), Sketch.empty(posterior.dim)
    while True:
        sketch = grow(action, sketch, rank + oversampling - sketch.size, rng)
        if _enough(sketch, rank, limit):
            return _approximation(xi_map, sketch, rank, CUTOFF)
        rank = min(2 * rank, limit)


@dataclass(frozen=True)
class LaplaceState(MapState):
    """The minimisation's state, then the growing sketch of the Hessian at its end."""

    basis: Array
    action: Array
    rank: int
    enough: bool

    @property
    def sketch(self) -> Sketch:
        """The sketch as the eigenproblem uses it."""
        return Sketch(self.basis, self.action)


class Laplace:
    """Gauss-Newton to the MAP point, then one growth of the Hessian's sketch per step.

    Exact where G(m(xi)) is linear in xi; elsewhere a Gaussian with the right mode and curvature.
    """

    name: ClassVar[str] = "laplace"
    produces: ClassVar[Produces] = "approximate"
    requires: ClassVar[frozenset[Capability]] = frozenset({Capability.JVP, Capability.VJP})
    Config: ClassVar[type[Config]] = LaplaceConfig

    def __init__(self, config: LaplaceConfig) -> None:
        self.config = config

    @property
    def n_chains(self) -> int:
        """One: the approximation belongs to one point."""
        return 1

    @property
    def n_steps(self) -> int:
        """The minimisation, then at most 32 doublings of the rank."""
        return self.config.max_iterations + 32

    def init(self, posterior: Posterior, rng: np.random.Generator) -> LaplaceState:
        """The first point of the minimisation and an empty sketch."""
        from_prior = self.config.start == "prior"
        state = start_state(posterior, self.config, rng, from_prior=from_prior)
        empty = Sketch.empty(posterior.dim)
        rank = min(self.config.rank, _limit(posterior))
        return LaplaceState(
            **vars(state), basis=empty.basis, action=empty.action, rank=rank, enough=False
        )

    def step(
        self, posterior: Posterior, state: LaplaceState, rng: np.random.Generator
    ) -> LaplaceState:
        """One outer iteration, or one growth of the sketch."""
        if state.status == RUNNING and state.n < self.config.max_iterations:
            return optimize(posterior, state, self.config)
        limit, grown = _limit(posterior), state.sketch.size > 0
        rank = min(2 * state.rank, limit) if grown else state.rank
        action = posterior.linearize(state.xi).gauss_newton
        more = rank + self.config.oversampling - state.sketch.size
        sketch = grow(action, state.sketch, more, rng)
        return replace(
            state,
            basis=sketch.basis,
            action=sketch.action,
            rank=rank,
            enough=_enough(sketch, rank, limit),
        )

    def record(self, state: LaplaceState, step: int) -> Mapping[str, Any] | None:
        """Nothing; the last state says it all."""
        return None

    def finished(self, state: LaplaceState) -> bool:
        """When the rank is large enough."""
        return state.enough

    def finalize(
        self, posterior: Posterior, chains: Sequence[Chain], rng: np.random.Generator
    ) -> Outcome:
        """Independent draws of the Gaussian; their misfits are those of its quadratic model.

        Raises:
            RunFailed: stopped before the Hessian's spectrum was known.
        """
        state: LaplaceState = chains[0].state
        if state.sketch.size == 0:
            raise RunFailed(
                "laplace stopped before the spectrum of the Hessian was known; raise the budget "
                "and continue with --resume"
            )
        found = _approximation(state.xi, state.sketch, state.rank, self.config.cutoff)
        xi = found.sample(rng, self.config.draws)
        return Outcome(
            xi=xi[None],
            stats=_quadratic(found, xi, state),
            converged=state.status == CONVERGED and state.enough,
            message=f"{describe(state, self.config.method, posterior.n_data)}; {_verdict(found)}",
            summary={
                **point_summary(state, posterior.n_data),
                "rank": float(len(found.eigenvalues)),
                "kl_divergence": found.kl_divergence,
            },
            groups={"laplace": _dataset(found)},
            independent_chains=False,
        )


def _quadratic(found: LaplaceApproximation, xi: Array, state: LaplaceState) -> dict[str, Array]:
    """Misfit and log density (1, n) of draws (n, dim) in the quadratic model at the MAP point.

    There ∇Φ = -xi_map, hence Φ ≈ Φ_map - xi_map·δ + ½ Σ λ_i (v_i·δ)².
    """
    delta = xi - found.mean
    along = 0.5 * np.square(delta @ found.vectors) @ found.eigenvalues
    misfit = state.misfit - delta @ found.mean + along
    lp = -(state.objective + along + cost(delta))
    return {"misfit": misfit[None], "lp": lp[None]}


def _verdict(found: LaplaceApproximation) -> str:
    """What the spectrum says about the approximation, in one clause."""
    text = f"{len(found.eigenvalues)} directions informed by the data; a Gaussian approximation"
    if found.residual <= CUTOFF:
        return text
    excess = 100 * found.residual
    return (
        f"{text}, whose variances in the directions left out are up to {excess:.0f} % too large "
        f"(largest eigenvalue left out {found.residual:.2g}; raise rank)"
    )


def _dataset(found: LaplaceApproximation) -> xr.Dataset:
    """The spectrum, for the group ``laplace``."""
    return xr.Dataset(
        {
            "eigenvalue": ("mode", found.eigenvalues),
            "eigenvector": (("mode", "xi_dim"), found.vectors.T),
            "xi_map": ("xi_dim", found.mean),
            "kl_divergence": ((), found.kl_divergence),
        }
    )
