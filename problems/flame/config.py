"""What a user may set of the flame problem, in SI units."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from pdeinv.config import Config, Positive

from .chemistry import FLAMMABLE, NAMES, Mixture, Parameters
from .number_priors import (
    KnownConfig,
    LogNormalConfig,
    NormalConfig,
    NumberConfig,
    SoughtConfig,
    UniformConfig,
    centre_of,
    in_middle,
    sought_of,
)

__all__ = [
    "FlameConfig",
    "KnownConfig",
    "LogNormalConfig",
    "MixtureConfig",
    "NormalConfig",
    "NumberConfig",
    "UniformConfig",
    "UnknownConfig",
    "centre_of",
]

COLDEST = 200.0
"""Temperatures of inlets below this one are taken for degrees Celsius."""

PRESSURES = (1e3, 1e8)
"""The least and the largest pressure, Pa: what lies beyond is in other units."""


def _in_pascal(value: float) -> float:
    if not PRESSURES[0] <= value <= PRESSURES[1]:
        raise ValueError(
            f"expected from {PRESSURES[0]:g} to {PRESSURES[1]:g} Pa; is p = {value:g} in atm or "
            "bar?"
        )
    return value


def _prior_in_pascal(prior: NumberConfig | None) -> NumberConfig | None:
    if not isinstance(prior, KnownConfig | None):
        _in_pascal(centre_of(prior))
    return prior


Pressure = Annotated[Positive, AfterValidator(_in_pascal)]
PressurePrior = Annotated[NumberConfig | None, AfterValidator(_prior_in_pascal)]
LENGTHS = (1e-5, 10.0)
"""The least and the largest domain, m: what lies beyond is in other units."""
Length = Annotated[float, Field(ge=LENGTHS[0], le=LENGTHS[1])]
EquivalenceRatio = Annotated[float, Field(ge=FLAMMABLE[0], le=FLAMMABLE[1])]


class UnknownConfig(Config):
    """The table ``[problem.unknown]``: what is sought, each with its prior; the rest is known."""

    conductivity: NumberConfig | None = Field(None, description="thermal conductivity λ, W m-1 K-1")
    activation_energy: NumberConfig | None = Field(None, description="activation energy, J mol-1")
    pre_exponential: NumberConfig | None = Field(
        None, description="A of the rate, for densities in kg m-3"
    )
    inlet_gradient: NumberConfig | None = Field(None, description="dT/dx at the inlet, K m-1")
    equivalence_ratio: NumberConfig | None = Field(None, description="φ of the mixture")
    pressure: PressurePrior = Field(None, description="pressure at the inlet, Pa")
    inlet_temperature: NumberConfig | None = Field(None, description="temperature there, K")

    @model_validator(mode="after")
    def _some(self) -> UnknownConfig:
        if not self.sought:
            raise ValueError(f"expected a prior of at least one of {', '.join(NAMES)}")
        return self

    @property
    def sought(self) -> dict[str, SoughtConfig]:
        """The priors by name, in the order of :data:`pdeinv.problems.flame.chemistry.NAMES`."""
        return sought_of(self, NAMES)


class MixtureConfig(Config):
    """The table ``[problem.mixture]``: constants of gas and fuel."""

    molar_mass: Positive = Field(0.02897, description="of the gas, kg mol-1")
    heat_capacity: Positive = Field(1000.0, description="of the gas, J kg-1 K-1")
    heat_release: Positive = Field(5e7, description="per mass of fuel, J kg-1")
    order: float = Field(
        1.6, gt=1, le=4, description="order of the reaction in the density of fuel"
    )


_START = UnknownConfig(
    conductivity=LogNormalConfig(median=0.03, std=0.25),
    activation_energy=LogNormalConfig(median=1.3e5, std=0.1),
)


class FlameConfig(Config):
    """A laminar flame that propagates freely: ρ_in s_L c_p T′ = λ T″ + q ω."""

    UNSAID: ClassVar[frozenset[str]] = frozenset({"unknown"})

    model: Literal["one-step"] = Field(
        "one-step", description="one-step: one reaction, Lewis number one, algebraic closures"
    )
    configuration: Literal["free"] = Field(
        "free", description="free: a premixed flame that propagates freely"
    )
    length: Length = Field(1.5e-3, description="of the domain, m")
    cells: int = Field(200, ge=16, le=1_000_000, description="cells of level 0, halved per level")
    grading: float = Field(
        0.5, ge=0, le=0.9, description="part of the cells that goes where the flame bends; 0: even"
    )
    conductivity: Positive = Field(0.026, description="thermal conductivity λ, W m-1 K-1")
    activation_energy: Positive = Field(121417.2, description="activation energy, J mol-1")
    pre_exponential: Positive = Field(
        1.4e8, description="A of ω = A exp(−E/(R T)) (ρ Y)^order, for densities in kg m-3"
    )
    inlet_gradient: Positive = Field(
        1e5, description="dT/dx at the inlet, K m-1, which says where in the domain the flame is"
    )
    equivalence_ratio: EquivalenceRatio = Field(0.4, description="φ of the lean mixture")
    pressure: Pressure = Field(101325.0, description="pressure at the inlet, Pa")
    inlet_temperature: float = Field(
        298.0, ge=COLDEST, le=1500, description="temperature at the inlet, K"
    )
    mixture: MixtureConfig = Field(MixtureConfig(), description="constants of gas and fuel")
    unknown: UnknownConfig = Field(_START, description="what is sought, with its priors")

    @property
    def extent(self) -> tuple[tuple[float, float], ...]:
        """The ends of the domain."""
        return ((0.0, self.length),)

    @property
    def sought(self) -> tuple[str, ...]:
        """The names of the parameters that are sought."""
        return tuple(self.unknown.sought)

    @property
    def gas(self) -> Mixture:
        """The constants of the mixture."""
        return Mixture(**self.mixture.model_dump())

    @property
    def known(self) -> Parameters:
        """The parameters as configured, the sought ones among them."""
        return Parameters(**{name: getattr(self, name) for name in NAMES})

    @property
    def centre(self) -> Parameters:
        """The parameters with the sought ones in the middle of their priors."""
        return Parameters(**in_middle(self, NAMES, self.unknown.sought))
