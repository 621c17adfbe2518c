"""The seismic problem: what the protocol asks of it, made of the pieces beside it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import Any, ClassVar

import numpy as np
import xarray as xr

from pdeinv.bayes.prior import Prior
from pdeinv.fem.pml import framed_rectangle
from pdeinv.io.fields import described
from pdeinv.io.observations import Observations
from pdeinv.memory import check_fits
from pdeinv.model.derived import Derived
from pdeinv.model.observed import Observed, Sensors
from pdeinv.model.sensors import grid_nodes, points_of
from pdeinv.plugins.problem import Card, Importer
from pdeinv.typing import Array

from . import places
from .clock import Clock
from .config import SeismicConfig
from .derived import derived_of
from .differences_model import DifferencesModel, OnGrid
from .elements import SpectralElements
from .fields import table_of, to_dataset
from .grid import NodeGrid
from .importer import IMPORTERS
from .memory import state_bytes
from .model import Discretisation, SeismicModel
from .remarks import remarks
from .resolution import check_resolution
from .scheme import Scheme
from .survey import Rows, numbers_of, observed_of, parse
from .unknown import Unknown

__all__ = ["Seismic"]


class Seismic:
    """m ∂²u/∂t² − ∇²u = s, m = 1/v²: acoustic waves from shots in a medium of unknown velocity.

    Reference: Tarantola (1984); Virieux and Operto (2009); spectral elements: Komatitsch and
    Vilotte (1998).
    """

    name: ClassVar[str] = "seismic"
    Config: ClassVar[type[SeismicConfig]] = SeismicConfig
    card: ClassVar[Card] = Card(
        title="Seismic waves from shots (full-waveform inversion)",
        equation="m ∂²u/∂t² − ∇²u = s, m = 1/v²",
        unknown="velocity v(x, y) (field, bounded field, cells, phases, layers); with it amplitude "
        "and shift of the wavelet",
        state="pressure u(x, y, t) in a rectangle, y the depth, one per shot",
        boundary="waves leave through an absorbing layer; u = 0 at a free surface on request",
        units="x, y in m, y downwards, t in s, v in m s-1, u in Pa",
        reference="Tarantola (1984); Virieux and Operto (2009)",
    )
    importers: ClassVar[Mapping[str, Importer]] = IMPORTERS
    axes: ClassVar[tuple[str, ...]] = ("x", "y")
    default_sensors: ClassVar[str] = "all"

    def __init__(self, config: SeismicConfig | None = None) -> None:
        self.config = config if config is not None else SeismicConfig()

    @property
    def observed(self) -> Observed:
        """The pressure of each shot, receiver and time."""
        return observed_of(self.config)

    @cached_property
    def unknown(self) -> Unknown:
        """What m holds."""
        return Unknown(self.config)

    def prior(self) -> Prior:
        """The prior of velocity, amplitude and shift, as far as they are unknown."""
        return self.unknown.prior

    def sensors(self, spec: str) -> Sensors:
        """Data rows: ``all``, ``shots:0,3+receivers:0-69/5@0.1:0.9:17``, a list or a CSV file.

        Raises:
            ConfigError: not understood, or what the survey or the run has not.
        """
        return parse(self.config, Clock.of(self.config, 0), spec)

    def discretisation(self, level: int) -> Discretisation:
        """The equation on a level.

        Raises:
            ConfigError: no mesh or time step of that level, or one too coarse for the wavelength.
        """
        check_resolution(self.config, level)
        clock = Clock.of(self.config, level)
        elements = _elements(*_mesh(self.config, level))
        scheme = Scheme(elements, self.config, clock.dt)
        return Discretisation(self.unknown, level, scheme, clock, self.unknown.medium(elements))

    def on_grid_of_nodes(self, level: int) -> OnGrid:
        """The equation on a level by finite differences.

        Raises:
            ConfigError: no grid or time step of that level, or one too coarse for the wavelength.
        """
        check_resolution(self.config, level)
        return OnGrid(self.unknown, level, Clock.of(self.config, level))

    def forward_model(self, sensors: Sensors, level: int = 0) -> SeismicModel | DifferencesModel:
        """G: m to pressures, on the mesh and with the time step of ``level``.

        Raises:
            ConfigError: no mesh or time step of that level.
            DataSchemaError: a datum that the survey or the run has not.
            MissingDependency: the package deepwave is asked for and not installed.
        """
        rows = Rows.of(*numbers_of(self.config, Clock.of(self.config, level), sensors))
        spaces = (self.prior().space, self.observed.space(sensors))
        if self._fast:
            return DifferencesModel(spaces, self.on_grid_of_nodes(level), rows)
        return SeismicModel(spaces, self.discretisation(level), rows)

    @property
    def _fast(self) -> bool:
        return self.config.model == "deepwave"

    def prepare(self, level: int) -> None:
        """Build what a solve on ``level`` needs, and refuse what it would refuse.

        Raises:
            ConfigError: no mesh or time step of that level, or snapshots that do not fit.
            MissingDependency: the package deepwave is asked for and not installed.
        """
        self._check_size(level)
        self.forward_model(self.sensors("all"), level)

    def _every(self) -> Rows:
        sensors = self.sensors("all")
        return Rows.of(*numbers_of(self.config, Clock.of(self.config, 0), sensors))

    def _check_size(self, level: int) -> None:
        shots, times = len(self.config.sources), self.config.time.snapshots
        n = self.dofs(level)
        what = f"{times} snapshots of {shots} shots with {n} pressures"
        check_fits(what, 8 * n * shots * times, "lower time.snapshots or the level")

    def solve(self, m: Array, level: int = 1, comm: Any = None) -> xr.Dataset:
        """Velocity and snapshots of all shots at the nodes, and all traces; each rank solves alone.

        Raises:
            SolverDiverged: m is out of range.
        """
        m = self.prior().space.check(m)
        self._check_size(level)
        model = self.forward_model(self.sensors("all"), level)
        return to_dataset(self, model, m, level)

    def observe(self, fields: xr.Dataset, sensors: Sensors) -> Array:
        """The data of a dataset of :meth:`solve`.

        Raises:
            DataSchemaError: not such a dataset, or a datum that its survey has not.
        """
        config, _ = described(fields, self.name, SeismicConfig, frozenset({"u"}))
        clock = Clock.of(config, 0)
        shot, receiver, sample = numbers_of(config, clock, sensors)
        shape = (len(config.sources), len(config.receivers), clock.samples)
        table = table_of(fields, shape)
        return np.where(sample > 0, table[shot, receiver, sample - 1], 0.0)

    def grid(self, shape: tuple[int, ...]) -> Sensors:
        """The nodes of a grid of ``shape`` (along y, along x) on the rectangle, row-major.

        Raises:
            ConfigError: not two numbers of at least two.
        """
        return grid_nodes(self.config.extent, shape)

    def grid_operator(self, shape: tuple[int, ...]) -> Any:
        """The sparse matrix from m to the velocity at :meth:`grid`.

        Raises:
            CapabilityError: layers have none.
        """
        return self.unknown.matrix(points_of(self.grid(shape), self.axes))

    def on_grid(self, m: Array, shape: tuple[int, ...]) -> Array:
        """The velocity at :meth:`grid`, shape (n,), of any unknown, layers included."""
        return self.unknown.at(points_of(self.grid(shape), self.axes), m)

    def derived(self, level: int = 0) -> Derived | None:
        """The depths of interfaces, where there are layers."""
        return derived_of(self.config)

    def fixtures(self) -> xr.Dataset:
        """Sources and receivers, for results and figures."""
        return places.fixtures(self.config)

    def annotated(self, dataset: xr.Dataset) -> xr.Dataset:
        """An observation file with the places of its shots and receivers."""
        return places.annotated(self.config, dataset)

    @classmethod
    def tables_of(cls, dataset: xr.Dataset) -> dict[str, Any]:
        """The survey and the sampling that the variables of a file amount to."""
        return places.tables_of(dataset)

    def remarks(self, observations: Observations) -> tuple[str, ...]:
        """Coarse meshes, traces at their source, and samples that are zero everywhere."""
        return remarks(self.config, observations)

    def dofs(self, level: int) -> int:
        """The number of pressures of one time and shot."""
        if self._fast:
            return NodeGrid.of(self.config, level).n
        (nx, ny), (_, m) = self.config.counts(level), self.config.frame(level)
        p, above = self.config.degree, 0 if self.config.boundary.top == "free" else m
        return ((nx + 2 * m) * p + 1) * ((ny + m + above) * p + 1)

    def memory_estimate(self, level: int = 0) -> int:
        """Bytes that states and matrices of one model take beside the program itself.

        Raises:
            ConfigError: the states do not fit into ``time.memory_mb``.
        """
        return state_bytes(self.config, self.dofs(level), level)


Mesh = tuple[tuple[float, float], tuple[int, int], tuple[float, int], bool]


def _mesh(config: SeismicConfig, level: int) -> tuple[Mesh, int]:
    below = config.boundary.top != "free"
    return (config.lengths, config.counts(level), config.frame(level), below), config.degree


@lru_cache(maxsize=8)
def _elements(mesh: Mesh, degree: int) -> SpectralElements:
    """Those of a mesh, whose matrices are kept for the next model."""
    lengths, counts, frame, below = mesh
    plain = framed_rectangle(lengths, counts, "quadrilateral", frame, below=below)
    return SpectralElements(plain, degree)
