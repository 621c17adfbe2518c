"""An unknown field: its prior, and its values anywhere in the domain.

A field has its numbers at the nodes or on the cells of a regular grid, at the nodes of a mesh, or
is one number; whichever it is, its values at points are affine in them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NoReturn

import numpy as np
from scipy import sparse

from pdeinv.bayes.field_prior import build, build_spde
from pdeinv.bayes.fields.grid import Extent
from pdeinv.bayes.fields.spde import MeshMatrices
from pdeinv.bayes.prior import Prior
from pdeinv.bayes.prior_config import PiecewiseConfig, UniformConfig
from pdeinv.errors import CapabilityError, ConfigError
from pdeinv.fem.domain import CellMesh
from pdeinv.fem.energy import Energy, mesh_matrices
from pdeinv.fem.mesh import PlainMesh, rectangle
from pdeinv.fem.nodal import NodalSpace
from pdeinv.fem.p1 import barycentric, p1_matrices
from pdeinv.model.coefficient import Affine, Coefficient
from pdeinv.model.multilinear import cell_choice, multilinear
from pdeinv.model.simplices import Simplices, linear_on
from pdeinv.model.spaces import Variable
from pdeinv.typing import Array

__all__ = ["FieldUnknown", "Labels", "Nodes"]


@dataclass(frozen=True)
class Labels:
    """What a field is called in files.

    Attributes:
        name: of the variable.
        units: its units.
        long_name: in words.
        length: units of the coordinates.
    """

    name: str
    units: str
    long_name: str
    length: str = "m"


@dataclass(frozen=True)
class Nodes:
    """The nodes of a mesh on which a field may live, piecewise linear between them.

    Attributes:
        matrices: of the mesh, for the prior.
        linear: points (n, d) to the sparse matrix from values at nodes to values there.
        mesh: the simplices between the nodes.
    """

    matrices: MeshMatrices
    linear: Callable[[Array], Any]
    mesh: Simplices

    @classmethod
    def of_plane(cls, mesh: PlainMesh) -> Nodes:
        """Those of a plane mesh, quadrilaterals cut in two.

        Where some points lie outside, in holes of a grid or beyond the chords of another mesh of
        the same body, those take the values of the nearest cell.
        """
        triangles = mesh.triangulated()
        simplices = Simplices(triangles.points, triangles.cells)

        def linear(points: Array) -> Any:
            if simplices.holds(points).all():
                return barycentric(triangles, points)
            return linear_on(simplices.points, simplices.cells, points)

        return cls(p1_matrices(triangles), linear, simplices)

    @classmethod
    def of_rectangle(cls, extent: Extent, grid: tuple[int, ...]) -> Nodes:
        """Those of a grid of triangles on a rectangle.

        Raises:
            ConfigError: the domain is an interval or a box.
        """
        if len(extent) != 2 or len(grid) != 2:
            raise ConfigError(
                "representation 'spde' needs a plane domain and a grid of two numbers here; use "
                "'kl' or 'fft' in 1-D and 3-D"
            )
        (x0, x1), (y0, y1) = extent
        mesh = rectangle((x1 - x0, y1 - y0), (grid[0] - 1, grid[1] - 1), "triangle")
        return cls.of_plane(replace(mesh, points=mesh.points + np.array([x0, y0])))

    @classmethod
    def of_simplices(cls, mesh: CellMesh) -> Nodes:
        """Those of triangles or tetrahedra; points outside take the values of the nearest cell."""
        matrices = mesh_matrices(Energy.on(NodalSpace(mesh, "P1", mesh)))
        linear = partial(linear_on, mesh.points, mesh.cells)
        return cls(matrices, linear, Simplices(mesh.points, mesh.cells))


@dataclass(frozen=True)
class FieldUnknown:
    """An unknown field: its prior and its values at points.

    Attributes:
        kind: of its configuration, for messages.
        prior: of its numbers.
        at: points (n, d) to the map from the numbers to the values there.
        mesh: whose nodes (dimension ``vertex``) or cells (``element``) the numbers belong to, if
            any.
    """

    kind: str
    prior: Prior
    at: Callable[[Array], Coefficient]
    mesh: Simplices | None = None

    @classmethod
    def of(
        cls,
        config: Any,
        extent: Extent,
        labels: Labels,
        mesh: Callable[[], Nodes] | None = None,
    ) -> FieldUnknown:
        """The field that a prior's configuration describes.

        Args:
            config: of the prior (see :mod:`pdeinv.bayes.prior_config`).
            extent: the box that the field covers.
            labels: its names and units.
            mesh: where a field with representation 'spde' lives; a grid on the box where None.

        Raises:
            ConfigError: the configuration does not fit the box.
        """
        words = {"name": labels.name, "units": labels.units, "long_name": labels.long_name}
        if getattr(config, "representation", "") == "spde":
            nodes = mesh() if mesh is not None else Nodes.of_rectangle(extent, config.grid)
            prior = build_spde(config, nodes.matrices, **words, coord_units=labels.length)
            return cls(config.kind, prior, lambda p: Affine(nodes.linear(p)), nodes.mesh)
        prior = build(config, **words, extent=extent, coord_units=labels.length)
        matrix = _matrix(config, extent, prior.space.variables[0])
        return cls(config.kind, prior, lambda p: Affine(matrix(p)))

    @classmethod
    def of_numbers(cls, kind: str, prior: Prior) -> FieldUnknown:
        """A few numbers that are no field: there are no values at points."""

        def refuse(_points: Array) -> NoReturn:
            raise CapabilityError(
                f"unknown '{kind}' is no field on the domain; use a surrogate that works on the "
                "whitened unknown (gp, latent, multifidelity)"
            )

        return cls(kind, prior, refuse)

    @property
    def variable(self) -> Variable:
        """The first variable of m."""
        return self.prior.space.variables[0]

    def matrix(self, points: Array) -> Any:
        """P with field(points) = P m, sparse.

        Raises:
            ConfigError: the field is no linear function of m.
            CapabilityError: m is no field.
        """
        found = self.at(points)
        if not isinstance(found, Affine):
            raise ConfigError(
                f"unknown '{self.kind}' is no linear function of its parameters, so it has no "
                "matrix to a grid; use a field, or a surrogate that works on xi"
            )
        return found.matrix


def _matrix(config: Any, extent: Extent, variable: Variable) -> Callable[[Array], Any]:
    """Points to P: linear between grid nodes, the value of a cell, or one number everywhere."""
    if not variable.dims:
        return lambda points: sparse.csr_array(np.ones((len(points), 1)))
    if isinstance(config, PiecewiseConfig | UniformConfig):
        counts = zip(extent, variable.shape[::-1], strict=True)
        edges = [np.linspace(low, high, n + 1) for (low, high), n in counts]
        return partial(cell_choice, edges)
    axes = [variable.coords[a][1] for a in variable.dims[::-1]]
    return partial(multilinear, axes)
