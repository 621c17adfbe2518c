"""The Gaussian at the MAP point from a low-rank Hessian, for the engines that are or use one.

In whitened coordinates the prior-preconditioned Gauss-Newton Hessian of the misfit is J^T Γ^(-1) J,
J = d G(m(xi)) / d xi, and its symmetric eigenproblem is the generalised one
H_misfit v = λ C^(-1) v of the unknown before the transform (Bui-Thanh, Ghattas, Martin, Stadler
2013, §5; Villa, Petra, Ghattas 2021).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import xarray as xr

from pdeinv.bayes.posterior import Posterior, PosteriorPoint
from pdeinv.bayes.prior import cost
from pdeinv.bayes.reference import Reference
from pdeinv.engines.gaussian.minimize import OptimizerConfig, find_map
from pdeinv.engines.gaussian.randomized_eig import Sketch, eigenpairs, grow
from pdeinv.engines.learned_start import drawn_start
from pdeinv.engines.requests import Curvature, Linearize, Steps
from pdeinv.errors import RunFailed, SolverDiverged, reason
from pdeinv.typing import Array

__all__ = [
    "CUTOFF",
    "OVERSAMPLING",
    "RANK",
    "LaplaceApproximation",
    "Spectrum",
    "gaussian_approximation",
    "laplace_at_map",
    "laplace_reference",
]

OVERSAMPLING, CUTOFF, SUFFICIENT = 10, 0.1, 1.0
"""Extra columns; eigenvalues kept above; the rank is enough when the last one is below."""

STARTS = 3
"""Minimizations before a reference is given up whose derivatives fail."""

RANK = 50
"""Eigenpairs sought at first; the rank doubles while the last eigenvalue is above 1."""


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

    def dataset(self, point: str) -> xr.Dataset:
        """The spectrum and the mean, named ``point``, as a group of the result file."""
        return xr.Dataset(
            {
                "eigenvalue": ("mode", self.eigenvalues),
                "eigenvector": (("mode", "xi_dim"), self.vectors.T),
                point: ("xi_dim", self.mean),
                "kl_divergence": ((), self.kl_divergence),
            }
        )


@dataclass(frozen=True)
class Spectrum:
    """The leading eigenpairs of a Hessian as far as they are known.

    Attributes:
        sketch: columns seen so far.
        rank: how many pairs are sought.
        limit: the largest rank that the Hessian can have.
        enough: whether the last of them is small, or no larger rank exists.
    """

    sketch: Sketch
    rank: int
    limit: int
    enough: bool = False

    @classmethod
    def unknown(cls, posterior: Posterior, rank: int) -> Spectrum:
        """Nothing is known of the Hessian of ``posterior`` yet."""
        limit = min(posterior.dim, posterior.n_data)
        return cls(Sketch.empty(posterior.dim), min(rank, limit), limit)

    def grown(
        self, xi: Array, at: PosteriorPoint, oversampling: int, rng: np.random.Generator
    ) -> Steps[Spectrum]:
        """With ``rank`` pairs at first, then with twice as many; costs two actions a column.

        Args:
            xi: where the Hessian is taken.
            at: the linearization there.
            oversampling: further columns.
            rng: for the columns.

        Raises:
            SolverDiverged: actions of the Hessian keep failing.
        """

        def action(directions: Array) -> Steps[Array]:
            images: Array = yield Curvature(xi, at=at, directions=directions)
            return images

        started = self.sketch.size > 0
        rank = min(2 * self.rank, self.limit) if started else self.rank
        sketch = yield from grow(action, self.sketch, rank + oversampling - self.sketch.size, rng)
        enough = rank >= self.limit or float(eigenpairs(sketch)[0][rank - 1]) <= SUFFICIENT
        return Spectrum(sketch, rank, self.limit, enough)

    def approximation(self, xi: Array, cutoff: float = CUTOFF) -> LaplaceApproximation:
        """The Gaussian at ``xi``, directions below ``cutoff`` left to the prior."""
        values, vectors = eigenpairs(self.sketch)
        kept = min(self.rank, int(np.sum(values > cutoff)))
        residual = max(0.0, float(values[kept])) if kept < len(values) else 0.0
        return LaplaceApproximation(xi, values[:kept], vectors[:, :kept], residual)


def gaussian_approximation(
    posterior: Posterior,
    xi_map: Array,
    rank: int,
    rng: np.random.Generator,
    *,
    oversampling: int = OVERSAMPLING,
) -> Steps[LaplaceApproximation]:
    """The Gaussian at ``xi_map`` with the Gauss-Newton Hessian there.

    Costs one linearization and 2 (rank + oversampling) Hessian actions; the rank doubles while its
    last eigenvalue is above 1, up to the number of unknowns or data.

    Raises:
        SolverDiverged: the linearization or actions of the Hessian failed.
    """
    at: PosteriorPoint = yield Linearize(xi_map)
    spectrum = Spectrum.unknown(posterior, rank)
    while not spectrum.enough:
        spectrum = yield from spectrum.grown(xi_map, at, oversampling, rng)
    return spectrum.approximation(xi_map)


def laplace_at_map(
    posterior: Posterior,
    rng: np.random.Generator,
    config: OptimizerConfig | None = None,
    xi0: Array | None = None,
) -> Steps[LaplaceApproximation]:
    """N(xi_map, (I + J^T Γ^(-1) J)^(-1)), the directions below the cut-off left to the prior.

    Args:
        posterior: a model with derivatives.
        rng: for the start of the minimization and the sketch of the Hessian.
        config: of the minimization.
        xi0: where it begins, else as configured.

    Raises:
        RunFailed: no starting point could be solved.
        SolverDiverged: a derivative at the end failed.
    """
    xi = yield from find_map(posterior, rng, config, xi0)
    return (yield from gaussian_approximation(posterior, xi, RANK, rng))


def laplace_reference(
    posterior: Posterior, rng: np.random.Generator, start: Literal["mean", "prior"] = "mean"
) -> Steps[Reference]:
    """The same as a reference measure, the minimization from the prior mean or a prior draw.

    What a learned inverse says of the data takes the place of the prior in such a draw. Where a
    derivative fails at its end the minimization starts anew from another prior draw.

    Raises:
        RunFailed: no starting point could be solved, or the derivatives keep failing.
    """
    why = ""
    told = posterior.estimate is not None and start == "prior"
    for k, begin in enumerate((start, *["prior"] * (STARTS - 1))):
        config = OptimizerConfig.model_validate({"start": begin})
        xi0 = drawn_start(posterior, rng) if told and k == 0 else None
        try:
            found = yield from laplace_at_map(posterior, rng, config, xi0)
        except SolverDiverged as error:
            why = reason(error)
            continue
        return Reference(found.mean, found.vectors, -found.eigenvalues / (1 + found.eigenvalues))
    raise RunFailed(
        f"no Laplace approximation from {STARTS} starts, the last since {why}; 'pdeinv check' "
        "tests the derivatives"
    )
