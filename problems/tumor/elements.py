"""The reference model of diffusion: linear finite elements of dolfinx on the voxels of tissue.

Each voxel is cut into simplices without obtuse angles and the mass is lumped, so that M + a K is an
M-matrix: it has positive numbers on its diagonal only, and its inverse averages (Ciarlet and
Raviart 1973).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import permutations
from math import factorial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import cg

from pdeinv.errors import SolverDiverged
from pdeinv.fem.domain import CellMesh, Shape
from pdeinv.fem.energy import Energy
from pdeinv.fem.factor import factored
from pdeinv.fem.nodal import NodalSpace
from pdeinv.typing import Array

from .grids import Voxels

__all__ = ["ElementDiffusion"]

_TOLERANCE, _MOST = 1e-13, 2000
"""Of the iteration in solids: the residual relative to the right-hand side, and its steps."""

_HINT = "the diffusivity is invalid"

_SIMPLEX: dict[int, Shape] = {1: "interval", 2: "triangle", 3: "tetrahedron"}


@dataclass(frozen=True)
class _Implicit:
    """S = (M + a K)^(-1) M with its derivative."""

    inverse: Callable[[Array], Array]
    mass: Array
    stiffness: Any

    def solve(self, b: Array) -> Array:
        return self.inverse(self.mass * b[:, 0])[:, None]

    def transposed(self, w: Array) -> Array:
        return (self.mass * self.inverse(w[:, 0]))[:, None]

    def times(self, u: Array) -> Array:
        return np.asarray((self.stiffness @ u[:, 0]) / self.mass)[:, None]


@dataclass(frozen=True)
class _Simplices:
    """∫ ∇φ_i·D∇φ_j simplex by simplex, of which each voxel has as many, one after another.

    Attributes:
        cells: corners of each, (m, d + 1).
        slopes: ∇φ_i on each, (m, d + 1, d).
        flux: the volume of each times D there, (m, d, d), for D = 1 in white matter.
        each: how many a voxel has.
    """

    cells: NDArray[np.int64]
    slopes: Array
    flux: Array
    each: int

    @classmethod
    def of(cls, mesh: CellMesh, voxels: Voxels) -> _Simplices:
        """Those of a mesh of voxels."""
        each, d = len(mesh.cells) // voxels.centres.size, voxels.centres.dim
        tensor = np.eye(d) if voxels.tensor is None else voxels.tensor
        diffusivity = np.repeat(voxels.diffusivity[:, None, None] * tensor, each, axis=0)
        edges = mesh.points[mesh.cells[:, 1:]] - mesh.points[mesh.cells[:, :1]]
        rest = np.swapaxes(np.linalg.inv(edges), 1, 2)
        slopes = np.concatenate([-rest.sum(axis=1, keepdims=True), rest], axis=1)
        volume = np.abs(np.linalg.det(edges)) / factorial(d)
        return cls(mesh.cells, slopes, volume[:, None, None] * diffusivity, each)

    def stiffness(self, factor: Array) -> Any:
        """K with D times a factor on each voxel."""
        flux = np.repeat(factor, self.each)[:, None, None] * self.flux
        local = self.slopes @ flux @ np.swapaxes(self.slopes, 1, 2)
        corners = self.cells.shape[1]
        rows, columns = np.repeat(self.cells, corners, axis=1), np.tile(self.cells, (1, corners))
        size = int(self.cells.max()) + 1
        entries = (local.ravel(), (rows.ravel(), columns.ravel()))
        return sparse.csr_array(sparse.coo_array(entries, shape=(size, size)))

    def slope(self, w: Array, u: Array) -> Array:
        """The derivatives of w·K u by the factors, (n_voxels,)."""
        left, right = (np.einsum("mi,mid->md", v[self.cells], self.slopes) for v in (w, u))
        by_cell = np.einsum("md,mde,me->m", left, self.flux, right)
        return np.asarray(by_cell.reshape(-1, self.each).sum(axis=1))


@dataclass(frozen=True)
class _Varying(_Implicit):
    """S of factors that differ from voxel to voxel."""

    simplices: _Simplices

    def change(self, u: Array, da: Array) -> Array:
        moved = self.simplices.stiffness(da[:, 0]) @ u[:, 0]
        return np.asarray(moved / self.mass)[:, None]

    def slope(self, w: Array, u: Array) -> Array:
        return self.simplices.slope(w[:, 0] / self.mass, u[:, 0])[:, None]


class ElementDiffusion:
    """Diffusion on the corners of voxels, of one lane.

    Args:
        voxels: with their diffusivity.

    Attributes:
        cells: corners of each simplex among the active ones.
        mass: lumped, shape (n,).
        stiffness: K for D = 1 in white matter, CSR.
    """

    def __init__(self, voxels: Voxels) -> None:
        lattice = voxels.corners
        mesh = _mesh(voxels)
        space = NodalSpace(mesh, "P1", mesh)
        energy = Energy.on(space)
        order = np.argsort(space.node_of_dof)
        whole = energy.matrix(energy.data(_diffusivity_at(voxels, energy.rule.points)))
        rule = space.rule(1)
        self.cells, self._points = mesh.cells, lattice.points
        self.mass = np.asarray(rule.load @ np.ones(len(rule.weights)))[order]
        self.stiffness = sparse.csr_array(whole[order][:, order])
        self._parts = partial(_Simplices.of, mesh, voxels)
        if voxels.tensor is not None:
            self.stiffness = self._simplices.stiffness(np.ones(voxels.centres.size))

    @cached_property
    def _simplices(self) -> _Simplices:
        """Made where D differs in direction, or from voxel to voxel by what is unknown."""
        return self._parts()

    def stages(self, a: Array) -> tuple[Sequence[_Implicit], Sequence[_Implicit]]:
        """One stage, factored in the plane and iterated in solids, where factors fill."""
        varying = a.ndim == 2
        stiffness = self._simplices.stiffness(a[:, 0]) if varying else float(a[0]) * self.stiffness
        matrix = sparse.csc_array(sparse.diags_array(self.mass) + stiffness)
        direct = self._points.shape[1] < 3
        inverse = factored(matrix, self._points, hint=_HINT) if direct else _iterated(matrix)
        one = (
            _Varying(inverse, self.mass, stiffness, self._simplices)
            if varying
            else _Implicit(inverse, self.mass, self.stiffness)
        )
        return (one,), (one,)


def _iterated(matrix: Any) -> Callable[[Array], Array]:
    """Conjugate gradients with the diagonal as preconditioner.

    The matrix is close to its diagonal, since a time step spreads cells over few voxels.
    """
    by_rows, scale = sparse.csr_array(matrix), sparse.diags_array(1 / matrix.diagonal())

    def solve(b: Array) -> Array:
        x, state = cg(by_rows, b, scale @ b, rtol=_TOLERANCE, maxiter=_MOST, M=scale)
        if state != 0:
            raise SolverDiverged(
                f"conjugate gradients did not converge in {_MOST} steps; {_HINT} or too large"
            )
        return np.asarray(x)

    return solve


def _mesh(voxels: Voxels) -> CellMesh:
    """The simplices of the voxels with tissue; nodes are the active corners in their order.

    Each voxel is cut along its paths from the lowest corner to the highest (Kuhn).
    """
    corners, d = voxels.corners, voxels.centres.dim
    strides = np.cumprod([1, *(len(a) for a in corners.axes[:-1])])
    lowest = np.asarray(sum(i * s for i, s in zip(voxels.centres.index, strides, strict=True)))
    paths = np.array([np.cumsum([0, *strides[list(p)]]) for p in permutations(range(d))])
    if d == 2:
        paths[1, 1:] = paths[1, :0:-1]  # counter-clockwise as well
    cells = corners.number.ravel()[(lowest[:, None, None] + paths).reshape(-1, d + 1)]
    none = np.zeros((0, d), dtype=np.int64)
    return CellMesh(corners.points, cells, _SIMPLEX[d], none, none[:, 0], {})


def _voxel_of(voxels: Voxels, points: Array) -> tuple[Any, ...]:
    """The voxel that each point (n, d) lies in, as an index of arrays over voxels."""
    steps = points / np.array(voxels.centres.spacing)
    return tuple(np.floor(steps).astype(np.int64).T[::-1])


def _diffusivity_at(voxels: Voxels, points: Array) -> Array:
    return np.asarray(voxels.diffusivity[voxels.centres.number[_voxel_of(voxels, points)]])
