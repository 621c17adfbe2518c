"""The flame problem: what the protocol asks of it, made of the pieces beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any, ClassVar, NoReturn

import numpy as np
import xarray as xr

from pdeinv.bayes.prior import Prior
from pdeinv.errors import ConfigError, SolverDiverged
from pdeinv.fem.levels import counts_of
from pdeinv.io.fields import described
from pdeinv.model.derived import Derived
from pdeinv.model.observed import Observed, Sensors
from pdeinv.model.reference import check_finite
from pdeinv.model.strong_form import StrongForm
from pdeinv.plugins.problem import Card, Importer, no_grid_operator
from pdeinv.typing import Array

from .config import FlameConfig
from .continuation import Continuation
from .derived import derived_of
from .elements import Elements
from .equations import Equations
from .fields import VARIABLES, solved_in, to_dataset
from .importer import IMPORTERS
from .mesh import graded
from .model import Experiment, FlameModel, Solved, data_of
from .sensors import KIND, OBSERVED, SENSORS, conditions
from .strong_form import strong_form
from .unknown import parameters, prior_of

__all__ = ["Flame"]


class Flame:
    """ρ_in s_L c_p T′ = λ T″ + q ω: a laminar flame that propagates freely.

    Reference: Poinsot and Veynante (2005), ch. 2; the one-step case of FlamePINN-1D, Wu et al.
    (2025).
    """

    name: ClassVar[str] = "flame"
    Config: ClassVar[type[FlameConfig]] = FlameConfig
    card: ClassVar[Card] = Card(
        title="Laminar premixed flame",
        equation="ρ_in s_L c_p T′ = λ T″ + q ω, ω = A exp(−E/(R T)) (ρ Y)^n",
        unknown="conductivity λ, activation energy E, pre-exponential factor A; at the inlet the "
        "gradient, pressure, temperature and equivalence ratio: any of them",
        state="temperature T(x) and flame speed s_L; velocity, density and fuel by closures",
        boundary="T = T_in and T′ = G at the inlet, T′ = 0 at the outlet",
        units="x in m, T in K, s_L and u in m s-1, p in Pa, λ in W m-1 K-1, E in J mol-1",
        reference="Poinsot and Veynante (2005), ch. 2; Wu et al. (2025)",
    )
    importers: ClassVar[Mapping[str, Importer]] = IMPORTERS
    axes: ClassVar[tuple[str, ...]] = ("x",)
    observed: ClassVar[Observed] = OBSERVED
    default_sensors: ClassVar[str] = "grid:10"

    def __init__(self, config: FlameConfig | None = None) -> None:
        self.config = config if config is not None else FlameConfig()

    def prior(self) -> Prior:
        """The prior of the unknown."""
        return prior_of(self.config)

    def equations(self, level: int) -> Equations:
        """The equations on the mesh of a level.

        Raises:
            ConfigError: no mesh of that level, or no flame at the middle of the priors.
        """
        return _equations(self.config, level)

    def sensors(self, spec: str) -> Sensors:
        """Sensors from text: ``grid:10@T,u``, ``speed:0.4,0.45``, or a CSV file.

        Places are as everywhere; behind the ``@`` stand quantities among T, u and Y, T and u where
        left out. ``speed`` is the flame speed, at the equivalence ratios that follow. Parts are
        joined by ``+``. A CSV file has the columns quantity and x, and p, T_in, phi where they
        are not those of the configuration.

        Raises:
            ConfigError: not understood, or a sensor lies outside the domain.
        """
        config = self.config
        nodes = np.linspace(0.0, config.length, config.cells + 1)
        return SENSORS.placed(spec, config, nodes, partial(SENSORS.check, config))

    def forward_model(self, sensors: Sensors, level: int = 0) -> FlameModel:
        """G: m to speeds and profiles, on the mesh of ``level``.

        Raises:
            ConfigError: no mesh of that level, or no flame at the middle of the priors.
            DataSchemaError: a sensor lies outside the domain, or is of no flame.
        """
        SENSORS.check(self.config, sensors)
        spaces = (self.prior().space, self.observed.space(sensors))
        return FlameModel(spaces, self.config, self.equations(level), sensors)

    def solve(self, m: Array, level: int = 1, comm: Any = None) -> xr.Dataset:
        """Profiles and speed at the configured state of the inlet; every rank computes all of it.

        Raises:
            SolverDiverged: m is out of range, or the flame did not converge.
        """
        m = self.prior().space.check(m)
        check_finite(m)
        on, at = self.equations(level), parameters(self.config, m)
        flame = Continuation(on, self.config.centre)(at)
        return to_dataset(self.config, level, Solved(on, at, flame))

    def observe(self, fields: xr.Dataset, sensors: Sensors) -> Array:
        """The data of a dataset of :meth:`solve` at the sensors.

        Flames at another state of the inlet are solved for with the parameters of the dataset.

        Raises:
            DataSchemaError: not such a dataset, or a sensor outside the domain.
        """
        config, level = described(fields, self.name, FlameConfig, VARIABLES)
        SENSORS.check(config, sensors)
        on = _equations(config, level)
        at, flame = solved_in(fields, on.elements.size)
        out = np.empty(len(np.asarray(sensors[KIND])))
        for inlet, rows in conditions(sensors).items():
            experiment = Experiment.of(config, on, inlet, rows, sensors)
            own = replace(at, **experiment.fixed)
            solved = Solved(on, own, flame if own == at else experiment.solve(own))
            out[rows] = data_of(experiment, solved)
        return out

    def derived(self, level: int = 0) -> Derived:
        """Flame speed and profiles at the configured state of the inlet."""
        return derived_of(self.config, self.equations(level))

    def grid(self, shape: tuple[int, ...]) -> Sensors:
        """The temperature at the nodes of a grid on the domain, at the configured inlet.

        Raises:
            ConfigError: not one number, of at least two.
        """
        return SENSORS.on_grid("T", self.config, shape)

    def on_grid(self, m: Array, shape: tuple[int, ...]) -> Array:
        """The temperature at :meth:`grid`, K: what ``score`` compares."""
        return SENSORS.scale("T") * self.forward_model(self.grid(shape))(m)

    def grid_operator(self, shape: tuple[int, ...]) -> NoReturn:
        """Refused: the unknown is a list of numbers.

        Raises:
            ConfigError: always.
        """
        raise no_grid_operator("a flame")

    def strong_form(self) -> StrongForm:
        """The equation at points, with the flame speed as a number.

        Raises:
            ConfigError: the state of the inlet is sought.
        """
        return strong_form(self)

    def dofs(self, level: int) -> int:
        """The number of temperatures and the flame speed, but for the temperature that is given."""
        return 2 * counts_of((self.config.cells,), level)[0] + 1


@lru_cache(maxsize=8)
def _equations(config: FlameConfig, level: int) -> Equations:
    """Those of a configuration, whose mesh takes a solve, kept for the next model."""
    (cells,) = counts_of((config.cells,), level)
    try:
        places = graded(config.length, cells, config.grading, config.gas, config.centre)
    except SolverDiverged as error:
        raise ConfigError(f"no flame at the middle of the priors: {error}") from None
    return Equations(config.gas, Elements(places))
