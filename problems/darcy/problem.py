"""The Darcy problem: what the protocol asks of it, made of the finite-element layer's pieces."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pdeinv.bayes.prior import Prior
from pdeinv.errors import DataSchemaError
from pdeinv.fem.compiled import factor_bytes, pays
from pdeinv.fem.diffusion import BoundaryData, DiffusionSystem
from pdeinv.fem.domain import Domain
from pdeinv.fem.env import fenicsx
from pdeinv.fem.expressions import Expression
from pdeinv.fem.field_unknown import FieldUnknown, Labels, Nodes
from pdeinv.fem.mesh import PlainMesh
from pdeinv.fem.space import LagrangeSpace, PointFunction, lattice
from pdeinv.fem.tiled import CACHE_BYTES
from pdeinv.io.body import body_variables
from pdeinv.io.fields import Layout, described
from pdeinv.kernels.tiles import lanes
from pdeinv.model.observed import Observed, Sensors
from pdeinv.model.reference import check_positive
from pdeinv.model.sensors import check_inside, columns, grid_nodes, parse_places, points_of
from pdeinv.model.strong_form import StrongForm
from pdeinv.plugins.problem import Card
from pdeinv.typing import Array

from .config import DarcyConfig, Dirichlet, FieldFile, Flux, Formula
from .fields import field_function
from .model import DarcyModel
from .strong_form import strong_form

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

    axes: ClassVar[tuple[str, ...]] = ("x", "y")
    default_sensors: ClassVar[str] = "grid:5x5"

    def __init__(self, config: DarcyConfig | None = None) -> None:
        self.config = config if config is not None else DarcyConfig()

    @property
    def observed(self) -> Observed:
        """The hydraulic head."""
        units = self.config.units
        coords = {"x": units.coordinate, "y": units.coordinate}
        return Observed("u", units.u, "hydraulic head", coords)

    @cached_property
    def domain(self) -> Domain:
        """The domain with its meshes.

        Raises:
            ConfigError: the .msh has no side that the configuration names.
        """
        return self.config.domain(self.config.boundary)

    def mesh(self, level: int = 0) -> PlainMesh:
        """The mesh of a level: cells doubled along each side per level.

        Raises:
            ConfigError: there is no mesh that coarse.
        """
        return self.domain.plain(level)

    @cached_property
    def unknown(self) -> FieldUnknown:
        """The conductivity."""
        domain, units = self.domain, self.config.units
        mesh = None if domain.file is None else lambda: Nodes.of_plane(domain.plane)
        labels = Labels(
            "conductivity", units.conductivity, "hydraulic conductivity", units.coordinate
        )
        return FieldUnknown.of(self.config.unknown, domain.extent, labels, mesh)

    def prior(self) -> Prior:
        """The prior of κ, on a grid, on cells or on the nodes of a mesh."""
        return self.unknown.prior

    def boundary(self) -> BoundaryData:
        """The boundary conditions; sides that the configuration does not name hold u = 0."""
        given = {side: self.config.boundary.get(side, Dirichlet()) for side in self.domain.sides}
        return BoundaryData(
            {s: _function(c.value) for s, c in given.items() if isinstance(c, Dirichlet)},
            {s: _function(c.value) for s, c in given.items() if isinstance(c, Flux)},
        )

    def system(self, level: int = 0, comm: Any = None) -> DiffusionSystem:
        """The discrete equation on the mesh of ``level``, on one rank where ``comm`` is None."""
        comm = fenicsx().MPI.COMM_SELF if comm is None else comm
        space = LagrangeSpace(self.mesh(level), self.config.element, comm)
        source = self.config.source
        return DiffusionSystem(space, self.boundary(), self._source(source))

    def _source(self, source: Formula | FieldFile) -> PointFunction:
        if isinstance(source, FieldFile):
            return field_function(source, self.config.units)
        return _function(source)

    def sensors(self, spec: str) -> Sensors:
        """Sensors from ``grid:KxL``, ``all``, ``list:x,y;x,y`` or a CSV file with header x,y.

        ``all`` means every node of the inversion mesh that is not on a Dirichlet side; a grid
        leaves out points in holes and notches of a .msh.

        Raises:
            ConfigError: the text is not understood, or a sensor lies outside the rectangle.
        """
        extent = self.domain.extent
        found = columns(parse_places(spec, extent, self._free_nodes, inside=self.mask))
        check_inside(found, extent)
        return found

    def _free_nodes(self) -> Array:
        """The nodes of the inversion mesh that are not on a Dirichlet side."""
        nodes = self.nodes()
        return np.delete(nodes.points, nodes.nodes_on(list(self.boundary().dirichlet)), axis=0)

    def forward_model(self, sensors: Sensors, level: int = 0) -> DarcyModel:
        """G: κ's parameters to the head at the sensors, on the mesh of ``level``.

        Raises:
            DataSchemaError: a sensor lies outside the domain.
        """
        system = self.system(level)
        observation = system.space.evaluation(points_of(sensors, self.axes))
        spaces = self.prior().space, self.observed.space(sensors)
        reduced = system.reduced(self.unknown.matrix(system.quadrature.points))
        return DarcyModel(spaces, reduced, observation)

    def state(self, m: Array, level: int = 0, comm: Any = None) -> tuple[DiffusionSystem, Array]:
        """The discrete equation at m and its solution, local values.

        Raises:
            SolverDiverged: m is not positive and finite, or the linear solver failed.
        """
        m = self.prior().space.check(m)
        check_positive(m, "conductivity", " of m")
        system = self.system(level, comm)
        system.factor(self.unknown.matrix(system.quadrature.points) @ m)
        return system, system.state()

    def prepare(self, level: int) -> None:
        """Build what a solve on ``level`` needs, and refuse what it would refuse.

        Raises:
            ConfigError: no mesh of that level, or no side with a given head.
            DataSchemaError: a file of the mesh or of the source that does not serve.
        """
        self.system(level)

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
        config, observed, nodes = self.config, self.observed, self.nodes(level)
        layout = Layout(nodes.points, nodes.cells, config.element, config.units.coordinate)
        kappa, v = self.unknown.at(nodes.points)(m), self.unknown.variable
        variables = {
            observed.name: layout.node(u, observed.units, observed.long_name),
            "kappa": layout.node(kappa, v.units, v.long_name),
        }
        return layout.dataset(variables, {}, ("darcy", config, level))

    def memory_estimate(self, level: int = 0) -> int:
        """Bytes of factors and tensor that one running model holds, those of rows included."""
        n = self.dofs(level)
        tile = lanes() * factor_bytes(n) if pays(n) else 0
        return factor_bytes(n) + tile + max(tile, CACHE_BYTES) + 100 * 12 * n

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
        config, level = described(fields, "darcy", DarcyConfig, frozenset({"u"}))
        mesh = (self if config == self.config else Darcy(config)).mesh(level)
        space = LagrangeSpace(mesh, config.element, fenicsx().MPI.COMM_SELF)
        matrix = space.evaluation(points_of(sensors, self.axes))
        u = np.asarray(fields[self.observed.name], dtype=np.float64)
        if u.shape != (space.n_global,):
            raise DataSchemaError(
                f"'{self.observed.name}' has shape {u.shape}, its mesh of level {level} has "
                f"{space.n_global} nodes; solve again"
            )
        return np.asarray(matrix @ u[space.node_of_dof])

    def grid(self, shape: tuple[int, ...]) -> Sensors:
        """The nodes of a grid of ``shape`` (along y, along x) on the bounding box, row-major."""
        return grid_nodes(self.domain.extent, shape)

    def mask(self, points: Array) -> NDArray[np.bool_]:
        """Which points (n, 2) lie in the domain; holes and notches of a .msh do not."""
        return self.domain.inside(points)

    def fixtures(self) -> xr.Dataset:
        """The outline of a .msh, and the mesh that an unknown with representation 'spde' is on."""
        mesh, units = self.unknown.mesh, self.config.units.coordinate
        return body_variables(self.domain.outline, mesh, units)

    def grid_operator(self, shape: tuple[int, ...]) -> Any:
        """The sparse matrix from m to κ at :meth:`grid`."""
        return self.unknown.matrix(points_of(self.grid(shape), self.axes))

    def dofs(self, level: int) -> int:
        """The number of degrees of freedom on the mesh of ``level``."""
        return len(self.nodes(level).points)
