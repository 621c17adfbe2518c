"""The heat problem: what the protocol asks of it, made of the finite-element layer's pieces."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pdeinv.bayes.prior import Prior
from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.fem.domain import Domain
from pdeinv.fem.field_unknown import FieldUnknown
from pdeinv.io.body import body_variables
from pdeinv.io.fields import described
from pdeinv.memory import check_fits
from pdeinv.model.observed import Observed, Sensors
from pdeinv.model.sensors import (
    AXES,
    check_inside,
    check_times,
    columns,
    grid_nodes,
    parse_timed,
    points_of,
)
from pdeinv.model.strong_form import StrongForm
from pdeinv.plugins.problem import Card
from pdeinv.typing import Array

from .coefficients import Conductivity, HeatTransfer
from .config import Dirichlet, HeatConfig
from .discrete import HeatDiscretisation, steps_at
from .entries import Entry, InitialState, SideFlux, SourceField
from .fields import to_dataset
from .memory import state_bytes
from .model import HeatModel
from .point_sources import PointSources
from .sensors import TimeSensors
from .strong_form import strong_form
from .unknowns import unknown_of

__all__ = ["Heat"]

_ENTRIES: dict[str, type[Entry]] = {
    "initial-state": InitialState,
    "source": SourceField,
    "conductivity": Conductivity,
    "point-sources": PointSources,
    "robin": HeatTransfer,
    "flux": SideFlux,
}


class Heat:
    """ρc ∂u/∂t − ∇·(k∇u) = q: heat conduction with unknown state, source, coefficient or flux.

    Reference: Carslaw and Jaeger (1959); inverse heat conduction: Beck, Blackwell and St. Clair
    (1985); in function space: Stuart (2010), §3.5.
    """

    name: ClassVar[str] = "heat"
    Config: ClassVar[type[HeatConfig]] = HeatConfig
    card: ClassVar[Card] = Card(
        title="Heat conduction in time",
        equation="ρc ∂u/∂t − ∇·(k∇u) = q",
        unknown="initial state, source, moving point sources, conductivity k, heat transfer h or "
        "boundary flux q(t)",
        state="temperature u(x, t) on an interval, rectangle, box or .msh",
        boundary="per side: u, outward flux −k∂u/∂n, or convection h (u − u_ambient), in time; "
        "u = 0 by default",
        units="u in K, x in m, t in s, k in W m-1 K-1, ρc in J m-3 K-1; all configurable",
        reference="Beck, Blackwell and St. Clair (1985); Stuart (2010), §3.5",
    )
    default_sensors: ClassVar[str] = "grid:5"

    def __init__(self, config: HeatConfig | None = None) -> None:
        self.config = config if config is not None else HeatConfig()

    @property
    def axes(self) -> tuple[str, ...]:
        """The coordinates of the domain."""
        return AXES[: self.config.dim]

    @property
    def observed(self) -> Observed:
        """The temperature."""
        units = self.config.units
        axes = dict.fromkeys(self.axes, units.coordinate)
        return Observed("u", units.u, "temperature", {**axes, "t": units.time})

    @cached_property
    def domain(self) -> Domain:
        """The domain with its meshes."""
        unknown = getattr(self.config.unknown, "side", "")
        return self.config.domain([*self.config.boundary, unknown])

    @cached_property
    def unknown(self) -> FieldUnknown:
        """What is sought."""
        return unknown_of(self.config, self.domain)

    def prior(self) -> Prior:
        """The prior of the unknown."""
        return self.unknown.prior

    def sensors(self, spec: str) -> Sensors:
        """Sensors from ``PLACES`` or ``PLACES@TIMES``, such as ``grid:9x9@0.1:1:10``.

        Places are grid:K, grid:KxL, all, list:x,y;x,y or a CSV file with header x,y or x,y,t; times
        FIRST:LAST:COUNT or t,t,... (ten equidistant ones up to the end where not given). ``all``
        means every node of the inversion mesh that is not on a Dirichlet side; a grid leaves out
        points in holes and notches of a .msh.

        Raises:
            ConfigError: not understood, or a sensor lies outside the domain or the run.
        """
        extent, final = self.domain.extent, self.config.time.final
        found = parse_timed(spec, extent, self._free_nodes, final, self.mask)
        check_inside(found, extent)
        check_times(found["t"], final, ConfigError)
        return found

    def _free_nodes(self) -> Array:
        """The nodes of the inversion mesh that are not on a Dirichlet side."""
        given = {s: self.config.boundary.get(s, Dirichlet()) for s in self.domain.sides}
        held = [s for s, c in given.items() if isinstance(c, Dirichlet)]
        nodes = self.domain.nodes()
        return np.delete(nodes.points, nodes.nodes_on(held), axis=0)

    def _entry(self, level: int) -> Entry:
        d = HeatDiscretisation(self.config, self.domain, level)
        return _ENTRIES[self.config.unknown.kind](d, self.unknown)

    def forward_model(self, sensors: Sensors, level: int = 0) -> HeatModel:
        """G: m to temperatures, on the mesh and with the time step of ``level``.

        Raises:
            DataSchemaError: a sensor lies outside the domain or the run.
        """
        check_times(np.asarray(sensors["t"]), self.config.time.final)
        entry = self._entry(level)
        d = entry.discretisation
        found = TimeSensors.on(d.space, d.times, sensors)
        return HeatModel((self.prior().space, self.observed.space(sensors)), entry, found)

    def prepare(self, level: int) -> None:
        """Build what a solve on ``level`` needs, and refuse what it would refuse.

        Raises:
            ConfigError: no mesh or time step of that level, a condition that is not finite, or
                more states than fit into memory.
            DataSchemaError: a mesh that does not serve.
        """
        self._check_size(level)
        self._entry(level).discretisation.evaluate(
            conductivity=self.config.unknown.kind != "conductivity"
        )

    def solve(self, m: Array, level: int = 1, comm: Any = None) -> xr.Dataset:
        """The temperature at all nodes and times of ``level``; every rank computes all of it.

        Raises:
            ConfigError: more states than fit into memory.
            SolverDiverged: m is out of range, or a linear solve failed.
        """
        m = self.prior().space.check(m)
        self._check_size(level)
        place = self.domain.nodes(level).points[:1]
        corner = columns(place)
        model = self.forward_model({**corner, "t": np.array([self.config.time.final])}, level)
        space = model.discretisation.space
        u = np.empty((len(model.discretisation.times), space.size))
        for n, state in model.states(m):
            u[n, space.node_of_dof] = state
        return to_dataset(self.config, self.observed, model.discretisation, u)

    def _check_size(self, level: int) -> None:
        """Refuse a solve whose states cannot fit into memory."""
        times, n = steps_at(self.config, level) + 1, self.dofs(level)
        what = f"{times} times of {n} temperatures"
        check_fits(what, 8 * times * n, "lower time.steps or the level")

    def strong_form(self) -> StrongForm:
        """Residuals at points in space and time, for solvers without a mesh.

        Raises:
            ConfigError: the domain is no box, or the unknown has no strong form.
        """
        return strong_form(self)

    def observe(self, fields: xr.Dataset, sensors: Sensors) -> Array:
        """The temperature of a dataset of :meth:`solve` at the sensors, linear between its times.

        Raises:
            DataSchemaError: not such a dataset, or a sensor outside the domain or the run.
        """
        config, level = described(fields, "heat", HeatConfig, frozenset({"u"}))
        other = self if config == self.config else Heat(config)
        d = HeatDiscretisation(config, other.domain, level)
        found = TimeSensors.on(d.space, d.times, sensors)
        u = np.asarray(fields[self.observed.name], dtype=np.float64)
        if u.shape != (len(d.times), d.space.size):
            raise DataSchemaError(
                f"'{self.observed.name}' has shape {u.shape}, its level {level} has "
                f"{len(d.times)} times and {d.space.size} nodes; solve again"
            )
        return found.data((n, u[n, d.space.node_of_dof]) for n in range(len(d.times)))

    def grid(self, shape: tuple[int, ...]) -> Sensors:
        """The nodes of a grid of ``shape`` (along (z,) y, x) on the bounding box at the final time.

        Raises:
            ConfigError: not as many numbers, of at least two, as the domain has dimensions.
        """
        found = grid_nodes(self.domain.extent, shape)
        return {**found, "t": np.full(found["x"].size, self.config.time.final)}

    def mask(self, points: Array) -> NDArray[np.bool_]:
        """Which points (n, d) lie in the domain; holes and notches of a .msh do not."""
        return self.domain.inside(points)

    def fixtures(self) -> xr.Dataset:
        """The outline of a .msh, and the mesh that an unknown with representation 'spde' is on."""
        mesh, units = self.unknown.mesh, self.config.units.coordinate
        return body_variables(self.domain.outline, mesh, units)

    def grid_operator(self, shape: tuple[int, ...]) -> Any:
        """The sparse matrix from m to the unknown field at :meth:`grid`.

        Raises:
            CapabilityError: the unknown is no field.
        """
        return self.unknown.matrix(points_of(self.grid(shape), self.axes))

    def dofs(self, level: int) -> int:
        """The number of degrees of freedom of one time level on the mesh of ``level``."""
        return len(self.domain.nodes(level).points)

    def memory_estimate(self, level: int = 0) -> int:
        """Bytes that states and matrices of one model take beside the program itself.

        Raises:
            ConfigError: the states do not fit into ``time.memory_mb``.
        """
        return state_bytes(self.config, self.dofs(level), level)
