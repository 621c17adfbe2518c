"""Coefficients that live at quadrature points, so that they need no mesh of their own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pdeinv.fem.env import fenicsx
from pdeinv.fem.space import ElementName, LagrangeSpace
from pdeinv.typing import Array

__all__ = ["COEFFICIENT_DEGREE", "LOAD_DEGREE", "QuadratureSpace"]

COEFFICIENT_DEGREE: dict[ElementName, int] = {"P1": 1, "Q1": 2, "P2": 3, "Q2": 4}
"""Degree of the rule for κ∇u·∇v: the least with L2 order p + 1 and no spurious mode."""

LOAD_DEGREE: dict[ElementName, int] = {"P1": 3, "Q1": 3, "P2": 5, "Q2": 5}
"""Degree of the rule for source terms."""


@dataclass(frozen=True)
class QuadratureSpace:
    """One value per point of a quadrature rule on every cell.

    Attributes:
        base: the space whose mesh carries the rule.
        degree: the rule integrates polynomials up to this degree exactly.
    """

    base: LagrangeSpace
    degree: int

    @cached_property
    def Q(self) -> Any:  # noqa: N802 - the name of the literature
        """The dolfinx function space."""
        fx = fenicsx()
        element = fx.basix_ufl.quadrature_element(self.base.plain.shape, degree=self.degree)
        return fx.fem.functionspace(self.base.mesh, element)

    @cached_property
    def dx(self) -> Any:
        """The ufl measure of the same rule."""
        metadata = {"quadrature_degree": self.degree, "quadrature_scheme": "default"}
        return fenicsx().ufl.Measure("dx", domain=self.base.mesh, metadata=metadata)

    @cached_property
    def points(self) -> Array:
        """Where the values live, shape (n, 2), ghost cells included."""
        fx, mesh = fenicsx(), self.base.mesh
        shape = getattr(fx.basix.CellType, self.base.plain.shape)
        rule, _ = fx.basix.make_quadrature(shape, self.degree)
        p1 = fx.basix.create_element(fx.basix.ElementFamily.P, shape, 1)
        weights = p1.tabulate(0, rule)[0, :, :, 0]
        corners = mesh.geometry.x[mesh.geometry.dofmaps[0]][:, :, :2]
        placed = np.einsum("qv,cvd->cqd", weights, corners)
        points = np.empty((placed.shape[0] * placed.shape[1], 2))
        points[self.Q.dofmap.list.ravel()] = placed.reshape(-1, 2)
        return points

    def function(self, values: Array | None = None) -> Any:
        """A function of the space, with given values at :attr:`points` or zero."""
        target = fenicsx().fem.Function(self.Q)
        if values is not None:
            target.x.array[:] = values
        return target
