"""Flames with detailed chemistry: what the protocol asks for, made of the pieces beside it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, partial
from typing import Any, ClassVar, NoReturn

import numpy as np
import xarray as xr

from pdeinv.bayes.prior import Prior
from pdeinv.io.fields import described
from pdeinv.io.observations import Observations
from pdeinv.model.derived import Derived
from pdeinv.model.observed import Observed, Sensors
from pdeinv.model.reference import check_finite
from pdeinv.plugins.problem import Card, Importer, no_grid_operator
from pdeinv.typing import Array

from .config import DetailedConfig
from .derived import derived_of
from .fields import VARIABLES, state_in, to_dataset, unknown_in
from .importer import csv_importer
from .mechanism import gas_of
from .model import DetailedModel, Experiment, Flames
from .quantities import observed
from .remarks import remarks
from .saves import save_importer
from .sensors import sensors_of
from .solver import Solver
from .stack import names_of
from .unknown import Unknown

__all__ = ["FlameCantera"]


class FlameCantera:
    """ρ u Y_k′ + j_k′ = W_k ω_k: a laminar flame with a detailed mechanism, by Cantera's solvers.

    Reference: Kee, Coltrin, Glarborg and Zhu (2017), Chemically Reacting Flow, ch. 8; Goodwin et
    al. (2025), Cantera.
    """

    name: ClassVar[str] = "flame-cantera"
    Config: ClassVar[type[DetailedConfig]] = DetailedConfig
    card: ClassVar[Card] = Card(
        title="Laminar flame, detailed chemistry",
        equation="ρ u Y_k′ + j_k′ = W_k ω_k, ρ u c_p T′ = (λ T′)′ − Σ j_k c_pk T′ − Σ h_k W_k ω_k",
        unknown="of any reactions pre-exponential factor, exponent and activation energy; "
        "equivalence ratio, pressure and temperature of the inlet: any of them",
        state="temperature, velocity and mass fractions; of a free flame its speed s_L",
        boundary="mixture and temperature of the inlet; nothing changes at the outlet, or a second "
        "inlet",
        units="x in m, T in K, s_L and u in m s-1, p in Pa, fractions of 1",
        reference="Kee, Coltrin, Glarborg and Zhu (2017), ch. 8; Goodwin et al. (2025)",
    )
    importers: ClassVar[Mapping[str, Importer]] = {"csv": csv_importer, "cantera": save_importer}
    axes: ClassVar[tuple[str, ...]] = ("x",)

    def __init__(self, config: DetailedConfig | None = None) -> None:
        self.config = config if config is not None else DetailedConfig()

    @property
    def observed(self) -> Observed:
        """The quantities that may be measured."""
        return observed(self.config)

    @property
    def default_sensors(self) -> str:
        """The speed of a free flame, the temperature of others."""
        return "speed" if self.config.configuration == "free" else "grid:20@T"

    @cached_property
    def _unknown(self) -> Unknown:
        return Unknown.of(self.config, gas_of(self.config))

    def prior(self) -> Prior:
        """The prior of the unknown.

        Raises:
            ConfigError: the mechanism cannot be read, or lacks a reaction that is sought.
            MissingDependency: Cantera is not installed.
        """
        return self._unknown.prior(self.config)

    def sensors(self, spec: str) -> Sensors:
        """Sensors from text: ``speed:0.8,1.2``, ``grid:20@T,X_OH``, or a CSV file.

        Behind the ``@`` stand quantities, T where left out. ``speed`` is the flame speed, at the
        equivalence ratios that follow. Parts are joined by ``+``. A CSV file has the columns
        quantity and x, and p, T_in, phi, mass_flux where they are not those of the configuration.

        Raises:
            ConfigError: not understood, a sensor outside the domain, or a mixture that does not
                burn.
        """
        nodes = np.linspace(0.0, self.config.length, 101)
        told = sensors_of(self.config)
        return told.placed(spec, self.config, nodes, partial(told.check, self.config))

    def forward_model(self, sensors: Sensors, level: int = 0) -> DetailedModel:
        """G: m to speeds and profiles, on the grids of ``level``.

        Raises:
            ConfigError: no such level, no flame at the middle of the priors, or no such mechanism.
            DataSchemaError: a sensor lies outside the domain, or is of no flame.
        """
        sensors_of(self.config).check(self.config, sensors)
        spaces = (self.prior().space, self.observed.space(sensors))
        return DetailedModel(spaces, Solver.weighted(self.config, level), sensors)

    def solve(self, m: Array, level: int = 1, comm: Any = None) -> xr.Dataset:
        """Profiles and speed at the configured state of the inlet; every rank computes all of it.

        Raises:
            ConfigError: a mixture that does not burn, or no flame at the middle of the priors.
            SolverDiverged: m is out of range, or there is no flame.
        """
        m = self.prior().space.check(m)
        check_finite(m)
        solver, at = Solver.of(self.config, level), self.config.inlet
        return to_dataset(solver, at, m, solver.state(at, m))

    def observe(self, fields: xr.Dataset, sensors: Sensors) -> Array:
        """The data of a dataset of :meth:`solve` at the sensors.

        Flames at another state of the inlet are solved for with the unknown of the dataset.

        Raises:
            DataSchemaError: not such a dataset, or a sensor outside the domain.
        """
        config, level = described(fields, self.name, DetailedConfig, VARIABLES)
        sensors_of(config).check(config, sensors)
        solver = Solver.of(config, level)
        m = unknown_in(fields, solver)
        if config.extrapolate:
            return FlameCantera(config).forward_model(sensors, level)(m)
        known = {config.inlet: state_in(fields, solver, config.inlet)}
        return Flames(solver, Experiment.all_of(solver, sensors), m, known).data

    def remarks(self, observations: Observations) -> tuple[str, ...]:
        """What makes a posterior doubtful, before anything is solved."""
        return remarks(self.config, observations)

    def derived(self, level: int = 0) -> Derived:
        """Flame speed and profiles at the configured state of the inlet."""
        return derived_of(self.config, level)

    def grid(self, shape: tuple[int, ...]) -> Sensors:
        """The temperature at the nodes of a grid on the domain, at the configured inlet.

        Raises:
            ConfigError: not one number, of at least two.
        """
        return sensors_of(self.config).on_grid("T", self.config, shape)

    def on_grid(self, m: Array, shape: tuple[int, ...]) -> Array:
        """The temperature at :meth:`grid`, K: what ``score`` compares."""
        return sensors_of(self.config).scale("T") * self.forward_model(self.grid(shape))(m)

    def grid_operator(self, shape: tuple[int, ...]) -> NoReturn:
        """Refused: the unknown is a list of numbers.

        Raises:
            ConfigError: always.
        """
        raise no_grid_operator("a flame")

    def dofs(self, level: int) -> int:
        """The number of temperatures, velocities and mass fractions at the configured inlet."""
        solver = Solver.of(self.config, level)
        points = len(solver.base(self.config.inlet).grid)
        return points * len(names_of(self.config, solver.gas))
