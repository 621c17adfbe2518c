"""The Darcy problem: what the protocol asks of it, made of the finite-element layer's pieces."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import xarray as xr

from pdeinv.bayes.prior import FieldPrior
from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.fem.diffusion import BoundaryData, DiffusionSystem
from pdeinv.fem.env import fenicsx
from pdeinv.fem.expressions import Expression
from pdeinv.fem.gmsh import read_msh
from pdeinv.fem.levels import counts_of, refined
from pdeinv.fem.mesh import SIDES, PlainMesh, rectangle
from pdeinv.fem.points import observation_matrix
from pdeinv.fem.space import ElementName, LagrangeSpace, PointFunction, cell_shape, lattice
from pdeinv.model.observed import Observed, Sensors
from pdeinv.model.spaces import Space, Variable
from pdeinv.model.strong_form import StrongForm
from pdeinv.plugins.problem import Card
from pdeinv.typing import Array

from .config import DarcyConfig, Dirichlet, FieldFile, Flux, Formula
from .fields import config_of, field_function, to_dataset
from .manufactured import SMOOTH, Manufactured, configuration
from .model import DarcyModel, check_conductivity
from .sensors import grid_points, parse_sensors
from .strong_form import strong_form
from .unknown import build_prior, parameter_mesh, points_operator

__all__ = ["Darcy"]


def _function(value: Formula) -> PointFunction:
    if isinstance(value, str):
        return Expression(value)
    return lambda x, _y: np.full(np.shape(x), float(value))


class Darcy:
    """−∇·(κ∇u) = f: steady flow in a porous medium with unknown conductivity κ.

    Reference: Bear (1972), ch. 5; as an inverse problem, Dashti and Stuart (2017), §1.4.
    """

    name: ClassVar[str] = "darcy"
    Config: ClassVar[type[DarcyConfig]] = DarcyConfig
    card: ClassVar[Card] = Card(
        title="Steady flow in a porous medium (Darcy)",
        equation="−∇·(κ∇u) = f",
        unknown="hydraulic conductivity κ(x, y) > 0",
        state="hydraulic head u(x, y)",
        boundary="per side: head u, or outward flux −κ∂u/∂n; u = 0 by default",
        units="u in m, x and y in m, κ in m s-1, f in s-1; all configurable",
        reference="Dashti and Stuart (2017); two-phase case: Li et al. (2021)",
    )

    def __init__(self, config: DarcyConfig | None = None) -> None:
        self.config = config if config is not None else DarcyConfig()

    @property
    def observed(self) -> Observed:
        """The hydraulic head."""
        units = self.config.units
        coords = {"x": units.coordinate, "y": units.coordinate}
        return Observed("u", units.u, "hydraulic head", coords)

    @cached_property
    def _file_mesh(self) -> PlainMesh | None:
        if self.config.mesh is None:
            return None
        mesh = read_msh(Path(self.config.mesh))
        unknown = [s for s in self.config.boundary if s not in mesh.sides]
        if unknown:
            known = ", ".join(sorted(mesh.sides)) or "none"
            raise ConfigError(
                f"boundary side '{unknown[0]}' is no physical curve of {self.config.mesh}; "
                f"it has {known}"
            )
        return mesh

    def mesh(self, level: int = 0) -> PlainMesh:
        """The mesh of a level: cells doubled along each side per level.

        Raises:
            ConfigError: there is no mesh that coarse.
        """
        if self._file_mesh is None:
            nx, ny = counts_of(self.config.counts, level)
            return rectangle(self.config.lengths, (nx, ny), cell_shape(self.config.element))
        assert self.config.mesh is not None
        return refined(self._file_mesh, level, self.config.mesh)

    @cached_property
    def _parameter_mesh(self) -> PlainMesh | None:
        return parameter_mesh(self.config, self.mesh())

    @cached_property
    def _prior(self) -> FieldPrior:
        return build_prior(self.config, self.mesh(), self._parameter_mesh)

    def prior(self) -> FieldPrior:
        """The prior of κ, on a grid, on cells or on the nodes of a mesh."""
        return self._prior

    def unknown_nodes(self) -> Array:
        """Where the entries of m live, shape (n_m, 2)."""
        variable = self.prior().space.variables[0]
        x, y = variable.coords["x"][1], variable.coords["y"][1]
        if variable.dims == ("y", "x"):
            x, y = (a.ravel() for a in np.meshgrid(x, y))
        return np.stack([x, y], axis=1)

    @classmethod
    def manufactured(cls) -> tuple[Manufactured, ...]:
        """Exact solutions with smooth variable κ: head on all sides, and flux on two."""
        elements: tuple[ElementName, ...] = ("P1", "P2", "Q1", "Q2")
        sides: dict[str, tuple[str, ...]] = {"fixed head": (), "mixed": ("right", "top")}
        return tuple(
            Manufactured.of(f"{e}, {name}", cls(configuration(SMOOTH, e, flux_sides=s)), SMOOTH)
            for e in elements
            for name, s in sides.items()
        )

    def _conductivity_at(self, points: Array) -> Any:
        variable = self.prior().space.variables[0]
        return points_operator(self.config, variable, self._parameter_mesh, self.mesh(), points)

    def boundary(self) -> BoundaryData:
        """The boundary conditions; sides that the configuration does not name hold u = 0."""
        named = SIDES if self._file_mesh is None else ("", *self._file_mesh.sides)
        given = {side: self.config.boundary.get(side, Dirichlet()) for side in named}
        return BoundaryData(
            {s: _function(c.value) for s, c in given.items() if isinstance(c, Dirichlet)},
            {s: _function(c.value) for s, c in given.items() if isinstance(c, Flux)},
        )

    def system(self, level: int = 0, comm: Any = None) -> DiffusionSystem:
        """The discrete equation on the mesh of ``level``, on one rank where ``comm`` is None."""
        comm = fenicsx().MPI.COMM_SELF if comm is None else comm
        space = LagrangeSpace(self.mesh(level), self.config.element, comm)
        source = self.config.source
        f = field_function(source) if isinstance(source, FieldFile) else _function(source)
        return DiffusionSystem(space, self.boundary(), f)

    def sensors(self, spec: str) -> Sensors:
        """Sensors from ``grid:KxL``, ``all``, ``list:x,y;x,y`` or a CSV file with header x,y.

        ``all`` means every node of the inversion mesh that is not on a Dirichlet side.

        Raises:
            ConfigError: the text is not understood, or a sensor lies outside the rectangle.
        """
        nodes = lattice(self.mesh(), self.config.element)
        free = np.ones(len(nodes.points), dtype=bool)
        free[nodes.nodes_on(list(self.boundary().dirichlet))] = False
        found = parse_sensors(spec, nodes.box, nodes.points[free])
        self._check_inside(found)
        return found

    def _check_inside(self, sensors: Sensors) -> None:
        """Refuse places outside the bounding box; the solver checks the rest of the domain."""
        x0, x1, y0, y1 = self.mesh().box
        x, y, slack = sensors["x"], sensors["y"], 1e-9 * max(x1 - x0, y1 - y0)
        inside = (x >= x0 - slack) & (x <= x1 + slack) & (y >= y0 - slack) & (y <= y1 + slack)
        if not inside.all():
            k = int(np.flatnonzero(~inside)[0])
            raise ConfigError(
                f"sensor {k} at (x, y) = ({x[k]:g}, {y[k]:g}) lies outside the domain "
                f"[{x0:g}, {x1:g}] x [{y0:g}, {y1:g}]; remove it or correct its coordinates"
            )

    def _data_space(self, sensors: Sensors) -> Space:
        o, n = self.observed, len(sensors["x"])
        coords = {name: (("obs",), np.asarray(sensors[name])) for name in o.coords}
        attrs = {name: {"units": units} for name, units in o.coords.items()}
        return Space((Variable(o.name, ("obs",), (n,), o.units, o.long_name, coords, attrs),))

    def forward_model(self, sensors: Sensors, level: int = 0) -> DarcyModel:
        """G: κ's parameters to the head at the sensors, on the mesh of ``level``.

        Raises:
            DataSchemaError: a sensor lies outside the domain.
        """
        system = self.system(level)
        observation = observation_matrix(system.space, sensors["x"], sensors["y"])
        to_points = self._conductivity_at(system.quadrature.points)
        return DarcyModel(
            self.prior().space, self._data_space(sensors), system, to_points, observation
        )

    def state(self, m: Array, level: int = 0, comm: Any = None) -> tuple[DiffusionSystem, Array]:
        """The discrete equation at m and its solution, local values.

        Raises:
            SolverDiverged: m is not positive and finite, or the linear solver failed.
        """
        m = self.prior().space.check(m)
        check_conductivity(m)
        system = self.system(level, comm)
        system.factor(self._conductivity_at(system.quadrature.points) @ m)
        return system, system.state()

    def solve(self, m: Array, level: int = 1, comm: Any = None) -> xr.Dataset:
        """Head and conductivity at the nodes of the mesh of ``level``, the same on every rank.

        Raises:
            SolverDiverged: m is not positive and finite, or the linear solver failed.
        """
        system, local = self.state(m, level, comm)
        return self.dataset(m, system.space.gather(local), level)

    def nodes(self, level: int = 0) -> PlainMesh:
        """The mesh of all degrees of freedom of ``level``, in the order of files."""
        return lattice(self.mesh(level), self.config.element)

    def dataset(self, m: Array, u: Array, level: int) -> xr.Dataset:
        """The head u at the nodes of ``level`` with the conductivity of m there."""
        nodes = self.nodes(level)
        kappa = self._conductivity_at(nodes.points) @ m
        return to_dataset(self.config, self.observed, level, nodes, u, kappa)

    def strong_form(self) -> StrongForm:
        """Residuals at points, for solvers without a mesh.

        Raises:
            ConfigError: the domain is no rectangle, or the conductivity jumps.
        """
        return strong_form(self)

    def observe(self, fields: xr.Dataset, sensors: Sensors) -> Array:
        """The head of a dataset of :meth:`solve` at the sensors, by the element's interpolation.

        Raises:
            DataSchemaError: not such a dataset, or a sensor outside the domain.
        """
        config, level = config_of(fields)
        mesh = (self if config == self.config else Darcy(config)).mesh(level)
        space = LagrangeSpace(mesh, config.element, fenicsx().MPI.COMM_SELF)
        matrix = observation_matrix(space, sensors["x"], sensors["y"])
        u = np.asarray(fields[self.observed.name], dtype=np.float64)
        if u.shape != (space.n_global,):
            raise DataSchemaError(
                f"'{self.observed.name}' has shape {u.shape}, its mesh of level {level} has "
                f"{space.n_global} nodes; solve again"
            )
        return np.asarray(matrix @ u[space.node_of_dof])

    def grid(self, shape: tuple[int, ...]) -> Sensors:
        """The nodes of a grid of ``shape`` (along y, along x) on the bounding box, row-major."""
        return grid_points(self.mesh().box, shape)

    def grid_operator(self, shape: tuple[int, ...]) -> Any:
        """The sparse matrix from m to κ at :meth:`grid`."""
        places = self.grid(shape)
        return self._conductivity_at(np.stack([places["x"], places["y"]], axis=1))

    def dofs(self, level: int) -> int:
        """The number of degrees of freedom on the mesh of ``level``."""
        return len(self.nodes(level).points)
