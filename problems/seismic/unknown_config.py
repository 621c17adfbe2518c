"""The priors of the velocity: fields on a grid, cells, phases and layers."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from pdeinv.bayes.prior_config import (
    Counts,
    LevelSetConfig,
    LogGaussianConfig,
    MaternConfig,
    PiecewiseConfig,
    TwoPhaseConfig,
    UniformConfig,
)
from pdeinv.config import Config, Finite, Positive

from .family_config import FamilyConfig

__all__ = [
    "BoundedConfig",
    "LayersConfig",
    "VelocityCellsConfig",
    "VelocityConfig",
    "VelocityFieldConfig",
    "velocities",
]

MEDIAN, STD = math.log(2500.0), 0.15


class VelocityFieldConfig(LogGaussianConfig):
    """ln v = x, a Gaussian field with Matérn covariance; mean and std are those of ln v."""

    mean: Finite = Field(MEDIAN, description="pointwise mean of ln v, v in m s-1")
    std: Positive = Field(STD, description="pointwise standard deviation of ln v")
    length: Positive = Field(200.0, description="correlation length, m")
    grid: Counts = Field((17, 17), description="nodes along x and y, boundary included")


class BoundedConfig(MaternConfig):
    """v = low + (high − low) Φ(x) with a Gaussian field x: uniform between bounds at each place."""

    kind: Literal["bounded"] = "bounded"
    low: Positive = Field(1500.0, description="lower bound, m s-1")
    high: Positive = Field(4500.0, description="upper bound, m s-1")
    mean: Finite = Field(0.0, description="of x; zero is the middle of the bounds")
    top_std: Positive | None = Field(
        None,
        description="standard deviation of x at the top, where std is that at the bottom, linear "
        "between; std everywhere where not given",
    )
    background: tuple[Positive, Positive] | Path | None = Field(
        None,
        description="median velocity in place of that of mean: at the top and at the bottom, "
        "linear between, or a NetCDF file with velocity(y, x), or a result, whose mean it is",
    )
    length: Positive = Field(200.0, description="correlation length, m")
    grid: Counts = Field((17, 17), description="nodes along x and y, boundary included")

    @model_validator(mode="after")
    def _ordered(self) -> BoundedConfig:
        if not self.low < self.high:
            raise ValueError(
                f"low must be less than high, got low {self.low:g}, high {self.high:g}"
            )
        ramp = self.background
        if isinstance(ramp, tuple) and not all(self.low < v < self.high for v in ramp):
            raise ValueError(
                f"background: expected velocities between low {self.low:g} and high "
                f"{self.high:g}, got {ramp[0]:g} and {ramp[1]:g}"
            )
        if self.top_std is not None and self.top_std > self.std:
            raise ValueError(
                f"top_std: expected at most std {self.std:g}, which is that of the bottom, got "
                f"{self.top_std:g}"
            )
        if self.representation == "spde":
            raise ValueError("representation: a bounded field takes 'kl' or 'fft'")
        return self


class VelocityCellsConfig(PiecewiseConfig):
    """One independent log-normal velocity per cell of a regular grid."""

    mean: Finite = Field(MEDIAN, description="centre of ln v, v in m s-1; see measure")
    std: Positive = Field(STD, description="standard deviation of ln v")


class LayersConfig(Config):
    """Flat layers: log-normal thicknesses of all but the last, and log-normal velocities."""

    kind: Literal["layers"] = "layers"
    thicknesses: Annotated[tuple[Positive, ...], Field(min_length=1, max_length=100)] = Field(
        (300.0,), description="medians from the top, m; the last layer has none"
    )
    thickness_std: Positive = Field(0.15, description="standard deviation of their logarithms")
    velocities: Annotated[tuple[Positive, ...], Field(min_length=2, max_length=101)] = Field(
        (2000.0, 2800.0), description="medians from the top, m s-1"
    )
    velocity_std: Positive = Field(0.1, description="standard deviation of their logarithms")

    @model_validator(mode="after")
    def _as_many(self) -> LayersConfig:
        if len(self.velocities) != len(self.thicknesses) + 1:
            raise ValueError(
                f"velocities: expected {len(self.thicknesses) + 1}, one more than thicknesses, "
                f"got {len(self.velocities)}"
            )
        return self


VelocityConfig = Annotated[
    VelocityFieldConfig
    | BoundedConfig
    | VelocityCellsConfig
    | TwoPhaseConfig
    | LevelSetConfig
    | UniformConfig
    | LayersConfig
    | FamilyConfig,
    Field(discriminator="kind"),
]


def velocities(unknown: Any) -> tuple[float, float, float]:
    """The slowest, a middle and the fastest velocity of a prior.

    Where the prior has no end, two standard deviations below the median and four above it: waves
    that are a little slower lose accuracy, those that are too fast for the time step everything.
    """
    match unknown:
        case VelocityFieldConfig():
            return _lognormal(unknown.mean, unknown.std)
        case VelocityCellsConfig():
            return _lognormal(unknown.log_mean, unknown.std)
        case LayersConfig():
            ends = [_lognormal(math.log(v), unknown.velocity_std) for v in unknown.velocities]
            slow, middle, fast = zip(*ends, strict=True)
            return min(slow), sum(middle) / len(middle), max(fast)
        case TwoPhaseConfig() | BoundedConfig() | UniformConfig() | FamilyConfig():
            low, high = sorted((unknown.low, unknown.high))
            return low, (low + high) / 2, high
        case LevelSetConfig():
            low, high = min(unknown.values), max(unknown.values)
            return low, (low + high) / 2, high
    raise AssertionError(unknown)


def _lognormal(mean: float, std: float) -> tuple[float, float, float]:
    ends = (mean - 2 * std, mean, mean + 4 * std)
    slow, middle, fast = (math.exp(min(e, 300.0)) for e in ends)
    return slow, middle, fast
