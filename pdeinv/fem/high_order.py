"""Lagrange elements of any degree on one rank: nodes, point values and quadrature as arrays.

Waves need degrees above 2 and complex values, which the finite-element layer's forms for real
elliptic problems do not know. Everything that changes with the coefficient is plain numpy here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pdeinv.fem.env import fenicsx
from pdeinv.fem.mesh import PlainMesh, canonical_order
from pdeinv.fem.points import located_in
from pdeinv.typing import Array

__all__ = ["CellRule", "HighOrderSpace"]

_CORNERS = {"triangle": [0, 1, 2], "quadrilateral": [0, 1, 3, 2]}
"""Corners from counter-clockwise to the order of dolfinx."""


@dataclass(frozen=True)
class CellRule:
    """A quadrature rule on some cells, with the basis functions at its points.

    Attributes:
        dofs: degrees of freedom of each cell, shape (c, d).
        phi: basis functions at the reference points, shape (q, d).
        points: where the points lie, cell by cell, shape (c q, 2).
        weights: quadrature weights with the volume element, shape (c q,).
        n: degrees of freedom of the whole space.
    """

    dofs: NDArray[np.int64]
    phi: Array
    points: Array
    weights: Array
    n: int

    @cached_property
    def values(self) -> Any:
        """E with (E u)_q = u(x_q), complex CSR of shape (c q, n)."""
        c, d = self.dofs.shape
        q = len(self.phi)
        columns = np.repeat(self.dofs, q, axis=0)
        data = np.tile(self.phi, (c, 1)).astype(np.complex128)
        rows = np.arange(0, c * q * d + 1, d)
        return sparse.csr_array((data.ravel(), columns.ravel(), rows), (c * q, self.n))

    @cached_property
    def loads(self) -> Any:
        """The transpose of :attr:`values`, complex CSR."""
        return self.values.T.tocsr()


@dataclass(frozen=True)
class HighOrderSpace:
    """Continuous Lagrange elements of one degree on a dolfinx mesh of one rank.

    Attributes:
        mesh: the dolfinx mesh; its cells may be curved.
        degree: polynomial degree.
    """

    mesh: Any
    degree: int

    @classmethod
    def on_plain(cls, plain: PlainMesh, degree: int) -> HighOrderSpace:
        """The space on a plain mesh of straight cells."""
        fx = fenicsx()
        element = fx.basix_ufl.element("Lagrange", plain.shape, 1, shape=(2,))
        cells = plain.cells[:, _CORNERS[plain.shape]]
        mesh = fx.mesh.create_mesh(fx.MPI.COMM_SELF, cells, element, plain.points)
        return cls(mesh, degree)

    @cached_property
    def V(self) -> Any:  # noqa: N802 - the name of the literature
        """The dolfinx function space."""
        return fenicsx().fem.functionspace(self.mesh, ("Lagrange", self.degree))

    @property
    def n(self) -> int:
        """The number of degrees of freedom."""
        return int(self.V.dofmap.index_map.size_global)

    @cached_property
    def points(self) -> Array:
        """Where each degree of freedom lives, shape (n, 2)."""
        return np.asarray(self.V.tabulate_dof_coordinates()[:, :2])

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """The degrees of freedom in canonical order: by y, then x."""
        return canonical_order(self.points)

    @cached_property
    def faces(self) -> NDArray[np.int64]:
        """Straight cells between neighbouring nodes, in canonical numbers, counter-clockwise."""
        number = np.empty(self.n, dtype=np.int64)
        number[self.order] = np.arange(self.n)
        local = _sub_cells(self._shape, self.degree)
        return number[self._dofs[:, local].reshape(-1, local.shape[1])]

    @cached_property
    def boundary(self) -> NDArray[np.int32]:
        """The degrees of freedom on the outer boundary."""
        fx, mesh = fenicsx(), self.mesh
        mesh.topology.create_connectivity(1, 2)
        facets = fx.mesh.exterior_facet_indices(mesh.topology)
        return np.asarray(fx.fem.locate_dofs_topological(self.V, 1, facets), dtype=np.int32)

    @property
    def _shape(self) -> str:
        return str(self.mesh.topology.cell_name())

    @property
    def _dofs(self) -> NDArray[np.int64]:
        return np.asarray(self.V.dofmap.list, dtype=np.int64)

    @cached_property
    def _corners(self) -> Array:
        """The geometry nodes of every cell, shape (c, g, 2)."""
        geometry = self.mesh.geometry
        return np.asarray(geometry.x[geometry.dofmaps[0]][:, :, :2])

    @property
    def _geometry(self) -> Any:
        return self.mesh.ufl_domain().ufl_coordinate_element().basix_element

    def rule(self, degree: int, box: tuple[float, float, float, float]) -> CellRule:
        """A rule of a given degree on all cells with a point in the box (x0, x1, y0, y1)."""
        fx = fenicsx()
        shape = getattr(fx.basix.CellType, self._shape)
        reference, weights = fx.basix.make_quadrature(shape, degree)
        table = self._geometry.tabulate(1, reference)[..., 0]
        points = np.einsum("qg,cgd->cqd", table[0], self._corners)
        x0, x1, y0, y1 = box
        inside = (points >= [x0, y0]).all(axis=2) & (points <= [x1, y1]).all(axis=2)
        chosen = inside.any(axis=1)
        jacobian = np.einsum("kqg,cgd->cqdk", table[1:], self._corners[chosen])
        volume = np.abs(np.linalg.det(jacobian))
        phi = self.V.element.basix_element.tabulate(0, reference)[0, :, :, 0]
        return CellRule(
            self._dofs[chosen],
            phi,
            points[chosen].reshape(-1, 2),
            (volume * weights).ravel(),
            self.n,
        )

    def at(self, points: Array, direction: Array | None = None) -> Any:
        """B with (B u)_k = u(p_k), or the derivative of u along a direction at p_k.

        Args:
            points: shape (k, 2).
            direction: shape (k, 2); values where None.

        Returns:
            CSR matrix of shape (k, n).

        Raises:
            DataSchemaError: a point lies outside the mesh.
        """
        low, high = self.points.min(axis=0), self.points.max(axis=0)
        extent = tuple(zip(low.tolist(), high.tolist(), strict=True))
        cells, local = located_in(self.mesh, points, extent)
        table = self.V.element.basix_element.tabulate(0 if direction is None else 1, local)[..., 0]
        values = table[0] if direction is None else self._along(table[1:], local, cells, direction)
        columns = self._dofs[cells]
        rows = np.arange(0, columns.size + 1, columns.shape[1])
        return sparse.csr_array((values.ravel(), columns.ravel(), rows), (len(points), self.n))

    def _along(self, slopes: Array, local: Array, cells: Any, direction: Array) -> Array:
        """Directional derivatives of the basis functions, one cell per point."""
        table = self._geometry.tabulate(1, local)[..., 0]
        jacobian = np.einsum("kpg,pgd->pdk", table[1:], self._corners[cells])
        reference = np.linalg.solve(jacobian, direction[:, :, None])[:, :, 0]
        return np.asarray(np.einsum("pk,kpd->pd", reference, slopes))


def _sub_cells(shape: str, degree: int) -> NDArray[np.int64]:
    """The straight cells that the nodes of one element span, as local numbers."""
    fx = fenicsx()
    cell = getattr(fx.basix.CellType, shape)
    even = fx.basix.LagrangeVariant.equispaced
    lagrange = fx.basix.create_element(fx.basix.ElementFamily.P, cell, degree, even)
    steps = np.rint(lagrange.points * degree).astype(int)
    at = {(int(i), int(j)): k for k, (i, j) in enumerate(steps)}
    squares = [(i, j) for i in range(degree) for j in range(degree)]
    if shape == "quadrilateral":
        return np.array(
            [[at[i, j], at[i + 1, j], at[i + 1, j + 1], at[i, j + 1]] for i, j in squares]
        )
    lower = [[at[i, j], at[i + 1, j], at[i, j + 1]] for i, j in squares if i + j < degree]
    upper = [
        [at[i + 1, j], at[i + 1, j + 1], at[i, j + 1]] for i, j in squares if i + j < degree - 1
    ]
    return np.array(lower + upper)
