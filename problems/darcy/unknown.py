"""The conductivity as the prior sees it, and the sparse matrices that take it to points."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from scipy import sparse

from pdeinv.bayes.prior import FieldPrior
from pdeinv.bayes.prior_config import LogGaussianConfig, build, build_spde
from pdeinv.fem.grids import bilinear, cell_values
from pdeinv.fem.mesh import PlainMesh, rectangle
from pdeinv.fem.p1 import barycentric, p1_matrices
from pdeinv.model.spaces import Space, Variable
from pdeinv.typing import Array

from .config import DarcyConfig

__all__ = ["NAME", "build_prior", "parameter_mesh", "points_operator"]

NAME = "conductivity"


def _on_mesh(config: DarcyConfig) -> bool:
    unknown = config.unknown
    return isinstance(unknown, LogGaussianConfig) and unknown.representation == "spde"


def parameter_mesh(config: DarcyConfig, domain: PlainMesh) -> PlainMesh | None:
    """The triangles whose nodes carry m, where m lives on a mesh; it does not change with level."""
    if not _on_mesh(config):
        return None
    if config.mesh is not None:
        return domain.triangulated()
    assert isinstance(config.unknown, LogGaussianConfig)
    nx, ny = config.unknown.grid
    return rectangle(config.lengths, (nx - 1, ny - 1), "triangle")


def build_prior(config: DarcyConfig, domain: PlainMesh, mesh: PlainMesh | None) -> FieldPrior:
    """The prior of κ on the domain's bounding box, or on the nodes of ``mesh``."""
    units, long_name = config.units, "hydraulic conductivity"
    if mesh is not None:
        assert isinstance(config.unknown, LogGaussianConfig)
        prior = build_spde(
            config.unknown,
            p1_matrices(mesh),
            name=NAME,
            units=units.conductivity,
            long_name=long_name,
            coord_units=units.coordinate,
        )
        return replace(prior, space=Space(tuple(_at_vertices(v) for v in prior.space.variables)))
    x0, x1, y0, y1 = domain.box
    return build(
        config.unknown,
        name=NAME,
        units=units.conductivity,
        long_name=long_name,
        extent=((x0, x1), (y0, y1)),
        coord_units=units.coordinate,
    )


def _at_vertices(variable: Variable) -> Variable:
    """The same on dimension ``vertex``: files keep ``node`` for the nodes of the solution."""
    coords = {name: (("vertex",), array) for name, (_, array) in variable.coords.items()}
    return replace(variable, dims=("vertex",), coords=coords)


def points_operator(
    config: DarcyConfig,
    variable: Variable,
    mesh: PlainMesh | None,
    domain: PlainMesh,
    points: Array,
) -> Any:
    """P with κ(p) = (P m)(p): bilinear on grids, constant on cells, linear on triangles.

    Args:
        config: the problem's configuration.
        variable: the variable m.
        mesh: where m lives, if on a mesh.
        domain: the mesh of the domain.
        points: shape (n, 2).
    """
    if mesh is not None:
        return barycentric(mesh, points)
    if not variable.dims:
        return sparse.csr_array(np.ones((len(points), 1)))
    if config.unknown.kind in ("piecewise", "uniform"):
        x0, x1, y0, y1 = domain.box
        ky, kx = variable.shape
        return cell_values(np.linspace(x0, x1, kx + 1), np.linspace(y0, y1, ky + 1), points)
    return bilinear(variable.coords["x"][1], variable.coords["y"][1], points)
