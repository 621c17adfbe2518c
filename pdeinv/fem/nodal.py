"""Lagrange elements on a mesh of any dimension, with quadrature rules as sparse matrices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.spatial import cKDTree

from pdeinv.errors import ConfigError
from pdeinv.fem.domain import LOCAL_FACETS, CellMesh, boundary_facets
from pdeinv.fem.env import fenicsx
from pdeinv.fem.points import evaluation
from pdeinv.fem.space import ElementName, degree
from pdeinv.typing import Array

__all__ = ["NodalSpace", "Rule"]


@dataclass(frozen=True)
class Rule:
    """A quadrature rule with the element's values and slopes at its points.

    Attributes:
        points: shape (q, d).
        weights: measure included, shape (q,).
        values: E with E u = u at the points, CSR of shape (q, n).
        slopes: G_x, G_y, ... with G u the derivatives at the points; empty on facets.
    """

    points: Array
    weights: Array
    values: Any
    slopes: tuple[Any, ...] = ()

    @cached_property
    def load(self) -> Any:
        """E^T ω: values of f at the points to ∫ f v, CSR of shape (n, q)."""
        return (self.values.T * self.weights).tocsr()


class NodalSpace:
    """Continuous Lagrange elements on one rank.

    Args:
        mesh: the mesh.
        element: P1, P2, Q1 or Q2; on intervals P and Q are the same.
        nodes: the mesh of all degrees of freedom, which gives files their order.

    Attributes:
        mesh, element, nodes: as given.
        domain: the dolfinx mesh.
        V: the dolfinx function space.
    """

    def __init__(self, mesh: CellMesh, element: ElementName, nodes: CellMesh) -> None:
        fx = fenicsx()
        self.mesh, self.element, self.nodes = mesh, element, nodes
        geometry = fx.basix_ufl.element("Lagrange", mesh.shape, 1, shape=(mesh.dim,))
        comm = fx.MPI.COMM_SELF
        self.domain = fx.mesh.create_mesh(comm, mesh.cells, geometry, mesh.points)
        self.V = fx.fem.functionspace(self.domain, ("Lagrange", degree(element)))

    @property
    def size(self) -> int:
        """The number of degrees of freedom."""
        return int(self.V.dofmap.index_map.size_global)

    @cached_property
    def dofs(self) -> NDArray[np.int64]:
        """Degrees of freedom of each cell, in dolfinx order of cells."""
        return np.asarray(self.V.dofmap.list, dtype=np.int64)

    @cached_property
    def points(self) -> Array:
        """Where the degrees of freedom are, shape (n, d)."""
        return np.asarray(self.V.tabulate_dof_coordinates()[:, : self.mesh.dim])

    @cached_property
    def node_of_dof(self) -> NDArray[np.int64]:
        """The node of :attr:`nodes` of each degree of freedom."""
        distance, node = cKDTree(self.nodes.points).query(self.points)
        if distance.max() > 1e-9 * np.ptp(self.mesh.points, axis=0).max():
            raise ConfigError("mesh nodes could not be matched; does the mesh have doubled nodes?")
        return np.asarray(node, dtype=np.int64)

    @cached_property
    def _corners(self) -> Array:
        """Corner coordinates of each cell, shape (k, corners, d)."""
        geometry = self.domain.geometry
        return np.asarray(geometry.x[geometry.dofmaps[0]][:, :, : self.mesh.dim])

    @cached_property
    def _facets(self) -> tuple[Any, Any, Any]:
        """Cell (dolfinx order), local number and tag of each boundary facet."""
        geometry = self.domain.geometry
        cells = np.asarray(geometry.input_global_indices)[geometry.dofmaps[0]]
        cell, local, nodes = boundary_facets(cells, self.mesh.shape)
        tag_of = dict(zip(map(tuple, self.mesh.facets.tolist()), self.mesh.tags, strict=True))
        return cell, local, np.array([tag_of.get(tuple(f), 0) for f in nodes.tolist()])

    def facets(self, sides: Sequence[str]) -> tuple[Any, Any]:
        """Cell and local number of the facets of some sides; "" means facets without a name."""
        cell, local, tags = self._facets
        chosen = np.isin(tags, [self.mesh.sides.get(s, 0) for s in sides])
        return cell[chosen], local[chosen]

    def dofs_on(self, sides: Sequence[str]) -> NDArray[np.int64]:
        """The degrees of freedom on some sides."""
        layout, found = self.V.dofmap.dof_layout, [np.zeros(0, dtype=np.int64)]
        cells, local = self.facets(sides)
        for k in range(len(LOCAL_FACETS[self.mesh.shape])):
            members = layout.entity_closure_dofs(self.mesh.dim - 1, k)
            found.append(self.dofs[cells[local == k]][:, members].ravel())
        return np.unique(np.concatenate(found))

    @cached_property
    def _cell_type(self) -> Any:
        return getattr(fenicsx().basix.CellType, self.mesh.shape)

    def _tabulate(self, order: int, reference: Array) -> tuple[Any, Any]:
        """Tables of the element and of the geometry, each (derivative, point, function)."""
        fx = fenicsx()
        linear = fx.basix.create_element(fx.basix.ElementFamily.P, self._cell_type, 1)
        element = self.V.element.basix_element
        return (
            element.tabulate(order, reference)[..., 0],
            linear.tabulate(order, reference)[..., 0],
        )

    def _matrix(self, table: Any, cells: Any) -> Any:
        """CSR rows (cell, point) from a table (point, function) or (cell, point, function)."""
        columns = self.dofs[cells]
        k, (q, f) = len(columns), table.shape[-2:]
        entries = np.broadcast_to(table, (k, q, f)).ravel()
        where = np.broadcast_to(columns[:, None, :], (k, q, f)).ravel()
        starts = np.arange(k * q + 1) * f
        matrix = sparse.csr_array((entries.copy(), where.copy(), starts), (k * q, self.size))
        matrix.sort_indices()
        return matrix

    def rule(self, order: int) -> Rule:
        """The rule that is exact for degree ``order`` on every cell; points run cell by cell."""
        fx, d = fenicsx(), self.mesh.dim
        reference, weights = fx.basix.make_quadrature(self._cell_type, order)
        table, geometry = self._tabulate(1, reference)
        points = np.einsum("qv,cvd->cqd", geometry[0], self._corners)
        jacobian = np.einsum("tqv,cvd->cqdt", geometry[1:], self._corners)
        measure = np.abs(np.linalg.det(jacobian)) * weights
        slopes = np.einsum("cqtd,tqf->dcqf", np.linalg.inv(jacobian), table[1:])
        every = np.arange(len(self.dofs))
        return Rule(
            points.reshape(-1, d),
            measure.ravel(),
            self._matrix(table[0], every),
            tuple(self._matrix(s, every) for s in slopes),
        )

    def facet_rule(self, side: str, order: int) -> Rule:
        """The rule on the facets of one side."""
        fx, d = fenicsx(), self.mesh.dim
        cells, local = self.facets([side])
        corners = np.asarray(fx.basix.geometry(self._cell_type))
        parts = []
        for k, members in enumerate(LOCAL_FACETS[self.mesh.shape]):
            chosen = cells[local == k]
            if len(chosen) == 0:
                continue
            shape, slopes, weights = _facet_table(len(members), order)
            table, geometry = self._tabulate(0, shape @ corners[members])
            points = np.einsum("qv,cvd->cqd", geometry[0], self._corners[chosen])
            along = np.einsum("sqv,cvd->cqds", slopes, self._corners[chosen][:, members])
            gram = np.einsum("cqds,cqdt->cqst", along, along)
            measure = np.sqrt(np.linalg.det(gram)) * weights
            parts.append((points.reshape(-1, d), measure.ravel(), self._matrix(table[0], chosen)))
        if not parts:
            raise ConfigError(f"boundary side '{side}' has no facets in the mesh")
        points, measure, values = zip(*parts, strict=True)
        return Rule(
            np.concatenate(points), np.concatenate(measure), sparse.vstack(values, format="csr")
        )

    def evaluation(self, places: Array) -> Any:
        """B with (B u)_k = u(place k), CSR of shape (n, dofs), for places (n, d).

        Raises:
            DataSchemaError: a place lies outside the domain; the first one is named.
        """
        return evaluation(self.V, places, self.mesh.extent)


def _facet_table(corners: int, order: int) -> tuple[Array, Array, Array]:
    """Values (q, v) and slopes (s, q, v) of the facet's corner functions, and weights (q,)."""
    if corners == 1:
        return np.ones((1, 1)), np.zeros((0, 1, 1)), np.ones(1)
    fx = fenicsx()
    name = {2: "interval", 3: "triangle", 4: "quadrilateral"}[corners]
    shape = getattr(fx.basix.CellType, name)
    points, weights = fx.basix.make_quadrature(shape, order)
    table = fx.basix.create_element(fx.basix.ElementFamily.P, shape, 1).tabulate(1, points)[..., 0]
    return table[0], table[1:], weights
