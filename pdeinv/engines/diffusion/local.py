"""The likelihood near some points: Φ, its gradient, and the curvature of its Gauss-Newton model.

Everything the likelihood steps of this room need of the physics, for rows of points at once. The
model is asked for its whole Jacobian at each of them, or never again where it is affine.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pdeinv.bayes.jacobian import DenseLinearization
from pdeinv.bayes.posterior import Posterior
from pdeinv.engines.diffusion.affine import Affine
from pdeinv.engines.requests import Jacobian, Predict, Steps
from pdeinv.errors import SolverDiverged
from pdeinv.typing import Array

__all__ = ["Curvature", "Local", "Seen", "curvature", "located", "seen"]


@dataclass(frozen=True)
class Curvature:
    """J^T F J = Σ_k λ_k v_k v_k^T, F the Fisher information of the data.

    Attributes:
        values: λ, shape (k,), or (n, k) one for each of n points.
        vectors: orthonormal rows v, shape (k, dim) or (n, k, dim); zero where λ is.
    """

    values: Array
    vectors: Array

    def along(self, factor: Array, v: Array) -> Array:
        """v + Σ_k f_k v_k (v_k · v) for v of shape (n, dim)."""
        if self.vectors.ndim == 2:
            return np.asarray(v + (v @ self.vectors.T * factor) @ self.vectors)
        inner = (self.vectors @ v[..., None])[..., 0] * factor
        return np.asarray(v + (inner[..., None, :] @ self.vectors)[..., 0, :])


@dataclass(frozen=True)
class Seen:
    """Points with the data that the model has there.

    Attributes:
        xi: shape (n, dim).
        value: G, shape (n, n_d).
        misfit: Φ, shape (n,); infinite where a solve failed.
    """

    xi: Array
    value: Array
    misfit: Array

    def where(self, chosen: NDArray[np.bool_], other: Seen) -> Seen:
        """Row by row these points where chosen (n,), else the others."""
        return Seen(
            np.where(chosen[:, None], self.xi, other.xi),
            np.where(chosen[:, None], self.value, other.value),
            np.where(chosen, self.misfit, other.misfit),
        )


@dataclass(frozen=True)
class Local:
    """Points with the likelihood there.

    Attributes:
        xi: shape (n, dim).
        value: G, shape (n, n_d).
        misfit: Φ, shape (n,); infinite where a solve or derivative failed.
        slope: ∇Φ, shape (n, dim).
        curvature: of the Gauss-Newton model.
    """

    xi: Array
    value: Array
    misfit: Array
    slope: Array
    curvature: Curvature

    @property
    def seen(self) -> Seen:
        """Without the derivatives."""
        return Seen(self.xi, self.value, self.misfit)

    def rows(self, chosen: NDArray[np.bool_]) -> Local:
        """Those chosen (n,), each with a curvature of its own."""
        return Local(
            self.xi[chosen],
            self.value[chosen],
            self.misfit[chosen],
            self.slope[chosen],
            Curvature(self.curvature.values[chosen], self.curvature.vectors[chosen]),
        )

    def with_rows(self, rows: NDArray[np.int64], other: Local) -> Local:
        """Those of ``other`` in the place of some rows, each with a curvature of its own."""
        return Local(
            _put(self.xi, rows, other.xi),
            _put(self.value, rows, other.value),
            _put(self.misfit, rows, other.misfit),
            _put(self.slope, rows, other.slope),
            Curvature(
                _put(self.curvature.values, rows, other.curvature.values),
                _put(self.curvature.vectors, rows, other.curvature.vectors),
            ),
        )


def _put(whole: Array, rows: NDArray[np.int64], part: Array) -> Array:
    found = whole.copy()
    found[rows] = part
    return found


def curvature(posterior: Posterior, at: DenseLinearization) -> Curvature:
    """That at one point, shapes (k,) and (k, dim) with k the smaller of n_d and dim."""
    white = posterior.likelihood.fisher(at.value).whiten(at.jacobian.T).T
    n_d, dim = white.shape
    if n_d > dim:
        values, vectors = np.linalg.eigh(white.T @ white)
        return Curvature(np.maximum(values, 0.0), vectors.T)
    values, u = np.linalg.eigh(white @ white.T)
    seen = values > 1e-14 * max(float(values[-1]), 1e-300)
    values = np.where(seen, values, 0.0)
    scale = np.where(seen, 1 / np.sqrt(np.where(seen, values, 1.0)), 0.0)
    return Curvature(values, scale[:, None] * (u.T @ white))


def seen(posterior: Posterior, xi: Array, affine: Affine) -> Steps[Seen]:
    """The data at each row of ``xi`` (n, dim); nothing is asked of a model known to be affine."""
    value = affine(xi) if affine.known else np.asarray((yield Predict(xi)))
    return Seen(xi, value, posterior.misfit_of(value))


def located(posterior: Posterior, xi: Array, affine: Affine, shared: Curvature) -> Steps[Local]:
    """The likelihood at each row of ``xi`` (n, dim).

    Args:
        posterior: whose likelihood it is.
        xi: the points.
        affine: the model, where it is known to be affine: then nothing is asked.
        shared: its curvature, in that case.
    """
    if affine.known:
        value = affine(xi)
        misfit, slope = posterior.likelihood.slope(value, posterior.data)
        return Local(xi, value, np.asarray(misfit), slope @ affine.jacobian, shared)
    rows = []
    for x in xi:
        rows.append((yield from _one(posterior, x)))
    return _stacked(xi, rows)


def _one(posterior: Posterior, x: Array) -> Steps[Local]:
    """At one point, all of it zero but an infinite misfit where a solve or derivative fails."""
    n_d, dim = posterior.n_data, posterior.dim
    k = min(n_d, dim)
    nothing = Curvature(np.zeros(k), np.zeros((k, dim)))
    failed = Local(x, posterior.data, np.asarray(np.inf), np.zeros(dim), nothing)
    try:
        at: DenseLinearization = yield Jacobian(x)
    except SolverDiverged:
        return failed
    misfit, slope = posterior.likelihood.slope(at.value, posterior.data)
    if not np.isfinite(misfit):
        return failed
    return Local(x, at.value, np.asarray(misfit), slope @ at.jacobian, curvature(posterior, at))


def _stacked(xi: Array, rows: list[Local]) -> Local:
    return Local(
        xi,
        np.stack([r.value for r in rows]),
        np.array([float(r.misfit) for r in rows]),
        np.stack([r.slope for r in rows]),
        Curvature(
            np.stack([r.curvature.values for r in rows]),
            np.stack([r.curvature.vectors for r in rows]),
        ),
    )
