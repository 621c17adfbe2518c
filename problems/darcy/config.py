"""What a user may set of the Darcy problem."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from pdeinv.bayes.prior_config import LogGaussianConfig, PositiveKinds, conducting
from pdeinv.config import Config
from pdeinv.errors import ConfigError
from pdeinv.fem.box_config import BoxConfig
from pdeinv.fem.expressions import Expression

__all__ = ["Boundary", "DarcyConfig", "Dirichlet", "FieldFile", "Flux", "Units"]

Formula = float | str
"""A number, or a formula in x and y."""


def _formula(value: Formula) -> Formula:
    """The value itself, once it is known to be readable and finite."""
    if isinstance(value, str):
        try:
            Expression(value)
        except ConfigError as error:
            raise ValueError(str(error)) from None
    elif not np.isfinite(value):
        raise ValueError("must be finite")
    return value


class Dirichlet(Config):
    """u is prescribed."""

    kind: Literal["dirichlet"] = "dirichlet"
    value: Formula = Field(0.0, description="u on the side: a number or a formula in x and y")

    _check = field_validator("value")(_formula)


class Flux(Config):
    """The outward Darcy flux −κ∂u/∂n is prescribed; zero is a wall."""

    kind: Literal["flux"] = "flux"
    value: Formula = Field(0.0, description="−κ∂u/∂n: a number or a formula in x and y")

    _check = field_validator("value")(_formula)


Boundary = Annotated[Dirichlet | Flux, Field(discriminator="kind")]


class FieldFile(Config):
    """A field on a regular grid, read from a NetCDF file and interpolated bilinearly."""

    file: Path = Field(
        description="NetCDF file with coordinates x and y and the variable on (y, x)"
    )
    variable: str = Field("f", description="name of the variable")


class Units(Config):
    """UDUNITS text of each quantity; numbers are never converted."""

    u: str = Field("m", description="of u")
    coordinate: str = Field("m", description="of places")
    conductivity: str = Field("m s-1", description="of the conductivity")
    source: str = Field("s-1", description="of the source")


DarcyUnknown = Annotated[PositiveKinds, Field(discriminator="kind")]


class DarcyConfig(BoxConfig):
    """Steady flow through a porous medium: −∇·(κ∇u) = f."""

    lengths: tuple[float, float] = Field((1.0, 1.0), description="side lengths of the rectangle")
    cells: int | tuple[int, int] = Field(
        32, description="cells of the inversion mesh along each side, or along x and y"
    )
    boundary: dict[str, Boundary] = Field(
        default_factory=dict,
        description="condition by side (left, right, bottom, top, or the physical names of the "
        ".msh); sides not named hold u = 0",
    )
    source: Formula | FieldFile = Field(
        1.0, description="f: a number, a formula in x and y, or a field in a file"
    )
    unknown: DarcyUnknown = Field(LogGaussianConfig(), description="the prior of κ")
    units: Units = Field(Units(), description="UDUNITS text of each quantity")

    @field_validator("source")
    @classmethod
    def _readable(cls, value: Formula | FieldFile) -> Formula | FieldFile:
        return value if isinstance(value, FieldFile) else _formula(value)

    _conducting = field_validator("unknown")(conducting)

    @model_validator(mode="after")
    def _known_sides(self) -> DarcyConfig:
        self.check_box(self.boundary)
        return self
