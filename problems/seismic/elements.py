"""Spectral elements on a rectangle with its absorbing layer: an exactly diagonal mass.

Nodes and quadrature are those of Gauss, Lobatto and Legendre: Lagrange elements of degree p on
squares with the rule of degree 2p − 1, whose points are the nodes (Patera 1984; Komatitsch and
Vilotte 1998). Nodes are in canonical order, by y, then x.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pdeinv.fem.env import fenicsx
from pdeinv.fem.forms import compiled_form
from pdeinv.fem.high_order import HighOrderSpace
from pdeinv.fem.mesh import PlainMesh
from pdeinv.typing import Array

__all__ = ["SpectralElements", "fastest_rate", "lobatto"]


def lobatto(degree: int) -> tuple[Array, Array]:
    """Nodes and weights of Gauss, Lobatto and Legendre on [0, 1], each of shape (degree + 1,)."""
    legendre = np.polynomial.legendre.Legendre.basis(degree)
    inner = np.sort(legendre.deriv().roots().real)
    x = np.concatenate([[-1.0], inner, [1.0]])
    return (x + 1) / 2, 1 / (degree * (degree + 1) * legendre(x) ** 2)


def fastest_rate(degree: int) -> float:
    """The largest λ of K u = λ M u for −u″ on one element of length 1.

    No mesh of such elements has a larger one (Rayleigh), and those of a rectangle add up along x
    and y, each over its length squared.
    """
    x, w = lobatto(degree)
    slopes = np.empty((degree + 1, degree + 1))
    for j in range(degree + 1):
        others = np.delete(x, j)
        slopes[:, j] = np.polyder(np.poly1d(np.poly(others) / np.prod(x[j] - others)))(x)
    stiffness = slopes.T @ (w[:, None] * slopes)
    return float(np.linalg.eigvalsh(stiffness / np.sqrt(np.outer(w, w)))[-1])


@dataclass(frozen=True)
class SpectralElements:
    """Elements of one degree on a mesh of rectangles.

    Attributes:
        plain: the mesh.
        degree: p.
    """

    plain: PlainMesh
    degree: int

    @cached_property
    def space(self) -> HighOrderSpace:
        """The dolfinx space; its nodes are those of Gauss, Lobatto and Legendre."""
        return HighOrderSpace.on_plain(self.plain, self.degree)

    @property
    def n(self) -> int:
        """The number of nodes."""
        return self.space.n

    @cached_property
    def points(self) -> Array:
        """Where they are, shape (n, 2)."""
        return self.space.points[self.space.order]

    @property
    def faces(self) -> NDArray[np.int64]:
        """Straight cells between neighbouring nodes, counter-clockwise."""
        return self.space.faces

    def _measure(self, kind: str) -> Any:
        rule = {"quadrature_rule": "GLL", "quadrature_degree": 2 * self.degree - 1}
        return fenicsx().ufl.Measure(kind, domain=self.space.mesh, metadata=rule)

    @cached_property
    def mass(self) -> Any:
        """∫ u v, CSR."""
        ufl, V = fenicsx().ufl, self.space.V
        return self._matrix(ufl.TrialFunction(V) * ufl.TestFunction(V) * self._measure("dx"))

    @cached_property
    def weights(self) -> Array:
        """The diagonal of the mass, shape (n,)."""
        return self._vector(self._measure("dx"))

    @cached_property
    def rim(self) -> Array:
        """∫ u v over the outer boundary, which is diagonal as well, shape (n,)."""
        return self._vector(self._measure("ds"))

    @cached_property
    def stiffness(self) -> Any:
        """∫ ∇u·∇v, CSR without its zeros: the rule couples nodes of one line of a cell alone."""
        ufl, V = fenicsx().ufl, self.space.V
        u, v = ufl.TrialFunction(V), ufl.TestFunction(V)
        found = self._matrix(ufl.inner(ufl.grad(u), ufl.grad(v)) * self._measure("dx"))
        found.data[np.abs(found.data) < 1e-12 * np.abs(found.data).max()] = 0.0
        found.eliminate_zeros()
        return found

    def _matrix(self, form: Any) -> Any:
        order = self.space.order
        found = fenicsx().fem.assemble_matrix(compiled_form(form)).to_scipy().tocsr()
        return found[order][:, order].tocsr()

    def _vector(self, measure: Any) -> Array:
        form = fenicsx().ufl.TestFunction(self.space.V) * measure
        found = fenicsx().fem.assemble_vector(compiled_form(form))
        return np.array(found.array[self.space.order])

    def evaluation(self, points: Array) -> Any:
        """B with (B u)_k = u(p_k) by the basis of the element, CSR of shape (k, n).

        Raises:
            DataSchemaError: a point lies outside the mesh.
        """
        found = self.space.at(points)[:, self.space.order].tocsr()
        found.data[np.abs(found.data) < 1e-13] = 0.0
        found.eliminate_zeros()
        return found

    @cached_property
    def patches(self) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        """Along x and y, the ends of the intervals that nodes stand for.

        Their lengths are the weights of the rule, so that they tile the mesh and the area of a
        node's patch is its mass.

        Returns:
            For each axis the coordinates of nodes, shape (k,), and ends, shape (k + 1,).
        """
        x, w = lobatto(self.degree)
        found = []
        for i in range(2):
            lines = np.unique(np.round(self.plain.points[:, i], 9))
            steps = np.diff(lines)
            nodes = np.append((lines[:-1, None] + steps[:, None] * x[:-1]).ravel(), lines[-1])
            inner = lines[:-1, None] + steps[:, None] * np.cumsum(w)[:-1]
            found.append((nodes, np.concatenate([lines[:1], inner.ravel(), lines[-1:]])))
        return found[0], found[1]
