"""Whittle-Matérn fields on meshes: x solves (κ² - Δ)^(alpha/2) x = white noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.sparse import csc_matrix, diags
from scipy.sparse.linalg import splu

from pdeinv.bayes.fields.matern import Matern
from pdeinv.errors import ConfigError, ShapeError
from pdeinv.typing import Array

__all__ = ["MeshMatrices", "SpdeField", "balanced_robin"]


def balanced_robin(nu: float) -> float:
    """The boundary coefficient over κ with which the variance on a flat boundary is that inside.

    On a half-space the two variances have, for every number of dimensions, the ratio
    2 ∫ ω²/(ω² + b²) (1 + ω²)^(-ν-1/2) dω / ∫ (1 + ω²)^(-ν-1/2) dω over ω > 0, from the modes
    cos(ω y) + (b/ω) sin(ω y) across the boundary; zero flux (b = 0) gives two. The integrals run
    over the angle t of ω = tan t.
    """
    from scipy.integrate import quad
    from scipy.optimize import brentq

    def excess(b: float) -> float:
        def integrand(t: float) -> float:
            s, c = math.sin(t), math.cos(t)
            return float((2 * s**2 / (s**2 + (b * c) ** 2) - 1) * c ** (2 * nu - 1))

        return float(quad(integrand, 0, math.pi / 2)[0])

    return float(brentq(excess, 1e-3, 2.0))


@dataclass(frozen=True)
class MeshMatrices:
    """What a field needs to know of a mesh, for continuous piecewise linear functions.

    Attributes:
        coordinates: the nodes, shape (n, d), columns x, y, z.
        mass_lumped: ∫ φ_i, shape (n,), positive.
        stiffness: ∫ ∇φ_i·∇φ_j, sparse n x n.
        boundary_mass: ∫ φ_i φ_j over the boundary, sparse n x n.

    Raises:
        ShapeError: the sizes disagree.
        ConfigError: a lumped mass is not positive.
    """

    coordinates: Array
    mass_lumped: Array
    stiffness: Any
    boundary_mass: Any

    def __post_init__(self) -> None:
        n = len(self.coordinates)
        shapes = (self.mass_lumped.shape, self.stiffness.shape, self.boundary_mass.shape)
        if shapes != ((n,), (n, n), (n, n)):
            raise ShapeError(
                f"mesh of {n} nodes: expected lumped mass ({n},), stiffness and boundary mass "
                f"({n}, {n}), got {shapes}"
            )
        if not np.all(self.mass_lumped > 0):
            raise ConfigError("mesh: lumped mass must be positive; use piecewise linear elements")


@dataclass(frozen=True)
class SpdeField:
    """x = mean + s A^(-1) (M A^(-1))^(alpha/2 - 1) M^(1/2) xi, A = κ² M + K + b κ M_boundary.

    M is the lumped mass, K the stiffness and s = σ κ^ν sqrt((4π)^(d/2) Γ(ν + d/2)/Γ(ν)), so that
    far from the boundary x has the Matérn covariance with standard deviation σ. The Robin term
    keeps the variance on the boundary at σ², where zero flux would double it; within about one
    length of the boundary it is up to about a fifth higher.

    Attributes:
        mean: shape (n,).
        mesh: the mesh's matrices.
        kappa: κ.
        scale: s.
        order: alpha/2, a whole number.
        robin: b.

    Reference: Lindgren, Rue and Lindström (2011); Daon and Stadler (2018) on boundary effects.
    """

    mean: Array
    mesh: MeshMatrices
    kappa: float
    scale: float
    order: int
    robin: float

    @classmethod
    def on_mesh(
        cls,
        mesh: MeshMatrices,
        covariance: Matern,
        *,
        mean: float = 0.0,
        robin: float | None = None,
    ) -> SpdeField:
        """The field with a Matérn covariance on a mesh.

        Args:
            mesh: the mesh's matrices.
            covariance: its smoothness must make alpha = smoothness + d/2 an even number.
            mean: the mean at every node.
            robin: b, zero for zero flux; :func:`balanced_robin` where None.

        Raises:
            ConfigError: alpha is not an even number.
        """
        d = mesh.coordinates.shape[1]
        nu = covariance.smoothness
        order = round((nu + d / 2) / 2) if math.isfinite(nu) else 0
        if order < 1 or not math.isclose(2 * order, nu + d / 2):
            allowed = ", ".join(f"{a - d / 2:g}" for a in (2, 4, 6))
            raise ConfigError(
                f"smoothness: representation 'spde' in {d}-D takes {allowed}, got {nu:g}; "
                "choose one of these, or representation 'kl' or 'fft'"
            )
        kappa = covariance.kappa
        log_ratio = 0.5 * (math.lgamma(nu + d / 2) - math.lgamma(nu))
        scale = covariance.std * kappa**nu * (4 * math.pi) ** (d / 4) * math.exp(log_ratio)
        b = balanced_robin(nu) if robin is None else robin
        return cls(np.full(len(mesh.coordinates), float(mean)), mesh, kappa, scale, order, b)

    @property
    def dim(self) -> int:
        """The number of nodes."""
        return len(self.mean)

    @cached_property
    def _factor(self) -> Any:
        """A = κ² M + K + robin κ M_boundary, factorised once."""
        mesh = self.mesh
        matrix = self.kappa**2 * diags(mesh.mass_lumped) + mesh.stiffness
        matrix = csc_matrix(matrix + self.robin * self.kappa * mesh.boundary_mass)
        symmetric = {"SymmetricMode": True}
        return splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=symmetric)

    def _solve(self, b: Array) -> Array:
        """A^(-1) b over the last axis."""
        columns = np.ascontiguousarray(b.reshape(-1, self.dim).T)
        return np.asarray(self._factor.solve(columns)).T.reshape(b.shape)

    def apply(self, xi: Array) -> Array:
        """L xi."""
        x = self._solve(np.sqrt(self.mesh.mass_lumped) * np.asarray(xi, dtype=np.float64))
        for _ in range(self.order - 1):
            x = self._solve(self.mesh.mass_lumped * x)
        return self.scale * x

    def apply_transpose(self, w: Array) -> Array:
        """L^T w; A is symmetric, hence the same factors in the opposite order."""
        x = self._solve(np.asarray(w, dtype=np.float64))
        for _ in range(self.order - 1):
            x = self._solve(self.mesh.mass_lumped * x)
        return self.scale * np.sqrt(self.mesh.mass_lumped) * x
