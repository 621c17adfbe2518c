"""The heat problem: what the protocol asks of it, made of the finite-element layer's pieces."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import xarray as xr

from pdeinv.bayes.prior import Prior
from pdeinv.errors import CapabilityError, ConfigError, DataSchemaError
from pdeinv.fem.domain import Domain
from pdeinv.model.observed import Observed, Sensors
from pdeinv.model.spaces import Space, Variable
from pdeinv.model.strong_form import StrongForm
from pdeinv.plugins.problem import Card
from pdeinv.typing import Array

from .config import Dirichlet, HeatConfig
from .discrete import HeatDiscretisation, domain_of
from .entries import Entry
from .fields import config_of, to_dataset
from .kinds import entry_of
from .memory import state_bytes
from .model import HeatModel
from .sensors import TimeSensors, check_times, parse_sensors
from .strong_form import strong_form
from .unknowns import Unknown, unknown_of

__all__ = ["Heat"]


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
    def observed(self) -> Observed:
        """The temperature."""
        units = self.config.units
        axes = dict.fromkeys("xyz"[: self.config.dim], units.coordinate)
        return Observed("u", units.u, "temperature", {**axes, "t": units.time})

    @cached_property
    def domain(self) -> Domain:
        """The domain with its meshes."""
        return domain_of(self.config)

    @cached_property
    def unknown(self) -> Unknown:
        """What is sought."""
        return unknown_of(self.config, self.domain)

    def prior(self) -> Prior:
        """The prior of the unknown."""
        return self.unknown.prior

    def unknown_nodes(self) -> Array:
        """Where the entries of a field m live, shape (n_m, d)."""
        return self.unknown.nodes

    def sensors(self, spec: str) -> Sensors:
        """Sensors from ``PLACES`` or ``PLACES@TIMES``, such as ``grid:9x9@0.1:1:10``.

        Places are grid:K, grid:KxL, all, list:x,y;x,y or a CSV file with header x,y or x,y,t; times
        FIRST:LAST:COUNT or t,t,... (ten equidistant ones up to the end where not given). ``all``
        means every node of the inversion mesh that is not on a Dirichlet side.

        Raises:
            ConfigError: not understood, or a sensor lies outside the domain or the run.
        """
        nodes = self.domain.nodes()
        free = np.ones(len(nodes.points), dtype=bool)
        held = [
            s
            for s in self.domain.sides
            if isinstance(self.config.boundary.get(s, Dirichlet()), Dirichlet)
        ]
        free[nodes.nodes_on(held)] = False
        final = self.config.time.final
        found = parse_sensors(spec, self.domain.extent, nodes.points[free], final)
        self._check_inside(found)
        return found

    def _check_inside(self, sensors: Sensors) -> None:
        """Refuse places outside the bounding box; the solver checks the rest of the domain."""
        extent = self.domain.extent
        slack = 1e-9 * max(b - a for a, b in extent)
        bad = np.zeros(len(sensors["t"]), dtype=bool)
        for axis, (a, b) in zip("xyz", extent, strict=False):
            bad |= (sensors[axis] < a - slack) | (sensors[axis] > b + slack)
        if bad.any():
            k = int(np.flatnonzero(bad)[0])
            names = "xyz"[: len(extent)]
            place = ", ".join(f"{sensors[a][k]:g}" for a in names)
            box = " x ".join(f"[{a:g}, {b:g}]" for a, b in extent)
            raise ConfigError(
                f"sensor {k} at ({', '.join(names)}) = ({place}) lies outside the domain {box}; "
                "remove it or correct its coordinates"
            )
        try:
            check_times(sensors["t"], self.config.time.final)
        except DataSchemaError as error:
            raise ConfigError(str(error)) from None

    def _data_space(self, sensors: Sensors) -> Space:
        o, n = self.observed, len(sensors["t"])
        coords = {name: (("obs",), np.asarray(sensors[name])) for name in o.coords}
        attrs = {name: {"units": units} for name, units in o.coords.items()}
        return Space((Variable(o.name, ("obs",), (n,), o.units, o.long_name, coords, attrs),))

    def _entry(self, level: int) -> Entry:
        return entry_of(HeatDiscretisation(self.config, self.domain, level), self.unknown)

    def forward_model(self, sensors: Sensors, level: int = 0) -> HeatModel:
        """G: m to temperatures, on the mesh and with the time step of ``level``.

        Raises:
            DataSchemaError: a sensor lies outside the domain or the run.
        """
        check_times(np.asarray(sensors["t"]), self.config.time.final)
        entry = self._entry(level)
        d = entry.discretisation
        found = TimeSensors.on(d.space, d.times, sensors)
        return HeatModel(self.prior().space, self._data_space(sensors), entry, found)

    def solve(self, m: Array, level: int = 1, comm: Any = None) -> xr.Dataset:
        """The temperature at all nodes and times of ``level``; every rank computes all of it.

        Raises:
            SolverDiverged: m is out of range, or a linear solve failed.
        """
        m = self.prior().space.check(m)
        place = self.domain.nodes(level).points[:1]
        corner = {a: place[:, i] for i, a in enumerate("xyz"[: self.config.dim])}
        model = self.forward_model({**corner, "t": np.array([self.config.time.final])}, level)
        space = model.discretisation.space
        u = np.empty((len(model.discretisation.times), space.size))
        for n, state in model.states(m):
            u[n, space.node_of_dof] = state
        return to_dataset(self.config, self.observed, model.discretisation, u)

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
        config, level = config_of(fields)
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
        extent = self.domain.extent
        if len(shape) != len(extent) or min(shape) < 2:
            raise ConfigError(
                f"grid shape: expected {len(extent)} numbers of at least 2, got {shape}"
            )
        axes = [np.linspace(a, b, n) for (a, b), n in zip(extent, shape[::-1], strict=True)]
        mesh = np.meshgrid(*axes[::-1], indexing="ij")[::-1]
        found = {name: c.ravel() for name, c in zip("xyz", mesh, strict=False)}
        return {**found, "t": np.full(found["x"].size, self.config.time.final)}

    def grid_operator(self, shape: tuple[int, ...]) -> Any:
        """The sparse matrix from m to the unknown field at :meth:`grid`.

        Raises:
            CapabilityError: the unknown is no field.
        """
        if self.config.unknown.kind not in ("initial-state", "source", "conductivity"):
            raise CapabilityError(
                f"unknown '{self.config.unknown.kind}' is no field on the domain; use a surrogate "
                "that works on the whitened unknown (gp, latent, multifidelity)"
            )
        places = self.grid(shape)
        points = np.stack([places[a] for a in "xyz"[: len(shape)]], axis=1)
        return self.unknown.to_points(points)

    def dofs(self, level: int) -> int:
        """The number of degrees of freedom of one time level on the mesh of ``level``."""
        return len(self.domain.nodes(level).points)

    def memory_estimate(self, level: int = 0) -> int:
        """Bytes that states and matrices of one model take beside the program itself.

        Raises:
            ConfigError: the states do not fit into ``time.memory_mb``.
        """
        return state_bytes(self.config, self.dofs(level), level)
