"""What a user may set of the impedance tomography problem; all in SI units."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from pdeinv.bayes.prior_config import (
    LevelSetConfig,
    LogGaussianConfig,
    PiecewiseConfig,
    TwoPhaseConfig,
    UniformConfig,
    conducting,
)
from pdeinv.config import Config, Few, Finite, Positive, merge

from .geometry import Disc, DomainConfig, ElectrodesConfig, MshDomain
from .patterns import Adjacent, MatrixPattern, Pattern, Single, Trigonometric
from .presets import KTC_LEVELS, PRESETS
from .shapes import EllipsesConfig, HeartAndLungsConfig

__all__ = ["Constant", "Drive", "EitConfig", "ElementsConfig", "Measure"]


class BodyFieldConfig(LogGaussianConfig):
    """ln m = x, a Gaussian field with Matérn covariance on the box around the body."""

    length: Positive = Field(
        0.5, description="correlation length in m; where not given a quarter of the body's width"
    )
    modes: int | float = Field(
        64,
        gt=0,
        description="kl: number of modes (1 or more; where not given 150 on solids), or the share "
        "of variance kept (< 1)",
    )


class ElementsConfig(Config):
    """One independent log-normal value per cell of the mesh of level 0."""

    kind: Literal["elements"] = "elements"
    mean: Finite = Field(0.0, description="mean of ln m")
    std: Positive = Field(0.5, description="standard deviation of ln m")


class Constant(Config):
    """A known value."""

    kind: Literal["constant"] = "constant"
    value: float = Field(0.0, ge=0, allow_inf_nan=False, description="everywhere")


Unknown = Annotated[
    BodyFieldConfig
    | PiecewiseConfig
    | TwoPhaseConfig
    | LevelSetConfig
    | UniformConfig
    | ElementsConfig
    | EllipsesConfig
    | HeartAndLungsConfig,
    Field(discriminator="kind"),
]

Permittivity = Annotated[
    Constant | BodyFieldConfig | PiecewiseConfig | ElementsConfig | UniformConfig,
    Field(discriminator="kind"),
]


class Drive(Config):
    """The injected currents: amplitude times a pattern whose rows sum to zero."""

    pattern: Pattern = Field(Adjacent(), description="which electrodes carry current")
    current: Positive = Field(1e-3, description="amplitude in A, one per unit of the pattern")


class Measure(Config):
    """The measured voltages: pattern times electrode potentials."""

    pattern: Pattern = Field(Adjacent(), description="which potentials are compared")
    include_driven: bool | None = Field(
        None,
        description="whether voltages on electrodes that carry current are data; by default only "
        "where every electrode does (trigonometric, single and matrix drives)",
    )


_FIELDS = {"log-gaussian", "two-phase", "level-set"}
_MODES = {False: 64, True: 150}
"""Of a field in the plane, in a solid: with fewer, the best picture of an inclusion misses the data
by far more than their noise (benchmarks/eit_pictures.py)."""


class EitConfig(Config):
    """Impedance tomography: ∇·(γ∇u) = 0 with currents through the boundary."""

    preset: Literal["ktc2023"] | None = Field(
        None,
        description="a known instrument: its domain, electrodes, drives and measurements become "
        "the defaults",
    )
    ktc_level: int = Field(
        1,
        ge=1,
        le=KTC_LEVELS,
        description="ktc2023: level n leaves out electrodes 1 to 2(n − 1)",
    )
    model: Literal["electrodes", "continuum"] = Field(
        "electrodes",
        description="electrodes: complete electrode model; continuum: boundary maps in the "
        "trigonometric basis",
    )
    domain: DomainConfig = Field(Disc(), description="the shape of the body")
    cells: int = Field(
        24, ge=2, description="cells of the inversion mesh across the body, away from its boundary"
    )
    element: Literal["P1", "P2"] = Field("P1", description="degree of the potential")
    thickness: Positive = Field(
        1.0, description="height in m of the slab that a plane domain stands for"
    )
    electrodes: ElectrodesConfig = Field(
        ElectrodesConfig(), description="their number, size, places and contact impedances"
    )
    drive: Drive = Field(Drive(), description="the injected currents")
    measure: Measure = Field(Measure(), description="the measured voltages")
    map: Literal["neumann-to-dirichlet", "dirichlet-to-neumann"] = Field(
        "dirichlet-to-neumann", description="continuum: which map is measured"
    )
    modes: Few = Field(16, description="continuum: frequencies of the basis, cos and sin")
    frequency: float = Field(
        0.0, ge=0, allow_inf_nan=False, description="of the current in Hz; γ = σ + 2πi f ε"
    )
    permittivity: Permittivity = Field(Constant(), description="ε in F m-1, known or with a prior")
    difference: bool = Field(
        False, description="data are voltages minus those of the constant conductivity `reference`"
    )
    reference: Positive = Field(1.0, description="conductivity in S m-1 that differences refer to")
    reference_permittivity: float | None = Field(
        None,
        ge=0,
        allow_inf_nan=False,
        description="permittivity in F m-1 that differences refer to; required where it is "
        "unknown, else `permittivity`",
    )
    unknown: Unknown = Field(BodyFieldConfig(), description="the prior of σ")

    @model_validator(mode="before")
    @classmethod
    def _sized(cls, data: Any) -> Any:
        """A preset is filled in; a field prior without length, grid, modes gets the body's."""
        return _with_defaults(_with_preset(data)) if isinstance(data, dict) else data

    _conducting = field_validator("unknown")(conducting)

    @model_validator(mode="after")
    def _one_model(self) -> EitConfig:
        if self.model == "continuum" and (self.domain.solid or isinstance(self.domain, MshDomain)):
            raise ValueError("model 'continuum' needs a plane domain with a known outline")
        if self.domain.solid and self.thickness != 1.0:
            raise ValueError("thickness belongs to plane domains; this one has a depth of its own")
        if self.frequency == 0 and not isinstance(self.permittivity, Constant):
            raise ValueError("an unknown permittivity needs a frequency above 0")
        unsaid = self.difference and self.reference_permittivity is None
        if unsaid and not isinstance(self.permittivity, Constant):
            raise ValueError(
                "differences of complex voltages refer to a known admittivity: set "
                "reference_permittivity (F m-1) beside reference (S m-1)"
            )
        return self

    @property
    def complex(self) -> bool:
        """Whether data have an imaginary part."""
        return self.frequency > 0

    @property
    def omega(self) -> float:
        """2π times the frequency."""
        return 2 * math.pi * self.frequency

    @property
    def includes_driven(self) -> bool:
        """Whether voltages on current-carrying electrodes are data."""
        if self.measure.include_driven is not None:
            return self.measure.include_driven
        return isinstance(self.drive.pattern, Trigonometric | Single | MatrixPattern)


def _with_preset(data: dict[str, Any]) -> dict[str, Any]:
    """The tables of a preset below those that are given; wrong names are for the fields to tell."""
    tables, level = PRESETS.get(str(data.get("preset"))), data.get("ktc_level", 1)
    if tables is None or level not in range(1, KTC_LEVELS + 1):
        return data
    return merge(tables(int(level)), data)


def _with_defaults(data: dict[str, Any]) -> dict[str, Any]:
    solid, width = _size_of(data.get("domain", {}))
    out = {"unknown": {"kind": "log-gaussian"}, **data}
    for key in ("unknown", "permittivity"):
        if key in out:
            out[key] = _of_body(out[key], solid, width)
    return out


def _of_body(field: Any, solid: bool, width: float) -> Any:
    """The configuration of a field with what it leaves out, by the size of the body."""
    if not isinstance(field, Mapping) or field.get("kind") not in _FIELDS:
        return field
    out = dict(field)
    if solid:
        out.setdefault("grid", [13, 13, 9])
    if field["kind"] == "log-gaussian":
        out.setdefault("length", float(f"{0.25 * width:.12g}"))
        out.setdefault("modes", _MODES[solid])
    elif solid or width != 1.0:
        out.setdefault("tau", float(f"{3.0 / width:.12g}"))
    return out


def _size_of(domain: Any) -> tuple[bool, float]:
    """Whether a domain is solid, and its width along x."""
    get = domain.get if isinstance(domain, Mapping) else lambda k, d=None: getattr(domain, k, d)
    solid = get("depth") is not None or bool(get("volume", False))
    kind = get("kind", "disc")
    try:
        match kind:
            case "ellipse":
                return solid, 2 * float((get("axes") or (1.0, 0.7))[0])
            case "rectangle":
                return solid, float((get("lengths") or (2.0, 2.0))[0])
        return solid, 2 * float(get("radius", 1.0) or 1.0)
    except (TypeError, ValueError, IndexError):
        return solid, 2.0
