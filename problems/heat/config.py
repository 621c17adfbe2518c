"""What a user may set of the heat problem."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from pdeinv.config import Config, Steps
from pdeinv.errors import ConfigError
from pdeinv.fem.box_config import BoxConfig
from pdeinv.fem.schemes import SchemeName
from pdeinv.fem.spacetime import SpaceTime

from .unknown_config import Formula, HeatUnknown, InitialStateConfig, with_grid

__all__ = ["Boundary", "Dirichlet", "Flux", "HeatConfig", "Robin", "TimeConfig", "Units"]


class Dirichlet(Config):
    """u is prescribed."""

    kind: Literal["dirichlet"] = "dirichlet"
    value: Formula = Field(0.0, description="u on the side: a number or a formula, t included")


class Flux(Config):
    """The outward heat flux −k∂u/∂n is prescribed; zero is insulation."""

    kind: Literal["flux"] = "flux"
    value: Formula = Field(0.0, description="−k∂u/∂n: a number or a formula, t included")


class Robin(Config):
    """Convection: −k∂u/∂n = h (u − u_ambient)."""

    kind: Literal["robin"] = "robin"
    coefficient: Formula = Field(1.0, description="h ≥ 0: a number or a formula, without t")
    ambient: Formula = Field(0.0, description="u_ambient: a number or a formula, t included")


Boundary = Annotated[Dirichlet | Flux | Robin, Field(discriminator="kind")]


class TimeConfig(Config):
    """The table ``[problem.time]``."""

    final: float = Field(1.0, gt=0, allow_inf_nan=False, description="end of the run")
    steps: Steps = Field(50, description="time steps of level 0; doubled per level")
    scheme: SchemeName = Field(
        "crank-nicolson", description="implicit-euler (order 1), crank-nicolson or bdf2 (order 2)"
    )
    memory_mb: float = Field(
        512.0, gt=0, description="bound on stored states; less means recomputation in the adjoint"
    )


class Units(Config):
    """UDUNITS text of each quantity; numbers are never converted."""

    u: str = Field("K", description="of u")
    coordinate: str = Field("m", description="of places")
    time: str = Field("s", description="of time")
    conductivity: str = Field("W m-1 K-1", description="of the conductivity")
    capacity: str = Field("J m-3 K-1", description="of the capacity ρc")
    source: str = Field("W m-3", description="of the source")
    flux: str = Field("W m-2", description="of fluxes")
    robin: str = Field("W m-2 K-1", description="of the heat transfer coefficient")


class HeatConfig(BoxConfig):
    """Heat conduction in time: ρc ∂u/∂t − ∇·(k∇u) = q."""

    time: TimeConfig = Field(TimeConfig(), description="the run and its time steps")
    boundary: dict[str, Boundary] = Field(
        default_factory=dict,
        description="condition by side (left, right along x; bottom, top along y; in a box front, "
        "back along y and bottom, top along z; or the physical names of the .msh); sides not "
        "named hold u = 0",
    )
    conductivity: Formula = Field(0.05, description="k > 0 where it is known")
    capacity: Formula = Field(1.0, description="ρc > 0")
    source: Formula = Field(0.0, description="q where it is known, t included")
    initial: Formula = Field(0.0, description="u at t = 0 where it is known")
    unknown: HeatUnknown = Field(InitialStateConfig(), description="what is sought, and its prior")
    units: Units = Field(Units(), description="UDUNITS text of each quantity")

    @model_validator(mode="before")
    @classmethod
    def _fitting_grid(cls, data: Any) -> Any:
        return with_grid(data) if isinstance(data, dict) else data

    @model_validator(mode="after")
    def _consistent(self) -> HeatConfig:
        side = getattr(self.unknown, "side", None)
        self.check_box([*self.boundary, *([side] if side else [])])
        try:
            self._read_formulas()
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return self

    def _read_formulas(self) -> None:
        for name in ("source", "initial", "conductivity", "capacity"):
            self.function(getattr(self, name), name, timed=name == "source")
        for side, c in self.boundary.items():
            if isinstance(c, Robin):
                self.function(c.coefficient, f"coefficient on side '{side}'", timed=False)
                self.function(c.ambient, f"ambient value on side '{side}'")
            else:
                self.function(c.value, f"{c.kind} value on side '{side}'")
        self.unknown.check(self.dim)

    def function(self, value: Formula, what: str, *, timed: bool = True) -> SpaceTime:
        """A setting as a function of place and time.

        Raises:
            ConfigError: a formula is not understood, or a number is not finite.
        """
        if not isinstance(value, str) and not np.isfinite(value):
            raise ConfigError(f"{what}: must be finite")
        return SpaceTime(value, self.dim, what, timed)
