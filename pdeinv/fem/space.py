"""Finite-element spaces on plain meshes, with node numbers that do not depend on the ranks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pdeinv.errors import ConfigError
from pdeinv.fem.env import fenicsx
from pdeinv.fem.mesh import CellShape, PlainMesh
from pdeinv.fem.points import evaluation
from pdeinv.typing import Array

__all__ = ["ElementName", "LagrangeSpace", "PointFunction", "cell_shape", "degree", "lattice"]

ElementName = Literal["P1", "P2", "Q1", "Q2"]
PointFunction = Callable[[Array, Array], Array]
"""x and y, shape (n,), to values (n,)."""

_TENSOR_ORDER = {"triangle": [0, 1, 2], "quadrilateral": [0, 1, 3, 2]}
"""Corners from counter-clockwise to the order of dolfinx."""


def cell_shape(element: ElementName) -> CellShape:
    """Triangles for P, quadrilaterals for Q."""
    return "triangle" if element[0] == "P" else "quadrilateral"


def degree(element: ElementName) -> int:
    """The polynomial degree."""
    return int(element[1])


def lattice(plain: PlainMesh, element: ElementName) -> PlainMesh:
    """The mesh whose nodes are the degrees of freedom of an element on ``plain``."""
    return plain if degree(element) == 1 else plain.refined()


@dataclass(frozen=True)
class LagrangeSpace:
    """Continuous Lagrange elements on a plain mesh, distributed over a communicator.

    Attributes:
        plain: the mesh, whole on every rank.
        element: which element.
        comm: MPI communicator.
    """

    plain: PlainMesh
    element: ElementName
    comm: Any

    def __post_init__(self) -> None:
        wanted = cell_shape(self.element)
        if wanted != self.plain.shape:
            raise ConfigError(
                f"element {self.element} needs cells of shape {wanted}, the mesh has "
                f"{self.plain.shape}s; use {'Q' if wanted == 'triangle' else 'P'}{self.element[1]}"
            )

    @cached_property
    def mesh(self) -> Any:
        """The dolfinx mesh."""
        fx = fenicsx()
        cells, points = self.plain.cells[:, _TENSOR_ORDER[self.plain.shape]], self.plain.points
        if self.comm.rank != 0:
            cells, points = cells[:0], points[:0]
        element = fx.basix_ufl.element("Lagrange", self.plain.shape, 1, shape=(2,))
        return fx.mesh.create_mesh(self.comm, cells, element, points)

    @cached_property
    def V(self) -> Any:  # noqa: N802 - the name of the literature
        """The dolfinx function space."""
        return fenicsx().fem.functionspace(self.mesh, ("Lagrange", degree(self.element)))

    def evaluation(self, places: Array) -> Any:
        """B with (B u)_k = u(place k), CSR of shape (n, dofs), for places (n, 2); on one rank.

        Raises:
            DataSchemaError: a place lies outside the domain; the first one is named.
        """
        return evaluation(self.V, places, self.plain.extent)

    @cached_property
    def lattice(self) -> PlainMesh:
        """The mesh of all degrees of freedom; its points are the canonical nodes."""
        return lattice(self.plain, self.element)

    @cached_property
    def node_of_dof(self) -> NDArray[np.int64]:
        """The canonical node of each local degree of freedom, ghosts included."""
        dofs = self.V.tabulate_dof_coordinates()[:, :2]
        distance, node = cKDTree(self.lattice.points).query(dofs)
        if len(distance) and distance.max() > 1e-9 * np.ptp(self.plain.points, axis=0).max():
            raise ConfigError("mesh nodes could not be matched; does the mesh have doubled nodes?")
        return np.asarray(node, dtype=np.int64)

    @property
    def n_owned(self) -> int:
        """The number of degrees of freedom that this rank owns."""
        return int(self.V.dofmap.index_map.size_local)

    @property
    def n_global(self) -> int:
        """The number of degrees of freedom of all ranks."""
        return int(self.V.dofmap.index_map.size_global)

    def gather(self, values: Array) -> Array:
        """Local values of the degrees of freedom as one array in canonical order, on every rank."""
        whole = np.zeros(len(self.lattice.points))
        whole[self.node_of_dof[: self.n_owned]] = values[: self.n_owned]
        if self.comm.size > 1:
            self.comm.Allreduce(fenicsx().MPI.IN_PLACE, whole)
        return whole

    def facets(self, sides: Sequence[str]) -> NDArray[np.int32]:
        """The local boundary facets of some sides; the empty name means edges without a name."""
        fx, tdim = fenicsx(), 2
        topology = self.mesh.topology
        topology.create_connectivity(tdim - 1, tdim)
        facets = fx.mesh.exterior_facet_indices(topology)
        local = fx.mesh.entities_to_geometry(self.mesh, tdim - 1, facets)
        pairs = np.sort(self.mesh.geometry.input_global_indices[local], axis=1).reshape(-1, 2)
        n = len(self.plain.points)
        tags = [self.plain.sides[s] if s else 0 for s in sides]
        edges = self.plain.edges[np.isin(self.plain.tags, tags)]
        chosen = np.isin(pairs @ [n, 1], edges @ [n, 1])
        return np.asarray(facets[chosen], dtype=np.int32)

    def dofs(self, sides: Sequence[str]) -> NDArray[np.int32]:
        """The local degrees of freedom on some sides."""
        found = fenicsx().fem.locate_dofs_topological(self.V, 1, self.facets(sides))
        return np.asarray(found, dtype=np.int32)

    def interpolate(self, function: PointFunction) -> Any:
        """The interpolant of a function of x and y."""
        target = fenicsx().fem.Function(self.V)
        target.interpolate(lambda x: function(x[0], x[1]))
        return target
