"""Priors by configuration: what a user writes about the unknown."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from pdeinv.bayes.fields.matern import Matern
from pdeinv.bayes.transforms import LevelSet
from pdeinv.config import Config, Finite, Positive
from pdeinv.errors import ConfigError

__all__ = [
    "FieldKinds",
    "GaussianConfig",
    "LevelSetConfig",
    "LogGaussianConfig",
    "MaternConfig",
    "PhaseConfig",
    "PiecewiseConfig",
    "PositiveKinds",
    "TwoPhaseConfig",
    "UniformConfig",
    "UnknownConfig",
    "conducting",
    "is_positive",
]

Counts = Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1, max_length=3)]


class MaternConfig(Config):
    """What Gaussian and log-Gaussian fields share."""

    representation: Literal["kl", "fft", "spde"] = Field(
        "kl",
        description="kl: truncated expansion, few unknowns; fft: exact on the grid, one unknown "
        "per point of a larger grid; spde: on the mesh, one unknown per node",
    )
    smoothness: float = Field(1.5, gt=0, description="Matérn ν; inf: squared exponential")
    length: Positive = Field(0.4, description="correlation length, in coordinate units")
    std: Positive = Field(1.0, description="pointwise standard deviation")
    mean: Finite = Field(0.0, description="pointwise mean")
    modes: int | float = Field(
        16, gt=0, description="kl: number of modes (1 or more), or the share of variance kept (< 1)"
    )
    grid: Counts = Field((33, 33), description="kl, fft: nodes along x, y, z, boundary included")

    @field_validator("smoothness")
    @classmethod
    def _moderate(cls, value: float) -> float:
        if 20 < value < math.inf:
            raise ValueError("must be at most 20, or inf")
        return value

    @field_validator("modes")
    @classmethod
    def _whole_or_share(cls, value: float) -> float:
        if value >= 1 and not float(value).is_integer():
            raise ValueError("must be a whole number, or a share of variance below 1")
        return int(value) if value >= 1 else value

    @property
    def covariance(self) -> Matern:
        """The Matérn covariance that the numbers describe."""
        return Matern(self.smoothness, self.length, self.std)


class GaussianConfig(MaternConfig):
    """m = x, a Gaussian field with Matérn covariance; mean and std in the units of m."""

    kind: Literal["gaussian"] = "gaussian"


class LogGaussianConfig(MaternConfig):
    """ln m = x, a Gaussian field with Matérn covariance; mean and std are those of ln m."""

    kind: Literal["log-gaussian"] = "log-gaussian"


class PiecewiseConfig(Config):
    """One independent log-normal value per cell of a regular grid."""

    kind: Literal["piecewise"] = "piecewise"
    cells: Counts = Field((4, 4), description="cells along x, y, z")
    mean: Finite = Field(0.0, description="centre of ln m, see measure")
    std: Positive = Field(1.0, description="standard deviation of ln m")
    measure: Literal["log", "linear"] = Field(
        "log",
        description="what has the density exp(-(ln m - mean)²/(2 std²)): 'log' d(ln m), so that "
        "ln m ~ N(mean, std²); 'linear' dm, so that ln m ~ N(mean + std², std²)",
    )

    @property
    def log_mean(self) -> float:
        """The mean of ln m; dm = m d(ln m) tilts the normal law by std²."""
        return self.mean + (self.std**2 if self.measure == "linear" else 0.0)


class PhaseConfig(Config):
    """The Gaussian field of level sets: (tau² - Δ)^(-alpha), zero flux, average variance one."""

    tau: Positive = Field(3.0, description="inverse length of the field, in 1/coordinate units")
    alpha: Positive = Field(2.0, description="decay of its spectrum")
    grid: Counts = Field((65, 65), description="nodes along x, y, z, boundary included")
    modes: int | None = Field(
        None, ge=1, description="cosine modes along each axis; one per node where not given"
    )
    constant_mode: bool = Field(
        True, description="whether the field's average is random; false leaves the phases balanced"
    )
    blend: float = Field(
        0.0,
        ge=0,
        allow_inf_nan=False,
        description="half width of the passage between phases, in std; 0: no derivative",
    )


class TwoPhaseConfig(PhaseConfig):
    """m is ``high`` where a Gaussian field is at or above the threshold, ``low`` elsewhere.

    The defaults are the operator-learning benchmark N(0, (-Δ + 9)^(-2)) (Li et al. 2021).
    """

    kind: Literal["two-phase"] = "two-phase"
    low: Finite = Field(3.0, description="value below the threshold")
    high: Finite = Field(12.0, description="value at and above the threshold")
    threshold: Finite = Field(0.0, description="in the field's std")


class LevelSetConfig(PhaseConfig):
    """m takes k values, separated where a Gaussian field crosses k - 1 thresholds."""

    kind: Literal["level-set"] = "level-set"
    thresholds: tuple[float, ...] = Field(
        (-0.5, 0.5), min_length=1, description="increasing, in standard deviations of the field"
    )
    values: tuple[float, ...] = Field(
        (1.0, 5.0, 10.0), min_length=2, description="one more than thresholds, lowest phase first"
    )

    @model_validator(mode="after")
    def _consistent(self) -> LevelSetConfig:
        try:
            LevelSet(self.thresholds, self.values)
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return self


class UniformConfig(Config):
    """Independent values, uniform between ``low`` and ``high``: one number, or one per cell."""

    kind: Literal["uniform"] = "uniform"
    low: Finite = Field(0.0, description="lower end")
    high: Finite = Field(1.0, description="upper end")
    cells: Counts | None = Field(
        None, description="cells along x, y, z; a single number where not given"
    )

    @model_validator(mode="after")
    def _ordered(self) -> UniformConfig:
        if not self.low < self.high:
            raise ValueError(
                f"low must be less than high, got low {self.low:g}, high {self.high:g}"
            )
        return self


PositiveKinds = (
    LogGaussianConfig | PiecewiseConfig | TwoPhaseConfig | LevelSetConfig | UniformConfig
)
"""The priors of a field that is positive, but for phases and bounds that a user sets below zero."""

FieldKinds = GaussianConfig | PositiveKinds
"""All priors of a field."""

UnknownConfig = Annotated[FieldKinds, Field(discriminator="kind")]
"""The prior of an unknown, told apart by ``kind``."""


def is_positive(config: Any) -> bool:
    """Whether all values that a prior allows are positive."""
    match config:
        case GaussianConfig():
            return False
        case TwoPhaseConfig():
            return min(config.low, config.high) > 0
        case LevelSetConfig():
            return min(config.values) > 0
        case UniformConfig():
            return config.low > 0
    return True


def conducting(config: Any) -> Any:
    """The prior itself, for the validator of a conductivity.

    Raises:
        ValueError: it allows values that are not positive.
    """
    if not is_positive(config):
        raise ValueError("the conductivity must be positive everywhere")
    return config
