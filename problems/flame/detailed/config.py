"""What a user may set of flames with detailed chemistry, in SI units."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from pdeinv.config import Config, Finite, Positive

from ..config import COLDEST, LENGTHS, Length, Pressure, PressurePrior
from ..number_priors import KnownConfig, NumberConfig, SoughtConfig, in_middle
from .inlet import Inlet
from .mechanism_files import digest_of

__all__ = [
    "FACTOR",
    "DetailedConfig",
    "FactorConfig",
    "OffsetConfig",
    "OpposedConfig",
    "RateConfig",
    "ShiftConfig",
    "TemperaturesConfig",
    "UnknownConfig",
]

FACTOR = 2.0
"""Standard deviations of log10 k that an uncertainty factor stands for."""

SURE = 4.0
"""Standard deviations within which an offset lies."""

STATES = ("equivalence_ratio", "pressure", "inlet_temperature")

Composition = dict[str, Positive]


class FactorConfig(Config):
    """log10 of a pre-exponential factor over that of the mechanism: normal, of mean zero."""

    uncertainty_factor: float | None = Field(
        None, gt=1, le=1e6, description="f of the rate constant: standard deviation log10(f)/2"
    )
    std: Positive | None = Field(None, description="standard deviation of log10, instead of f")

    @model_validator(mode="after")
    def _one(self) -> FactorConfig:
        if (self.uncertainty_factor is None) == (self.std is None):
            raise ValueError("expected either uncertainty_factor or std")
        return self

    @property
    def spread(self) -> float:
        """The standard deviation of log10 of the factor."""
        if self.std is not None:
            return self.std
        assert self.uncertainty_factor is not None
        return float(np.log10(self.uncertainty_factor)) / FACTOR


class ShiftConfig(Config):
    """What is added to the value of the mechanism: normal, of mean zero."""

    std: Positive = Field(description="standard deviation")


class RateConfig(Config):
    """A table of ``[problem.unknown.rates]``: what is sought of one reaction."""

    log_a: FactorConfig | None = Field(
        None, description="log10 of the pre-exponential factor over its value in the mechanism"
    )
    b: ShiftConfig | None = Field(None, description="change of the temperature exponent")
    ea: ShiftConfig | None = Field(None, description="change of the activation energy, J mol-1")

    @model_validator(mode="after")
    def _some(self) -> RateConfig:
        if self.log_a is None and self.b is None and self.ea is None:
            raise ValueError("expected a prior of log_a, b or ea")
        return self


class OffsetConfig(Config):
    """A normal length: how far the places of data are from those of the domain."""

    kind: Literal["normal"] = "normal"
    mean: Finite = Field(0.0, ge=-LENGTHS[1], le=LENGTHS[1], description="its mean, m")
    std: Finite = Field(gt=0, le=LENGTHS[1], description="its standard deviation, m")


Offset = Annotated[OffsetConfig | KnownConfig, Field(discriminator="kind")]


class UnknownConfig(Config):
    """The table ``[problem.unknown]``: what is sought, each with its prior; the rest is known."""

    rates: dict[str, RateConfig] = Field(
        default_factory=dict,
        description="by equation, as the mechanism writes it, or by index from 0",
    )
    equivalence_ratio: NumberConfig | None = Field(None, description="φ of the mixture")
    pressure: PressurePrior = Field(None, description="pressure, Pa")
    inlet_temperature: NumberConfig | None = Field(None, description="temperature of the inlet, K")
    offset: Offset | None = Field(
        None, description="of a free flame: places of data less those of the domain, m"
    )

    @model_validator(mode="after")
    def _some(self) -> UnknownConfig:
        if not self.rates and not self.states and self.shift is None:
            names = ", ".join((*STATES, "offset"))
            raise ValueError(f"expected a prior of at least one of rates, {names}")
        return self

    @property
    def shift(self) -> OffsetConfig | None:
        """The prior of the offset, where it is sought."""
        return None if isinstance(self.offset, KnownConfig) else self.offset

    @property
    def states(self) -> dict[str, SoughtConfig]:
        """The priors of the state of the inlet, by name."""
        found = {name: getattr(self, name) for name in STATES}
        return {n: p for n, p in found.items() if not isinstance(p, KnownConfig | None)}


class OpposedConfig(Config):
    """The table ``[problem.opposed]``: the second inlet of counterflow flames."""

    mass_flux: Positive = Field(0.5, description="kg m-2 s-1")
    temperature: float | None = Field(
        None, ge=COLDEST, le=4000, description="K; of burnt gas, or of the first inlet, if not set"
    )
    composition: Composition = Field(
        default_factory=dict,
        description="mole fractions; where none are given, burnt gas of a premixed flame, oxidizer "
        "of a diffusion flame",
    )


class TemperaturesConfig(Config):
    """The table ``[problem.temperatures]``: an imposed profile, in place of the energy equation."""

    x: tuple[Finite, ...] = Field((), description="increasing places, m")
    T: tuple[Positive, ...] = Field((), description="temperatures there, K; none: energy is solved")

    @model_validator(mode="after")
    def _profile(self) -> TemperaturesConfig:
        if len(self.x) != len(self.T) or len(self.x) == 1 or any(np.diff(self.x) <= 0):
            raise ValueError(
                f"expected at least two increasing x and as many T, got {len(self.x)} and "
                f"{len(self.T)}"
            )
        return self


_START = UnknownConfig(
    rates={
        "H + O2 <=> O + OH": RateConfig(log_a=FactorConfig(uncertainty_factor=1.5)),
        "H2 + OH <=> H + H2O": RateConfig(log_a=FactorConfig(uncertainty_factor=1.5)),
    }
)


class DetailedConfig(Config):
    """A laminar flame with a detailed mechanism, solved for by Cantera."""

    UNSAID: ClassVar[frozenset[str]] = frozenset({"unknown"})

    mechanism: Path = Field(
        Path("h2o2.yaml"), description="a mechanism of Cantera's, or the path of one"
    )
    mechanism_sha256: str = Field(
        "", description="what the mechanism holds; filled in, and compared where a file has it"
    )
    phase: str = Field("", description="of the mechanism; the first where not given")
    configuration: Literal["free", "burner", "counterflow", "diffusion"] = Field(
        "free",
        description="free: premixed, propagates freely; burner: premixed, on a burner; "
        "counterflow: premixed against a second inlet; diffusion: fuel against oxidizer",
    )
    fuel: Composition = Field({"H2": 1.0}, description="mole fractions, which sum to 1")
    oxidizer: Composition = Field({"O2": 0.21, "N2": 0.79}, description="likewise")
    transport: Literal["mixture-averaged", "multicomponent"] = Field(
        "mixture-averaged", description="model of diffusion"
    )
    soret: bool = Field(False, description="thermal diffusion; with multicomponent only")
    length: Length = Field(0.03, description="of the domain, m")
    slope: float = Field(0.06, gt=0, le=1, description="of the grid of level 0, as Cantera has it")
    curve: float = Field(0.12, gt=0, le=1, description="likewise")
    ratio: float = Field(3.0, ge=2, le=100, description="of neighbouring cells, likewise")
    extrapolate: bool = Field(
        False, description="data of a level and the one below, to a grid without end (order one)"
    )
    equivalence_ratio: Positive = Field(1.0, description="φ; of diffusion flames it means nothing")
    pressure: Pressure = Field(101325.0, description="p, from 1e3 to 1e8")
    inlet_temperature: float = Field(298.0, ge=COLDEST, le=1500, description="of the inlet, K")
    mass_flux: Positive = Field(
        0.5, description="of the inlet, kg m-2 s-1; a free flame finds its own"
    )
    opposed: OpposedConfig = Field(OpposedConfig(), description="second inlet")
    temperatures: TemperaturesConfig = Field(TemperaturesConfig(), description="imposed profile")
    species: tuple[str, ...] = Field(
        ("H2", "O2", "H2O", "OH"),
        description="those that may be measured: X_NAME and Y_NAME, mole and mass fractions",
    )
    unknown: UnknownConfig = Field(_START, description="what is sought, with its priors")

    @field_validator("fuel", "oxidizer")
    @classmethod
    def _sums(cls, given: Composition) -> Composition:
        total = sum(given.values())
        if not abs(total - 1.0) <= 1e-6:
            raise ValueError(f"mole fractions must sum to 1, these to {total:g}")
        return given

    @model_validator(mode="after")
    def _consistent(self) -> DetailedConfig:
        if self.opposed.composition:
            self._sums(self.opposed.composition)
        if self.soret and self.transport != "multicomponent":
            raise ValueError("soret needs transport = 'multicomponent'")
        if self.temperatures.x and self.configuration != "burner":
            raise ValueError("temperatures are imposed on configuration = 'burner' only")
        if self.unknown.shift is not None and self.configuration != "free":
            raise ValueError(
                "unknown.offset is of configuration = 'free' only: what holds other flames is at "
                "x = 0"
            )
        if len(set(self.species)) < len(self.species):
            raise ValueError(f"species are named twice: {', '.join(self.species)}")
        return self._with_digest()

    def _with_digest(self) -> DetailedConfig:
        found = digest_of(self.mechanism)
        if self.mechanism_sha256 and found and found != self.mechanism_sha256:
            raise ValueError(
                f"mechanism {self.mechanism} is another one than the file was made with; give that "
                "one, or take this by --set problem.mechanism_sha256="
            )
        if not self.mechanism_sha256 and found:
            # a frozen model; the digest is what the file holds, which nobody chooses
            object.__setattr__(self, "mechanism_sha256", found)
        return self

    @property
    def extent(self) -> tuple[tuple[float, float], ...]:
        """The ends of the domain."""
        return ((0.0, self.length),)

    @property
    def slack(self) -> tuple[float, float]:
        """How far data may lie beyond the ends of the domain, m: four deviations of the offset."""
        shift = self.unknown.shift
        if shift is None:
            return 0.0, 0.0
        return max(0.0, SURE * shift.std - shift.mean), max(0.0, SURE * shift.std + shift.mean)

    @property
    def sought(self) -> tuple[str, ...]:
        """What is sought of the state of the inlet."""
        return tuple(self.unknown.states)

    @property
    def premixed(self) -> bool:
        """Whether fuel and oxidizer come out of one inlet."""
        return self.configuration != "diffusion"

    @property
    def inlet(self) -> Inlet:
        """The configured state of the inlet, with what is sought in the middle of its prior."""
        return Inlet(**in_middle(self, STATES, self.unknown.states), mass_flux=self.mass_flux)
