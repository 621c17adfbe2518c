"""What a user may set of flames of five species, in SI units with mol."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from pdeinv.config import Config, Positive
from pdeinv.typing import Array

from ..config import COLDEST, Length, Pressure, PressurePrior
from ..number_priors import (
    LogNormalConfig,
    NumberConfig,
    SoughtConfig,
    in_middle,
    sought_of,
)
from .adapt import Criteria
from .gas import SPECIES, Reaction
from .parameters import COUNTERFLOW, FLAMMABLE, FREE, NAMES, Parameters
from .start import Domain

__all__ = ["CompositionConfig", "HOTTEST", "SpeciesConfig", "UnknownConfig"]

HOTTEST = 1000.0
"""Of the temperatures of streams, K."""
WHOLE = 1e-6
"""How far fractions may sum to something else than one."""

EquivalenceRatio = Annotated[float, Field(ge=FLAMMABLE[0], le=FLAMMABLE[1])]
Part = Annotated[float, Field(ge=0, le=1)]
Cold = Annotated[float, Field(ge=COLDEST, le=HOTTEST)]


class CompositionConfig(Config):
    """Parts of the species, which sum to one."""

    O2: Part = Field(0.0, description="part of it")
    H2O: Part = Field(0.0, description="part of it")
    CH4: Part = Field(0.0, description="part of it")
    CO2: Part = Field(0.0, description="part of it")
    N2: Part = Field(0.0, description="part of it")

    @model_validator(mode="after")
    def _whole(self) -> CompositionConfig:
        total = float(self.parts.sum())
        if abs(total - 1) > WHOLE:
            raise ValueError(f"the parts of a mixture must sum to 1; these sum to {total:.6g}")
        return self

    @property
    def parts(self) -> Array:
        """As an array over the species, (5,)."""
        return np.array([getattr(self, name) for name in SPECIES])


class UnknownConfig(Config):
    """The table ``[problem.unknown]``: what is sought, each with its prior; the rest is known."""

    pre_exponential: NumberConfig | None = Field(None, description="A of the rate")
    activation_energy: NumberConfig | None = Field(None, description="E of the rate, J mol-1")
    conductivity_scale: NumberConfig | None = Field(None, description="factor of λ")
    viscosity_scale: NumberConfig | None = Field(None, description="factor of μ")
    diffusivity_scale: NumberConfig | None = Field(None, description="factor of all D_km")
    equivalence_ratio: NumberConfig | None = Field(None, description="φ of the reactants")
    pressure: PressurePrior = Field(None, description="p, Pa")
    inlet_temperature: NumberConfig | None = Field(None, description="of the reactants, K")
    fixed_temperature: NumberConfig | None = Field(
        None, description="at the place where a free flame is held, K"
    )
    mass_flux: NumberConfig | None = Field(None, description="of the reactants, kg m-2 s-1")
    opposed_mass_flux: NumberConfig | None = Field(None, description="of the other stream")
    opposed_temperature: NumberConfig | None = Field(None, description="of the other stream, K")

    @model_validator(mode="after")
    def _some(self) -> UnknownConfig:
        if not self.sought:
            raise ValueError(f"expected a prior of at least one of {', '.join(NAMES)}")
        return self

    @property
    def sought(self) -> dict[str, SoughtConfig]:
        """The priors by name, in the order of the parameters."""
        return sought_of(self, NAMES)


class ReactionConfig(Config):
    """The table ``[problem.reaction]``: q = A T^b exp(−E/(R T)) [CH4]^m [O2]^n."""

    exponent: float = Field(0.0, ge=-4, le=4, description="b of T^b")
    fuel_order: float = Field(1.0, ge=0.2, le=3, description="m of [CH4]^m")
    oxygen_order: float = Field(0.5, ge=0.2, le=3, description="n of [O2]^n")


_START = UnknownConfig(
    pre_exponential=LogNormalConfig(median=1e7, std=0.2),
    activation_energy=LogNormalConfig(median=8.2e4, std=0.05),
)


class SpeciesConfig(Config):
    """A laminar flame of CH4, O2, H2O, CO2 and N2: free, or between two streams."""

    UNSAID: ClassVar[frozenset[str]] = frozenset({"unknown"})

    configuration: Literal["free", "counterflow"] = Field(
        "free",
        description="free: a premixed flame that propagates freely; counterflow: reactants against "
        "a stream of other gas",
    )
    length: Length = Field(0.02, description="of the domain, m")
    fixed_place: float = Field(
        0.35, gt=0.02, lt=0.98, description="where a free flame is held, as a part of the domain"
    )
    slope: float = Field(
        0.05, ge=0.001, le=0.3, description="the most a field changes across a cell, by its range"
    )
    curve: float = Field(
        0.1, ge=0.001, le=0.6, description="the most its derivative changes there, likewise"
    )
    pre_exponential: Positive = Field(
        1.1e7, description="A of the rate, for concentrations in mol m-3 and rates in mol m-3 s-1"
    )
    activation_energy: Positive = Field(83680.0, description="E of the rate, J mol-1")
    conductivity_scale: Positive = Field(1.0, description="factor of λ")
    viscosity_scale: Positive = Field(1.0, description="factor of μ")
    diffusivity_scale: Positive = Field(1.0, description="factor of all D_km")
    equivalence_ratio: EquivalenceRatio = Field(0.8, description="φ of the reactants")
    pressure: Pressure = Field(101325.0, description="p, Pa")
    inlet_temperature: Cold = Field(300.0, description="of the reactants, K")
    fixed_temperature: float = Field(
        1000.0, gt=COLDEST, le=2000, description="at the place where a free flame is held, K"
    )
    mass_flux: Positive = Field(1.0, description="of the reactants of a counterflow, kg m-2 s-1")
    opposed_mass_flux: Positive = Field(1.0, description="of the other stream")
    opposed_temperature: Cold = Field(300.0, description="of the other stream, K")
    oxidizer: CompositionConfig = Field(
        CompositionConfig(O2=1 / 4.76, N2=3.76 / 4.76),
        description="mole fractions of what the fuel, CH4, is mixed with",
    )
    opposed: CompositionConfig = Field(
        CompositionConfig(N2=1.0), description="mass fractions of the other stream"
    )
    reaction: ReactionConfig = Field(ReactionConfig(), description="exponent and orders")
    unknown: UnknownConfig = Field(_START, description="what is sought, with its priors")

    @model_validator(mode="after")
    def _fit(self) -> SpeciesConfig:
        if not self.oxidizer.O2:
            raise ValueError("oxidizer has no O2; without it nothing burns")
        free = self.configuration == "free"
        wrong = [name for name in self.unknown.sought if name in (COUNTERFLOW if free else FREE)]
        if wrong:
            raise ValueError(
                f"unknown.{wrong[0]} has no effect where configuration is '{self.configuration}'; "
                "leave it out"
            )
        if free and not self.fixed_temperature > self.inlet_temperature + 50:
            raise ValueError(
                f"fixed_temperature must be 50 K above inlet_temperature at least; got "
                f"{self.fixed_temperature:g} and {self.inlet_temperature:g}"
            )
        return self

    @property
    def counterflow(self) -> bool:
        """Whether two streams meet."""
        return self.configuration == "counterflow"

    @property
    def extent(self) -> tuple[tuple[float, float], ...]:
        """The ends of the domain."""
        return ((0.0, self.length),)

    @property
    def sought(self) -> tuple[str, ...]:
        """The names of the parameters that are sought."""
        return tuple(self.unknown.sought)

    @property
    def domain(self) -> Domain:
        """Where the flame burns."""
        return Domain(self.length, self.fixed_place * self.length)

    @property
    def criteria(self) -> Criteria:
        """Of the cells of level 0."""
        return Criteria(self.slope, self.curve)

    @property
    def law(self) -> Reaction:
        """Exponent and orders."""
        return Reaction(**self.reaction.model_dump())

    @property
    def known(self) -> Parameters:
        """The parameters as configured, the sought ones among them."""
        return Parameters(**{name: getattr(self, name) for name in NAMES})

    @property
    def centre(self) -> Parameters:
        """The parameters with the sought ones in the middle of their priors."""
        return Parameters(**in_middle(self, NAMES, self.unknown.sought))
