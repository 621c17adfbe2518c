"""What may be unknown of a heat problem, each with its prior."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from pdeinv.bayes.prior_config import (
    FieldKinds,
    GaussianConfig,
    LogGaussianConfig,
    PositiveKinds,
    UniformConfig,
    conducting,
)
from pdeinv.config import Config, Few, Finite, Positive
from pdeinv.errors import ConfigError
from pdeinv.fem.spacetime import SpaceTime

__all__ = [
    "ConductivityConfig",
    "Formula",
    "HeatUnknown",
    "InitialStateConfig",
    "LogNormalConfig",
    "PointSourcesConfig",
    "RobinConfig",
    "SideFluxConfig",
    "SourceConfig",
    "with_grid",
]

Formula = float | str
"""A number, or a formula in x, y, z (as the domain has) and, where said, t."""

FieldPriorConfig = Annotated[FieldKinds, Field(discriminator="kind")]
PositivePriorConfig = Annotated[PositiveKinds, Field(discriminator="kind")]


class LogNormalConfig(Config):
    """One log-normal number."""

    kind: Literal["log-normal"] = "log-normal"
    mean: Finite = Field(0.0, description="mean of the logarithm")
    std: Positive = Field(0.5, description="its standard deviation")


class _UnknownConfig(Config):
    """Base of all unknowns; most have nothing more to check."""

    def check(self, dim: int) -> None:
        """Raise a ConfigError where the unknown does not suit a domain of that dimension."""


class InitialStateConfig(_UnknownConfig):
    """u at t = 0, a field; the model is linear in it."""

    kind: Literal["initial-state"] = "initial-state"
    prior: FieldPriorConfig = Field(GaussianConfig(length=0.3), description="its prior")


class SourceConfig(_UnknownConfig):
    """A source field times a known profile in time, on top of ``source``; linear."""

    kind: Literal["source"] = "source"
    prior: FieldPriorConfig = Field(GaussianConfig(length=0.3), description="its prior")
    profile: Formula = Field(1.0, description="factor in time: a number or a formula in t")

    def check(self, dim: int) -> None:
        """Read the profile."""
        SpaceTime(self.profile, 0, "profile")


class ConductivityConfig(_UnknownConfig):
    """The conductivity k(x) > 0, a field."""

    kind: Literal["conductivity"] = "conductivity"
    prior: PositivePriorConfig = Field(
        LogGaussianConfig(mean=-3.0, std=0.5, length=0.3), description="its prior"
    )

    _conducting = field_validator("prior")(conducting)


class PointSourcesConfig(_UnknownConfig):
    """Sources that move along straight lines, each a Gaussian bump of given width.

    Source i adds s_i exp(−|x − p_i − v_i t|²/(2 w²)) / (2 π w²)^(d/2) to q.
    """

    kind: Literal["point-sources"] = "point-sources"
    count: Few = Field(1, description="how many sources")
    width: float = Field(0.05, gt=0, allow_inf_nan=False, description="w, in coordinate units")
    low: tuple[float, ...] | None = Field(
        None, description="least start position along x, y, z; the domain's box where not given"
    )
    high: tuple[float, ...] | None = Field(None, description="largest start position")
    speed: float = Field(
        0.0, ge=0, allow_inf_nan=False, description="std of each velocity component; 0: at rest"
    )
    strength: LogNormalConfig = Field(LogNormalConfig(), description="prior of s_i")

    def check(self, dim: int) -> None:
        """The corners have as many numbers as the domain has dimensions."""
        for name in ("low", "high"):
            value = getattr(self, name)
            if value is not None and len(value) != dim:
                raise ConfigError(f"unknown.{name}: expected {dim} numbers, got {len(value)}")
        corners = zip(self.low or (), self.high or (), strict=False)
        if any(a >= b for a, b in corners):
            raise ConfigError("unknown.low must be less than unknown.high along each axis")


class RobinConfig(_UnknownConfig):
    """The heat transfer coefficient h of one Robin side, one number."""

    kind: Literal["robin"] = "robin"
    side: str = Field(description="a side whose condition is robin; its coefficient is replaced")
    prior: Annotated[LogNormalConfig | UniformConfig, Field(discriminator="kind")] = Field(
        LogNormalConfig(), description="its prior"
    )

    @field_validator("prior")
    @classmethod
    def _one_number(cls, value: Any) -> Any:
        if isinstance(value, UniformConfig) and (value.low < 0 or value.cells is not None):
            raise ValueError("must be one number (no cells) and not negative")
        return value


class SideFluxConfig(_UnknownConfig):
    """The heat flux into the body through one side, a Gaussian process in time; linear.

    The inverse heat conduction problem. It comes on top of the side's own condition, which must not
    be dirichlet; linear between ``knots`` times, the same along the side.
    """

    kind: Literal["flux"] = "flux"
    side: str = Field(description="the heated side")
    knots: int = Field(65, ge=2, description="equidistant times from 0 to the end")
    prior: GaussianConfig = Field(
        GaussianConfig(length=0.2, grid=(65,)), description="its prior, lengths in time units"
    )

    @model_validator(mode="before")
    @classmethod
    def _in_time(cls, data: Any) -> Any:
        """The prior's grid is that of the knots."""
        if not isinstance(data, dict) or isinstance(data.get("prior"), Config):
            return data
        prior = {"kind": "gaussian", "length": 0.2, **data.get("prior", {})}
        return {**data, "prior": {**prior, "grid": [data.get("knots", 65)]}}


HeatUnknown = Annotated[
    InitialStateConfig
    | SourceConfig
    | ConductivityConfig
    | PointSourcesConfig
    | RobinConfig
    | SideFluxConfig,
    Field(discriminator="kind"),
]

_NODES = {1: [65], 2: [33, 33], 3: [13, 13, 13]}
_DEFAULTS: dict[str, dict[str, Any]] = {
    "initial-state": {"kind": "gaussian", "length": 0.3},
    "source": {"kind": "gaussian", "length": 0.3},
    "conductivity": {"kind": "log-gaussian", "mean": -3.0, "std": 0.5, "length": 0.3},
}


def with_grid(data: dict[str, Any]) -> dict[str, Any]:
    """The problem's table with a prior grid of the domain's dimension, where none is given."""
    unknown = data.get("unknown", {"kind": "initial-state"})
    kind = unknown.get("kind") if isinstance(unknown, dict) else None
    lengths = data.get("lengths", (1.0, 1.0))
    if kind not in _DEFAULTS or not isinstance(lengths, list | tuple) or len(lengths) not in _NODES:
        return data
    prior = unknown.get("prior", _DEFAULTS[kind])
    if not isinstance(prior, dict) or "grid" in prior:
        return data
    if prior.get("kind") not in ("gaussian", "log-gaussian", "two-phase", "level-set"):
        return data
    nodes = _NODES[2 if data.get("mesh") else len(lengths)]
    return {**data, "unknown": {**unknown, "prior": {**prior, "grid": nodes}}}
