"""The impedance tomography problem: what the protocol asks of it, made of the pieces beside it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pdeinv.bayes.prior import Prior
from pdeinv.errors import ConfigError
from pdeinv.fem.energy import Energy
from pdeinv.fem.outlines import distance_along_ray
from pdeinv.io.body import mesh_variables
from pdeinv.io.fields import UNKNOWN, described
from pdeinv.io.observations import Observations
from pdeinv.model.extensions import Extensions
from pdeinv.model.observed import Observed, Sensors
from pdeinv.model.sensors import AXES, grid_nodes, points_of
from pdeinv.model.simplices import Simplices
from pdeinv.plugins.problem import Card, Importer, Metric
from pdeinv.typing import Array

from .bodies.response import Body, DirichletToNeumann, ElectrodeBody, NeumannToDirichlet
from .domain import Domain
from .extensions import harmonic_fields, placed
from .fields import table_of, to_dataset
from .fixtures import electrodes, fixtures
from .frames.files import annotated, frequency_of, tables_of
from .frames.protocol import Protocol
from .frames.remarks import remarks
from .importers import IMPORTERS
from .ktc import KTC
from .model import EitModel
from .phantoms import phantom
from .phantoms import unknown as unknown_of
from .setup.config import EitConfig
from .unknown import Unknown

__all__ = ["Eit"]


class Eit:
    """∇·(γ∇u) = 0: electrical impedance tomography with electrodes, or with boundary maps.

    Reference: Somersalo, Cheney and Isaacson (1992); Borcea (2002).
    """

    name: ClassVar[str] = "eit"
    Config: ClassVar[type[EitConfig]] = EitConfig
    default_sensors: ClassVar[str] = "all"
    importers: ClassVar[Mapping[str, Importer]] = IMPORTERS
    metrics: ClassVar[Mapping[str, Metric]] = {"ktc": KTC}
    card: ClassVar[Card] = Card(
        title="Electrical impedance tomography",
        equation="∇·(γ∇u) = 0, γ = σ + iωε",
        unknown="conductivity σ > 0 (field, cells, phases, ellipses, heart and lungs); with it "
        "permittivity ε and contact impedances z",
        state="potential u, one per injection",
        boundary="complete electrode model: u + z γ∂u/∂n = U_l on electrode l, "
        "∫ γ∂u/∂n = I_l, ΣU = 0, no current elsewhere; or boundary maps in the trigonometric basis",
        units="lengths in m, σ in S m-1, ε in F m-1, currents in A, voltages in V, z in ohm m2",
        reference="Somersalo, Cheney and Isaacson (1992); Borcea (2002)",
    )

    def __init__(self, config: EitConfig | None = None) -> None:
        self.config = config if config is not None else EitConfig()
        self.domain = Domain(self.config)

    @property
    def axes(self) -> tuple[str, ...]:
        """The coordinates of the body."""
        return AXES[: self.domain.dim]

    @cached_property
    def protocol(self) -> Protocol:
        """Drives, measurements and which of them are data."""
        return Protocol(self.config, len(self.domain.electrodes))

    @cached_property
    def unknown(self) -> Unknown:
        """What m holds."""
        return Unknown(self.config, self.domain)

    @property
    def observed(self) -> Observed:
        """The voltage, or an entry of a boundary map."""
        config = self.config
        name, units, text = "voltage", "V", "voltage"
        if config.model == "continuum":
            name, units, text = {
                "dirichlet-to-neumann": ("dtn", "S m-2", "Dirichlet-to-Neumann map"),
                "neumann-to-dirichlet": ("ntd", "ohm m2", "Neumann-to-Dirichlet map"),
            }[config.map]
        if config.difference:
            text += f", difference to that of conductivity {config.reference:g} S m-1"
            if config.reference_permittivity is not None:
                text += f" and permittivity {config.reference_permittivity:g} F m-1"
        coords = {"injection": "1", "measurement": "1"}
        if config.complex:
            coords["component"] = "1"
            text += ", component 0 real, 1 imaginary"
        return Observed(name, units, text, coords, tuple(coords))

    def prior(self) -> Prior:
        """The prior of conductivity, permittivity and impedances, as far as they are unknown."""
        return self.unknown.prior

    def phantom(self, name: str, rng: np.random.Generator) -> Array:
        """A made-up body with sharp inclusions as the unknown m: ``tank``, ``heart-and-lungs``.

        Raises:
            ConfigError: no such phantom, or an unknown that cannot hold one.
        """
        radius = min(-low for low, _ in self.domain.extent[:2])
        if radius <= 0:
            raise ConfigError("a phantom needs a body around the origin; move the mesh there")
        return unknown_of(phantom(name, rng, radius), self.prior().space)

    def sensors(self, spec: str) -> Sensors:
        """Data rows: ``all``, ``injections:0,3``, ``list:I,M;I,M`` or a CSV file.

        Raises:
            ConfigError: the text is not understood, or names what the protocol has not.
        """
        return self.protocol.sensors(spec)

    def body(self, level: int = 0) -> Body:
        """The discretised body on the mesh of ``level``."""
        energy, config = Energy.on(self.domain.space(level)), self.config
        if config.model == "electrodes":
            return ElectrodeBody(energy, self.domain.electrodes, config.thickness)
        kind = DirichletToNeumann if config.map == "dirichlet-to-neumann" else NeumannToDirichlet
        return kind(energy, self.domain.outline, config.modes)

    def forward_model(self, sensors: Sensors, level: int = 0) -> EitModel:
        """G: the unknown to data, on the mesh of ``level``.

        Raises:
            DataSchemaError: a datum that the protocol has not.
        """
        rows = self.protocol.rows(sensors)
        spaces = self.prior().space, self.observed.space(sensors)
        return EitModel(spaces, self.unknown, self.body(level), self.protocol.sheet, rows)

    def prepare(self, level: int) -> None:
        """Build what a solve on ``level`` needs, and refuse what it would refuse.

        Raises:
            ConfigError: no mesh of that level, or electrodes that do not fit the body.
            DataSchemaError: a mesh that does not serve.
        """
        self.forward_model(self.sensors("all"), level)

    def solve(self, m: Array, level: int = 1, comm: Any = None) -> xr.Dataset:
        """Potentials and conductivity at the nodes, and all voltages; every rank solves alone.

        Raises:
            SolverDiverged: m is not positive and finite, or a matrix is singular.
        """
        model = self.forward_model(self.sensors("all"), level)
        m, (a, b) = model.m_space.check(m), self.unknown.cuts
        space, state = self.domain.space(level), model.state(m)
        potentials = (state.fields @ self.protocol.sheet.drives.T).T
        nodes = space.points[np.argsort(space.node_of_dof)]
        rest = {"sigma": (self.unknown.conductivity.at(nodes)(m[:a]), {
            "units": "S m-1", "long_name": "conductivity at nodes", UNKNOWN: "conductivity",
        })}  # fmt: skip
        if self.unknown.permittivity is not None:
            rest["epsilon"] = (self.unknown.permittivity.at(nodes)(m[a:b]), {
                "units": "F m-1", "long_name": "permittivity at nodes", UNKNOWN: "permittivity",
            })  # fmt: skip
        table = model.table(state)
        return to_dataset(self.config, self.observed, level, space, potentials, table, rest)

    def observe(self, fields: xr.Dataset, sensors: Sensors) -> Array:
        """What the sensors measure of a dataset of :meth:`solve`.

        Raises:
            DataSchemaError: not such a dataset, or a datum that its protocol has not.
        """
        parts = frozenset({"u"}), frozenset({"u_re", "u_im"})
        config, _ = described(fields, self.name, EitConfig, *parts)
        own = self if config == self.config else Eit(config)
        table = table_of(fields, own.observed.name, own.protocol.sheet.shape)
        return own.protocol.rows(sensors).take(table)

    def annotated(self, dataset: xr.Dataset) -> xr.Dataset:
        """An observation file with currents, patterns and electrodes for whoever reads it."""
        if self.config.model == "continuum":
            return dataset
        found = annotated(dataset, self.protocol.sheet, electrodes(self.config, self.domain))
        return found.assign(frequency_of(self.config))

    @classmethod
    def tables_of(cls, dataset: xr.Dataset) -> dict[str, Any]:
        """The configuration that the variables of an observation file amount to."""
        return tables_of(dataset)

    def remarks(self, observations: Observations) -> tuple[str, ...]:
        """What the data themselves say against the protocol: broken reciprocity."""
        if self.config.model == "continuum":
            return ()
        self.protocol.rows(observations.coords)  # refuses data that the protocol has not
        places, _ = self.domain.electrode_places()
        return remarks(observations, self.protocol.sheet, places, difference=self.config.difference)

    def grid(self, shape: tuple[int, ...]) -> Sensors:
        """The nodes of a regular grid on the bounding box, row-major, (z,) y, x.

        Nodes outside the body are kept; see :meth:`mask`.

        Raises:
            ConfigError: another number of axes than the domain has, or fewer than two nodes.
        """
        return grid_nodes(self.domain.extent, shape)

    def fixtures(self) -> xr.Dataset:
        """Electrodes, outline and the mesh of the unknown, for results and figures."""
        found = fixtures(self.config, self.domain)
        return found.merge(mesh_variables(self.unknown.mesh, "m"))

    def mask(self, points: Array) -> NDArray[np.bool_]:
        """Which points (n, d) lie in the body; on :meth:`grid` the others are padding."""
        if self.domain.file is None:
            slack = 1e-9 * max(self.domain.outline.half_widths)
            within = distance_along_ray(self.domain.outline, points[:, :2]) <= slack
            if self.domain.dim == 3:
                low, high = self.domain.extent[2]
                within &= (points[:, 2] >= low - slack) & (points[:, 2] <= high + slack)
            return np.asarray(within)
        mesh = self.domain.mesh(0)
        return Simplices(mesh.points, mesh.cells).holds(points)

    def grid_operator(self, shape: tuple[int, ...]) -> Any:
        """The sparse matrix from m to σ at :meth:`grid`.

        Outside the body the field goes on as its prior has it on the bounding box; one that lives
        on the mesh keeps the value of the nearest cell.

        Raises:
            ConfigError: ellipses have none.
        """
        from scipy import sparse

        found = self.unknown.conductivity.matrix(points_of(self.grid(shape), self.axes))
        rest = self.prior().space.size - found.shape[1]
        return sparse.hstack([found, sparse.csr_array((found.shape[0], rest))], format="csr")

    def on_grid(self, m: Array, shape: tuple[int, ...]) -> Array:
        """σ at :meth:`grid`, shape (n,), of any unknown, ellipses included."""
        field = self.unknown.conductivity.at(points_of(self.grid(shape), self.axes))
        return field(m[: self.unknown.cuts[0]])

    def extensions(self, sensors: Sensors, shape: tuple[int, ...]) -> Extensions:
        """Harmonic extensions of the data of each injection at :meth:`grid`.

        Raises:
            DataSchemaError: a datum that the protocol has not.
        """
        rows, places = self.protocol.rows(sensors), points_of(self.grid(shape), self.axes)
        reference = self.config.reference, self.unknown.impedances
        fields = harmonic_fields(self.body(), self.protocol.sheet.measures, reference, places)
        return placed(fields, rows)

    def dofs(self, level: int) -> int:
        """The number of unknown potentials on the mesh of ``level``."""
        return len(self.domain.nodes(level).points) + len(self.domain.electrodes)
