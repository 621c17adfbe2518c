"""The unknown as the prior sees it, and as values at points: fields, bumps and inclusions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from scipy import sparse

from pdeinv.bayes.prior import FieldPrior
from pdeinv.bayes.prior_config import GaussianConfig, LogGaussianConfig, build, build_spde
from pdeinv.errors import ConfigError
from pdeinv.fem.grids import bilinear, cell_values
from pdeinv.fem.mesh import PlainMesh, rectangle
from pdeinv.fem.p1 import barycentric, p1_matrices
from pdeinv.model.spaces import Space, Variable
from pdeinv.typing import Array

from .config import Bumps, HelmholtzConfig, Inclusions
from .shapes import shape_map, shape_prior

__all__ = [
    "AffineMap",
    "Coefficient",
    "build_prior",
    "coefficient",
    "coefficient_on",
    "field_operator",
    "is_linear",
]

LONG_NAMES = {
    "contrast": "contrast n − 1",
    "index": "squared refractive index n",
    "source": "source f",
}


def is_linear(config: HelmholtzConfig) -> bool:
    """Whether the coefficient is an affine function of m."""
    return not isinstance(config.unknown, Bumps | Inclusions)


def build_prior(config: HelmholtzConfig) -> FieldPrior:
    """The prior on the region."""
    if isinstance(config.unknown, Bumps | Inclusions):
        return shape_prior(config, config.unknown)
    x0, x1, y0, y1 = config.box
    units = config.units.source if config.quantity == "source" else "1"
    name, length = config.quantity, config.units.coordinate
    labels: dict[str, Any] = {"name": name, "units": units, "long_name": LONG_NAMES[name]}
    mesh = _parameter_mesh(config)
    if mesh is not None:
        assert isinstance(config.unknown, GaussianConfig | LogGaussianConfig)
        prior = build_spde(config.unknown, p1_matrices(mesh), coord_units=length, **labels)
        return replace(prior, space=Space(tuple(_at_vertices(v) for v in prior.space.variables)))
    extent = ((x0, x1), (y0, y1))
    return build(config.unknown, extent=extent, coord_units=length, **labels)


def _parameter_mesh(config: HelmholtzConfig) -> PlainMesh | None:
    """The triangles whose nodes carry m, where the prior is the one on a mesh."""
    unknown = config.unknown
    if not isinstance(unknown, GaussianConfig | LogGaussianConfig):
        return None
    if unknown.representation != "spde":
        return None
    x0, x1, y0, y1 = config.box
    nx, ny = unknown.grid
    mesh = rectangle((x1 - x0, y1 - y0), (nx - 1, ny - 1), "triangle")
    return replace(mesh, points=mesh.points + np.array([x0, y0]))


def _at_vertices(variable: Variable) -> Variable:
    """The same on dimension ``vertex``: files keep ``node`` for the nodes of the solution."""
    coords = {name: (("vertex",), array) for name, (_, array) in variable.coords.items()}
    return replace(variable, dims=("vertex",), coords=coords)


class Coefficient(Protocol):
    """m to values at fixed points, with its derivative."""

    def __call__(self, m: Array, /) -> Array:
        """The values, shape (n,)."""

    def jvp(self, m: Array, dm: Array, /) -> Array:
        """The derivative along dm, shape (n,)."""

    def vjp(self, m: Array, w: Array, /) -> Array:
        """The derivative's transpose on w, shape (n_m,)."""


@dataclass(frozen=True)
class AffineMap:
    """q = P m + c.

    Attributes:
        matrix: P, sparse.
        offset: c, zero or minus the taper where m is n = 1 + q.
    """

    matrix: Any
    offset: Array

    def __call__(self, m: Array) -> Array:
        """P m + c."""
        return np.asarray(self.matrix @ m + self.offset)

    def jvp(self, m: Array, dm: Array) -> Array:
        """P dm."""
        return np.asarray(self.matrix @ dm)

    def vjp(self, m: Array, w: Array) -> Array:
        """Pᵀ w."""
        return np.asarray(self.matrix.T @ w)


def _taper(config: HelmholtzConfig, points: Array) -> Array:
    """One inside the region, zero outside, a smooth step across the margin between."""
    x0, x1, y0, y1 = config.box
    factor = np.ones(len(points))
    for i, (low, high) in enumerate(((x0, x1), (y0, y1))):
        depth = np.minimum(points[:, i] - low, high - points[:, i]) / (high - low)
        if config.margin > 0:
            t = np.clip(depth / config.margin, 0.0, 1.0)
            factor *= t * t * (3 - 2 * t)
        else:
            factor *= depth >= -1e-12
    return factor


def coefficient(config: HelmholtzConfig, variable: Variable, points: Array) -> Coefficient:
    """m to q (or f) at points (n, 2), zero outside the region."""
    taper = _taper(config, points)
    unknown = config.unknown
    if isinstance(unknown, Bumps | Inclusions):
        return shape_map(unknown, points, taper)
    offset = -taper if config.quantity == "index" else np.zeros(len(points))
    matrix = sparse.diags_array(taper) @ field_operator(config, variable, points)
    return AffineMap(matrix.tocsr(), offset)


def coefficient_on(config: HelmholtzConfig, variable: Variable, points: Array, m: Array) -> Array:
    """The values that :func:`field_operator` gives for fields, at points, of any unknown."""
    if isinstance(config.unknown, Bumps | Inclusions):
        contrast = shape_map(config.unknown, points, np.ones(len(points)))(m)
        return contrast + 1.0 if config.quantity == "index" else contrast
    return np.asarray(field_operator(config, variable, points) @ m)


def field_operator(config: HelmholtzConfig, variable: Variable, points: Array) -> Any:
    """P with (P m)(p) the field at p, without the taper; outside the region its nearest value.

    Raises:
        ConfigError: the unknown is no field.
    """
    if not is_linear(config):
        raise ConfigError(
            f"unknown '{config.unknown.kind}' is no linear function of its parameters, so "
            "it has no matrix to a grid; use a field, or a surrogate that works on xi"
        )
    x0, x1, y0, y1 = config.box
    points = np.clip(points, [x0, y0], [x1, y1])
    mesh = _parameter_mesh(config)
    if mesh is not None:
        return barycentric(mesh, points)
    if not variable.dims:
        return sparse.csr_array(np.ones((len(points), 1)))
    if config.unknown.kind in ("piecewise", "uniform"):
        ky, kx = variable.shape
        return cell_values(np.linspace(x0, x1, kx + 1), np.linspace(y0, y1, ky + 1), points)
    return bilinear(variable.coords["x"][1], variable.coords["y"][1], points)
