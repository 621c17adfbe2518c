"""The problem of flames of five species: what the protocol asks of it, made of the pieces here."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, NoReturn

import numpy as np
import xarray as xr

from pdeinv.bayes.prior import Prior
from pdeinv.io.fields import described
from pdeinv.model.derived import Derived
from pdeinv.model.observed import Observed, Sensors
from pdeinv.model.reference import check_finite
from pdeinv.model.strong_form import StrongForm
from pdeinv.plugins.problem import Card, Importer, no_grid_operator
from pdeinv.typing import Array

from ..inlet_sensors import INLET, KIND, conditions
from .config import SpeciesConfig
from .continuation import Continuation
from .derived import derived_of
from .fields import VARIABLES, solved_in, to_dataset
from .flames import continuation
from .importer import IMPORTERS
from .model import Experiment, Solved, SpeciesModel
from .sensors import OBSERVED, SENSORS, check
from .strong_form import strong_form
from .unknown import parameters, prior_of

__all__ = ["FlameSpecies"]

EVERYWHERE = 101
"""Places that ``all`` means."""


class FlameSpecies:
    """Laminar flames of CH4 that burns in one step, with the transport of five species.

    Reference: Kee, Coltrin, Glarborg and Zhu (2017), ch. 6 and 7; FlamePINN-1D, Wu et al. (2025),
    cases 2 and 3.
    """

    name: ClassVar[str] = "flame-species"
    Config: ClassVar[type[SpeciesConfig]] = SpeciesConfig
    card: ClassVar[Card] = Card(
        title="Laminar premixed flame of five species",
        equation="M Y_k′ + j_k′ = W_k ω_k, M c_p T′ + Σ j_k c_pk T′ + Σ h_k W_k ω_k = (λ T′)′; "
        "of a counterflow M′ + 2 ρ V = 0, M V′ + ρ V² + Λ = (μ V′)′",
        unknown="A and E of the rate; factors of λ, μ and D; φ, p, temperatures and mass fluxes of "
        "the streams: any of them",
        state="temperature T, mass fractions Y_k, and flame speed s_L or curvature of the pressure "
        "Λ; of a counterflow mass flux M = ρ u and V = v/r",
        boundary="T = T_in, M Y_k + j_k = M Y_k,in; a free flame has T fixed at a place, and no "
        "gradients at the outlet; a counterflow the mass fluxes of both streams, V = 0",
        units="x in m, T in K, u and s_L in m s-1, V in s-1, Λ in Pa m-2, E in J mol-1",
        reference="Kee et al. (2017), ch. 6 and 7; Wu et al. (2025)",
    )
    importers: ClassVar[Mapping[str, Importer]] = IMPORTERS
    axes: ClassVar[tuple[str, ...]] = ("x",)
    observed: ClassVar[Observed] = OBSERVED
    default_sensors: ClassVar[str] = "grid:16"

    def __init__(self, config: SpeciesConfig | None = None) -> None:
        self.config = config if config is not None else SpeciesConfig()

    def prior(self) -> Prior:
        """The prior of the unknown."""
        return prior_of(self.config)

    def sensors(self, spec: str) -> Sensors:
        """Sensors from text: ``grid:16@T,Y_CH4``, ``speed:0.8,1.0``, or a CSV file.

        Places are as everywhere; behind the ``@`` stand quantities among T, u, V and Y_SPECIES,
        where left out T, Y_CH4 and Y_CO2. ``speed`` is the flame speed of a free flame, at the
        equivalence ratios that follow. Parts are joined by ``+``. A CSV file has the columns
        quantity and x, and p, T_in, phi where they are not those of the configuration.

        Raises:
            ConfigError: not understood, or a sensor lies outside the domain.
        """
        config = self.config
        nodes = np.linspace(0.0, config.length, EVERYWHERE)
        return SENSORS.placed(spec, config, nodes, partial(check, config))

    def forward_model(self, sensors: Sensors, level: int = 0) -> SpeciesModel:
        """G: m to speeds and profiles, on the cells of ``level``.

        Raises:
            ConfigError: no such level, or no flame at the middle of the priors.
            DataSchemaError: a sensor lies outside the domain, or is of no flame.
            MissingDependency: Cantera is not installed.
        """
        check(self.config, sensors)
        spaces = (self.prior().space, self.observed.space(sensors))
        return SpeciesModel(spaces, self.config, level, sensors)

    def _known(self, level: int) -> Continuation:
        return continuation(self.config, level, self.config.centre)

    def solve(self, m: Array, level: int = 1, comm: Any = None) -> xr.Dataset:
        """Profiles and eigenvalue at the configured state of the inlet; each rank computes it.

        Raises:
            SolverDiverged: m is out of range, or the flame did not converge.
        """
        m = self.prior().space.check(m)
        check_finite(m)
        known, at = self._known(level), parameters(self.config, m)
        return to_dataset(self.config, level, Solved(known.equations, at, known(at)))

    def observe(self, fields: xr.Dataset, sensors: Sensors) -> Array:
        """The data of a dataset of :meth:`solve` at the sensors.

        Flames at another state of the inlet are solved for with the parameters of the dataset.

        Raises:
            DataSchemaError: not such a dataset, or a sensor outside the domain.
        """
        config, level = described(fields, self.name, SpeciesConfig, VARIABLES)
        check(config, sensors)
        own = solved_in(fields, config)
        out = np.empty(len(np.asarray(sensors[KIND])))
        for inlet, rows in conditions(sensors).items():
            out[rows] = self._observed(config, level, own, (inlet, rows, sensors))
        return out

    @staticmethod
    def _observed(config: SpeciesConfig, level: int, own: Solved, which: Any) -> Array:
        inlet, rows, sensors = which
        same = all(
            name in config.sought or getattr(own.at, name) == value
            for name, value in zip(INLET.values(), inlet, strict=True)
        )
        if same:
            where = np.asarray(sensors[KIND])[rows], np.asarray(sensors["x"])[rows]
            return own.reading(where).values
        experiment = Experiment.of(config, level, inlet, rows, sensors)
        return experiment.solved(own.at).reading(experiment.where).values

    def derived(self, level: int = 0) -> Derived:
        """Eigenvalue and profiles at the configured state of the inlet."""
        return derived_of(self.config, self._known(level))

    def strong_form(self) -> StrongForm:
        """The equations at points, with s_L or Λ as a number, for networks.

        Raises:
            ConfigError: something of the streams is sought.
            MissingDependency: Cantera is not installed.
        """
        return strong_form(self)

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

    def dofs(self, level: int) -> int:
        """The values of all fields at the nodes, and the eigenvalue."""
        return self._known(level).equations.grid.size + 1
