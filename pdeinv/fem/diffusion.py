"""−∇·(κ∇u) = f, κ given by values at quadrature points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from pdeinv.errors import ConfigError
from pdeinv.fem.env import fenicsx
from pdeinv.fem.forms import compiled_form
from pdeinv.fem.linear import Method, SpdSystem
from pdeinv.fem.mesh import PlainMesh
from pdeinv.fem.mesh_checks import parts, spot
from pdeinv.fem.quadrature import COEFFICIENT_DEGREE, LOAD_DEGREE, QuadratureSpace
from pdeinv.fem.reduced import ReducedSystem
from pdeinv.fem.space import LagrangeSpace, PointFunction, degree
from pdeinv.fem.tensor import SparseTensor
from pdeinv.typing import Array

__all__ = ["BoundaryData", "DiffusionSystem"]


@dataclass(frozen=True)
class BoundaryData:
    """What holds on each side; the empty name stands for boundary edges without a name.

    Attributes:
        dirichlet: u by side; where two sides meet, the later one wins.
        flux: outward flux −κ∂u/∂n by side.
    """

    dirichlet: Mapping[str, PointFunction]
    flux: Mapping[str, PointFunction] = field(default_factory=dict)


def _check_held(mesh: PlainMesh, sides: list[str]) -> None:
    """Refuse a mesh with a part on which no side holds a Dirichlet condition.

    Raises:
        ConfigError: with a place in the part.
    """
    count, part = parts(mesh.cells, len(mesh.points))
    held = np.zeros(count, dtype=bool)
    held[part[mesh.nodes_on(sides)]] = True
    if not held.all():
        place = spot(mesh.points[np.flatnonzero(~held[part])[0]])
        raise ConfigError(
            f"the part of the mesh at {place} is joined to no other and no side of it holds a "
            "Dirichlet condition, so u is known up to a constant there; give it a value, or join it"
        )


class DiffusionSystem:
    """The discrete equation A(κ) u = b(κ) on one space, on any number of ranks.

    Weak form: ∫ κ∇u·∇v = ∫ f v − ∫_flux g v for all v that vanish on the Dirichlet sides.

    Args:
        space: finite-element space.
        boundary: boundary conditions; at least one Dirichlet side.
        source: f as a function of x and y.
        method: linear solver; by size where None.

    Attributes:
        space: as given.
        quadrature: where κ lives.
        fixed: local degrees of freedom on the Dirichlet sides.
        form: the compiled bilinear form.
        load: ∫ f v − ∫ g v, local values.
    """

    def __init__(
        self,
        space: LagrangeSpace,
        boundary: BoundaryData,
        source: PointFunction,
        method: Method | None = None,
    ) -> None:
        fx = fenicsx()
        ufl = fx.ufl
        self.space = space
        self.quadrature = QuadratureSpace(space, COEFFICIENT_DEGREE[space.element])
        self.kappa = self.quadrature.function()
        self.fixed, self._bc = self._conditions(boundary)
        trial, test = ufl.TrialFunction(space.V), ufl.TestFunction(space.V)
        dx, grad, inner = self.quadrature.dx, ufl.grad, ufl.inner
        self.form = compiled_form(self.kappa * inner(grad(trial), grad(test)) * dx)
        self.load = self._assemble_load(boundary, source)
        self._method = method

    @cached_property
    def linear(self) -> SpdSystem:
        """The linear system."""
        return SpdSystem(self.form, self.space.V, [self._bc], self._method)

    def _conditions(self, boundary: BoundaryData) -> tuple[Any, Any]:
        """The Dirichlet degrees of freedom and the condition that holds all of them."""
        fx = fenicsx()
        value, dofs = fx.fem.Function(self.space.V), []
        for side, function in boundary.dirichlet.items():
            on_side = self.space.dofs([side])
            value.x.array[on_side] = self.space.interpolate(function).x.array[on_side]
            dofs.append(on_side)
        fixed = np.unique(np.concatenate([np.zeros(0, dtype=np.int32), *dofs]))
        total = self.space.comm.allreduce(len(fixed))
        if total == 0:
            raise ConfigError(
                "no boundary side holds a Dirichlet condition, so u is known up to a constant; "
                "give at least one side a value"
            )
        _check_held(self.space.plain, list(boundary.dirichlet))
        if not np.isfinite(value.x.array).all():
            raise ConfigError("a Dirichlet value is not finite on its side; check the expression")
        self._lifted = bool(self.space.comm.allreduce(int(np.any(value.x.array != 0))))
        return fixed, fx.fem.dirichletbc(value, fixed)

    def _assemble_load(self, boundary: BoundaryData, source: PointFunction) -> Array:
        """∫ f v − ∫ g v, which does not depend on κ."""
        fx, space = fenicsx(), self.space
        rule = QuadratureSpace(space, LOAD_DEGREE[space.element])
        f = rule.function(_finite(source, rule.points))
        load = self._assembled(compiled_form(f * fx.ufl.TestFunction(space.V) * rule.dx))
        for side, flux in boundary.flux.items():
            load -= self._assembled(self._flux_form(side, flux))
        return load

    def _flux_form(self, side: str, flux: PointFunction) -> Any:
        """∫ g v over one side, with g interpolated one degree above v so that no order is lost."""
        fx, space = fenicsx(), self.space
        finer = fx.fem.functionspace(space.mesh, ("Lagrange", degree(space.element) + 1))
        facets = np.sort(space.facets([side]))
        on_side = fx.fem.locate_dofs_topological(finer, 1, facets)
        g, everywhere = fx.fem.Function(finer), fx.fem.Function(finer)
        everywhere.interpolate(lambda x: flux(x[0], x[1]))
        g.x.array[on_side] = everywhere.x.array[on_side]
        if not np.isfinite(g.x.array).all():
            raise ConfigError(f"the flux on side '{side}' is not finite; check its expression")
        marks = fx.mesh.meshtags(space.mesh, 1, facets, np.ones(len(facets), dtype=np.int32))
        ds = fx.ufl.Measure("ds", domain=space.mesh, subdomain_data=marks)
        return compiled_form(g * fx.ufl.TestFunction(space.V) * ds(1))

    def _assembled(self, form: Any) -> Array:
        """A linear form over all ranks, local values with ghosts up to date."""
        vector = fenicsx().fem.assemble_vector(form)
        self._share(vector)
        return np.asarray(vector.array).copy()

    def _share(self, vector: Any) -> None:
        if self.space.comm.size > 1:
            la = fenicsx().la
            vector.scatter_reverse(la.InsertMode.add)
            vector.scatter_forward()

    def factor(self, kappa: Array) -> None:
        """Take κ at :attr:`quadrature` points; the next solve factors A(κ)."""
        self.kappa.x.array[:] = kappa
        self.linear.assemble()

    def state(self) -> Array:
        """The solution u for the present κ, local values.

        Raises:
            SolverDiverged: the solve failed.
        """
        b = self.load.copy()
        if self._lifted:
            self._lift(b)
        else:
            b[self.fixed] = 0.0
        return self.linear.solve(b)

    def _lift(self, b: Array) -> None:
        """Move the known Dirichlet values to the right-hand side."""
        fx = fenicsx()
        moved = fx.fem.create_vector(self.space.V)
        fx.fem.apply_lifting(moved.array, [self.form], [[self._bc]])
        self._share(moved)
        b += moved.array
        b[self.fixed] = self._bc.g.x.array[self.fixed]

    def reduced(self, to_points: Any) -> ReducedSystem:
        """The equation for the free degrees of freedom, on one rank, of parameters m.

        Args:
            to_points: P with κ = P m at :attr:`quadrature` points.
        """
        tensor = SparseTensor.of(self.form, self.kappa).of_parameters(to_points)
        values = np.asarray(self._bc.g.x.array)
        points = self.space.V.tabulate_dof_coordinates()[:, :2]
        return ReducedSystem(tensor, self.load, values, self.fixed, points, self._method)


def _finite(function: PointFunction, points: Array) -> Array:
    values = function(points[:, 0], points[:, 1])
    if not np.isfinite(values).all():
        k = int(np.flatnonzero(~np.isfinite(values))[0])
        raise ConfigError(
            f"the source is not finite at ({points[k, 0]:.4g}, {points[k, 1]:.4g}); "
            "check its expression"
        )
    return values
