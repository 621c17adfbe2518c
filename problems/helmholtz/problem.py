"""The Helmholtz problem: what the protocol asks of it, made of the pieces beside this file."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pdeinv.bayes.prior import Prior
from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.fem.field_unknown import FieldUnknown
from pdeinv.fem.high_order import CellRule
from pdeinv.io.body import mesh_variables
from pdeinv.io.fields import described
from pdeinv.model.coefficient import Affine, Coefficient
from pdeinv.model.forward import LinearModel
from pdeinv.model.observed import Observed, Sensors
from pdeinv.model.reference import check_finite
from pdeinv.model.sensors import grid_nodes, outside, points_of
from pdeinv.model.strong_form import StrongForm
from pdeinv.plugins.problem import Card
from pdeinv.typing import Array

from .config import HelmholtzConfig, Walls
from .detectors import detector
from .domain import Domain
from .fields import to_dataset, waves_of
from .incident import waves
from .memory import model_bytes
from .model import Band, ScatteringModel, scattered, source_model
from .receivers import check_places, outward, parse_receivers, places_of, product, rows_of
from .strong_form import strong_form
from .unknown import coefficient, unknown_of

__all__ = ["Helmholtz"]

Complex = NDArray[np.complex128]

_MEASURED = {
    "field": ("u", "wave"),
    "normal-derivative": ("dudn", "normal derivative of the wave"),
    "far-field": ("u_far", "far-field pattern"),
}


class Helmholtz:
    """∇²u + k²n u = f: time-harmonic waves, exp(−iωt), through a medium of unknown index n.

    Reference: Colton and Kress (2019), ch. 8 to 11.
    """

    name: ClassVar[str] = "helmholtz"
    Config: ClassVar[type[HelmholtzConfig]] = HelmholtzConfig
    card: ClassVar[Card] = Card(
        title="Time-harmonic waves (Helmholtz)",
        equation="∇²u + k²n u = f, n = 1 + q",
        unknown="contrast q(x, y) or index n (field, bumps, inclusions), or the source f",
        state="complex wave u(x, y), one per incident wave and frequency",
        boundary="waves leave through a PML (default) or ∂u/∂n = iku; or u given on all sides",
        units="x and y in m, frequency in s-1, speed in m s-1, u in units of the incident wave",
        reference="Colton and Kress (2019); traces: Molinaro et al. (2023)",
    )

    axes: ClassVar[tuple[str, ...]] = ("x", "y")

    def __init__(self, config: HelmholtzConfig | None = None) -> None:
        self.config = config if config is not None else HelmholtzConfig()
        self.domain = Domain(self.config)

    @property
    def default_sensors(self) -> str:
        """Sensors that suit what is measured."""
        sides = self.config.measure == "normal-derivative"
        inner = self.config.measure == "field" and self.config.receivers == "interpolate"
        return "boundary:5" if sides else ("grid:5x5" if inner else "ring:16")

    @property
    def observed(self) -> Observed:
        """The wave, its normal derivative or its far-field pattern."""
        config, units = self.config, self.config.units
        name, text = _MEASURED[config.measure]
        value = (
            units.u
            if config.measure != "normal-derivative"
            else f"({units.u}) {units.coordinate}-1"
        )
        place = "degree" if config.measure == "far-field" else units.coordinate
        coords = dict.fromkeys(places_of(config), place)
        if config.static:
            return Observed(name, value, "solution", coords)
        part = "" if config.quantity == "source" else ("total " if config.total else "scattered ")
        coords |= {"source": "1", "frequency": units.frequency, "component": "1"}
        inner = config.measure == "field" and config.receivers == "interpolate"
        words = f"{part}{text}, component 0 real, 1 imaginary"
        return Observed(name, value, words, coords, everywhere=inner)

    @cached_property
    def unknown(self) -> FieldUnknown:
        """Contrast, index or source on the region."""
        return unknown_of(self.config)

    def prior(self) -> Prior:
        """The prior of contrast, index or source on the region."""
        return self.unknown.prior

    def sensors(self, spec: str) -> Sensors:
        """Data rows of all sources and frequencies at receivers from text.

        ``ring:N``, ``ring:N:RADIUS``, ``grid:KxL``, ``all``, ``list:x,y;x,y`` or a CSV file;
        ``boundary:N`` where ∂u/∂n is measured; angles where the far field is.

        Raises:
            ConfigError: the text is not understood, or a receiver lies outside the rectangle.
        """
        places = parse_receivers(self.config, spec, self._free_nodes)
        check_places(self.config, places, ConfigError)
        found = product(self.config, places)
        if self.config.measure == "normal-derivative":
            outward(self.config, places, ConfigError)
        return found

    def _free_nodes(self) -> Array:
        """The nodes in the rectangle, without those at which walls hold the wave."""
        space = self.domain.space()
        free = np.ones(space.n, dtype=bool)
        free[space.boundary if isinstance(self.config.truncation, Walls) else []] = False
        points = space.points[space.order][free[space.order]]
        return np.delete(points, outside(points, self.config.extent), axis=0)

    def coefficient_at(self, points: Array) -> Coefficient:
        """The map from m to contrast or source at points (n, 2)."""
        return coefficient(self.config, self.unknown, points)

    def _bands(self, sensors: Sensors, level: int) -> tuple[CellRule, list[Band]]:
        places = points_of(sensors, places_of(self.config))
        check_places(self.config, places, DataSchemaError)
        space, rule = self.domain.space(level), self.domain.rule(level)
        bands = []
        for i, rows in rows_of(self.config, sensors).items():
            k = self.config.ks[i]
            found = detector(self.config, space, rule, k, rows.where)
            bands.append(
                Band(self.domain.system(k, level, rule), self._incident(k, rule), found, rows)
            )
        return rule, bands

    def _incident(self, k: float, rule: CellRule) -> Complex:
        if self.config.quantity == "source":
            return np.zeros((len(rule.points), 1), dtype=np.complex128)
        return waves(self.config, k, rule.points)

    def forward_model(self, sensors: Sensors, level: int = 0) -> ScatteringModel | LinearModel:
        """G: the unknown's parameters to data at the sensors, on the mesh of ``level``.

        Raises:
            DataSchemaError: a sensor lies outside the rectangle, or names a source or frequency
                that the problem has not.
        """
        rule, bands = self._bands(sensors, level)
        spaces = self.prior().space, self.observed.space(sensors)
        to_points = self.coefficient_at(rule.points)
        if self.config.quantity == "source":
            assert isinstance(to_points, Affine)
            return source_model(spaces, to_points, bands)
        return ScatteringModel(spaces, to_points, bands, self.domain.space(level).points)

    def waves(self, m: Array, level: int = 0) -> Complex:
        """u of every frequency and incident wave, shape (frequency, incident, n).

        Raises:
            SolverDiverged: m is not finite or a matrix is singular.
        """
        rule = self.domain.rule(level)
        m = self.prior().space.check(m)
        check_finite(m)
        values = self.coefficient_at(rule.points)(m)
        found = []
        for k in self.config.ks:
            system, incident = self.domain.system(k, level, rule), self._incident(k, rule)
            if self.config.quantity == "source":
                system.factor(np.zeros_like(values))
                found.append(system.solve(-system.load(values[:, None].astype(np.complex128))))
            else:
                found.append(scattered(system, incident, values))
        return np.stack(found).transpose(0, 2, 1)

    def prepare(self, level: int) -> None:
        """Build what a solve on ``level`` needs, and refuse what it would refuse.

        Raises:
            ConfigError: no mesh of that level, or one too coarse for the wavelength.
        """
        self.domain.rule(level)

    def solve(self, m: Array, level: int = 1, comm: Any = None) -> xr.Dataset:
        """Waves and coefficient at the nodes of the mesh of ``level``; every rank solves alone.

        Raises:
            SolverDiverged: m is not finite or a matrix is singular.
        """
        return self.dataset(m, self.waves(m, level), level)

    def dataset(self, m: Array, found: Complex, level: int) -> xr.Dataset:
        """Waves (frequency, incident, n) on the elements of ``level`` with the coefficient of m."""
        config, space = self.config, self.domain.space(level)
        nodes = space.points[space.order]
        variable = self.unknown.variable
        units = config.units.source if config.quantity == "source" else "1"
        name = "source" if config.quantity == "source" else "contrast"
        rest = {
            name: (
                self.coefficient_at(nodes)(m),
                {"units": units, "long_name": f"{name} at nodes"},
            ),
            "m": (np.asarray(m), {"units": variable.units, "long_name": "parameters as packed"}),
        }
        if config.quantity != "source":
            amplitude = np.abs(found[0, 0, space.order] + self._first_wave(nodes))
            attrs = {"units": config.units.u, "long_name": "amplitude of the first total wave"}
            rest["amplitude"] = (amplitude, attrs)
        return to_dataset(config, level, space, found, rest)

    def _first_wave(self, nodes: Array) -> Complex:
        with np.errstate(all="ignore"):
            wave = waves(self.config, self.config.ks[0], nodes)[:, 0]
        # a node at a point source has no finite wave
        return np.where(np.isfinite(wave), wave, 0.0)

    def observe(self, fields: xr.Dataset, sensors: Sensors) -> Array:
        """What the sensors measure of a dataset of :meth:`solve`, by the element's interpolation.

        Raises:
            DataSchemaError: not such a dataset, or a sensor outside the rectangle.
        """
        static, waves = frozenset({"u", "m"}), frozenset({"u_re", "u_im", "m"})
        config, level = described(fields, self.name, HelmholtzConfig, static, waves)
        own = self if config == self.config else Helmholtz(config)
        rule, bands = own._bands(sensors, level)
        found = waves_of(fields, own.domain.space(level))
        values = own.coefficient_at(rule.points)(np.asarray(fields["m"], dtype=np.float64))
        data = np.zeros(own.observed.space(sensors).size)
        for band in bands:
            u = found[config.ks.index(band.system.k)].T
            t = band.incident + rule.values @ u
            data[band.rows.index] = band.rows.picked.take(band.detector(u, t, values))
        return data

    def strong_form(self) -> StrongForm:
        """Residuals at points, for solvers without a mesh.

        Raises:
            ConfigError: waves leave through a PML, or data are integrals of the wave.
        """
        return strong_form(self)

    def grid(self, shape: tuple[int, ...]) -> Sensors:
        """The nodes of a grid of ``shape`` (along y, along x) on the region, row-major."""
        x0, x1, y0, y1 = self.config.box
        return grid_nodes(((x0, x1), (y0, y1)), shape)

    def fixtures(self) -> xr.Dataset:
        """The mesh that an unknown with representation 'spde' is on."""
        return mesh_variables(self.unknown.mesh, self.config.units.coordinate)

    def on_grid(self, m: Array, shape: tuple[int, ...]) -> Array:
        """Contrast, index or source at :meth:`grid`, before the taper, of any unknown."""
        return self.unknown.at(points_of(self.grid(shape), self.axes))(m)

    def grid_operator(self, shape: tuple[int, ...]) -> Any:
        """The sparse matrix from m to the field at :meth:`grid`, before the taper.

        Raises:
            ConfigError: bumps and inclusions have none.
        """
        return self.unknown.matrix(points_of(self.grid(shape), self.axes))

    def memory_estimate(self, level: int = 0) -> int:
        """Bytes of factors and matrices that one running model holds, those of rows included."""
        return model_bytes(self.config, level, self.dofs(level), self.config.ks)

    def dofs(self, level: int) -> int:
        """The number of complex unknowns of one wave on the mesh of ``level``."""
        return self.domain.dofs(level)
