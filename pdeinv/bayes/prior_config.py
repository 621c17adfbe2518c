"""Priors by configuration: what a user writes about the unknown, and the prior that it means."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from pdeinv.bayes.fields.base import GaussianField, IndependentField
from pdeinv.bayes.fields.cosine import CosineField
from pdeinv.bayes.fields.fft import CirculantField
from pdeinv.bayes.fields.grid import AXES, Extent, RegularGrid, axis_attrs, cells
from pdeinv.bayes.fields.kl import KarhunenLoeveField
from pdeinv.bayes.fields.matern import Matern
from pdeinv.bayes.fields.spde import MeshMatrices, SpdeField
from pdeinv.bayes.prior import FieldPrior
from pdeinv.bayes.transforms import Exponential, Identity, Interval, LevelSet, Transform
from pdeinv.config import Config
from pdeinv.errors import ConfigError
from pdeinv.model.spaces import Space, Variable

__all__ = [
    "GaussianConfig",
    "LevelSetConfig",
    "LogGaussianConfig",
    "PiecewiseConfig",
    "TwoPhaseConfig",
    "UniformConfig",
    "UnknownConfig",
    "build",
    "build_spde",
]

Counts = Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1, max_length=3)]


class _MaternConfig(Config):
    """What Gaussian and log-Gaussian fields share."""

    representation: Literal["kl", "fft", "spde"] = Field(
        "kl",
        description="kl: truncated expansion, few unknowns; fft: exact on the grid, one unknown "
        "per point of a larger grid; spde: on the mesh, one unknown per node",
    )
    smoothness: float = Field(1.5, gt=0, description="Matérn ν; inf: squared exponential")
    length: float = Field(
        0.4, gt=0, allow_inf_nan=False, description="correlation length, in coordinate units"
    )
    std: float = Field(1.0, gt=0, allow_inf_nan=False, description="pointwise standard deviation")
    mean: float = Field(0.0, allow_inf_nan=False, description="pointwise mean")
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
        if value >= 1 and value != int(value):
            raise ValueError("must be a whole number, or a share of variance below 1")
        return int(value) if value >= 1 else value

    @property
    def covariance(self) -> Matern:
        """The Matérn covariance that the numbers describe."""
        return Matern(self.smoothness, self.length, self.std)


class GaussianConfig(_MaternConfig):
    """m = x, a Gaussian field with Matérn covariance; mean and std in the units of m."""

    kind: Literal["gaussian"] = "gaussian"


class LogGaussianConfig(_MaternConfig):
    """ln m = x, a Gaussian field with Matérn covariance; mean and std are those of ln m."""

    kind: Literal["log-gaussian"] = "log-gaussian"


class PiecewiseConfig(Config):
    """One independent log-normal value per cell of a regular grid."""

    kind: Literal["piecewise"] = "piecewise"
    cells: Counts = Field((4, 4), description="cells along x, y, z")
    mean: float = Field(0.0, allow_inf_nan=False, description="centre of ln m, see measure")
    std: float = Field(1.0, gt=0, allow_inf_nan=False, description="standard deviation of ln m")
    measure: Literal["log", "linear"] = Field(
        "log",
        description="what has the density exp(-(ln m - mean)²/(2 std²)): 'log' d(ln m), so that "
        "ln m ~ N(mean, std²); 'linear' dm, so that ln m ~ N(mean + std², std²)",
    )

    @property
    def log_mean(self) -> float:
        """The mean of ln m; dm = m d(ln m) tilts the normal law by std²."""
        return self.mean + (self.std**2 if self.measure == "linear" else 0.0)


class _PhaseConfig(Config):
    """The Gaussian field of level sets: (tau² - Δ)^(-alpha), zero flux, average variance one."""

    tau: float = Field(
        3.0,
        gt=0,
        allow_inf_nan=False,
        description="inverse length of the field, in 1/coordinate units",
    )
    alpha: float = Field(2.0, gt=0, allow_inf_nan=False, description="decay of its spectrum")
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


class TwoPhaseConfig(_PhaseConfig):
    """m is ``high`` where a Gaussian field is at or above the threshold, ``low`` elsewhere.

    The defaults are the operator-learning benchmark N(0, (-Δ + 9)^(-2)) (Li et al. 2021).
    """

    kind: Literal["two-phase"] = "two-phase"
    low: float = Field(3.0, allow_inf_nan=False, description="value below the threshold")
    high: float = Field(12.0, allow_inf_nan=False, description="value at and above the threshold")
    threshold: float = Field(0.0, allow_inf_nan=False, description="in the field's std")


class LevelSetConfig(_PhaseConfig):
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
    low: float = Field(0.0, allow_inf_nan=False, description="lower end")
    high: float = Field(1.0, allow_inf_nan=False, description="upper end")
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


UnknownConfig = Annotated[
    LogGaussianConfig
    | GaussianConfig
    | PiecewiseConfig
    | TwoPhaseConfig
    | LevelSetConfig
    | UniformConfig,
    Field(discriminator="kind"),
]
"""The prior of an unknown, told apart by ``kind``."""


def build(
    config: UnknownConfig,
    *,
    name: str,
    units: str,
    long_name: str,
    extent: Extent = ((0.0, 1.0), (0.0, 1.0)),
    coord_units: str = "m",
) -> FieldPrior:
    """The prior that a configuration describes, on an interval, a rectangle or a box.

    Args:
        config: any of the configurations above, but for ``representation = "spde"``.
        name: the unknown's name in files.
        units: its units.
        long_name: what it is, in words.
        extent: ends of the domain along x, y, z.
        coord_units: units of the coordinates.

    Raises:
        ConfigError: the configuration does not fit the domain, or needs a mesh.
    """
    if isinstance(config, PiecewiseConfig | UniformConfig):
        variable = _cell_variable(config.cells, (name, units, long_name), extent, coord_units)
        return _independent(config, variable)
    grid = RegularGrid(extent, config.grid)
    variable = grid.variable(name, units, long_name, coord_units)
    if isinstance(config, TwoPhaseConfig | LevelSetConfig):
        return FieldPrior(Space((variable,)), _cosine(config, grid), _phases(config))
    return FieldPrior(Space((variable,)), _matern(config, grid), _pointwise(config))


def build_spde(
    config: GaussianConfig | LogGaussianConfig,
    mesh: MeshMatrices,
    *,
    name: str,
    units: str,
    long_name: str,
    coord_units: str = "m",
) -> FieldPrior:
    """The prior on the nodes of a mesh, for ``representation = "spde"``; its dimension is ``node``.

    Smoothness, length, std and mean are used; the labels are those of :func:`build`.

    Raises:
        ConfigError: the smoothness is none that the equation can give.
    """
    n, d = mesh.coordinates.shape
    coords = {axis: (("node",), mesh.coordinates[:, i]) for i, axis in enumerate(AXES[:d])}
    attrs = {axis: axis_attrs(axis, coord_units) for axis in coords}
    variable = Variable(name, ("node",), (n,), units, long_name, coords, attrs)
    field = SpdeField.on_mesh(mesh, config.covariance, mean=config.mean)
    return FieldPrior(Space((variable,)), field, _pointwise(config))


def _cell_variable(
    counts: tuple[int, ...] | None, labels: tuple[str, str, str], extent: Extent, coord_units: str
) -> Variable:
    if counts is None:
        name, units, long_name = labels
        return Variable(name, (), (), units, long_name)
    return cells(extent, counts, labels, coord_units)


def _independent(config: PiecewiseConfig | UniformConfig, variable: Variable) -> FieldPrior:
    space, one = Space((variable,)), np.ones(variable.size)
    if isinstance(config, UniformConfig):
        interval = Interval(config.low * one, config.high * one)
        return FieldPrior(space, IndependentField(0.0 * one, one), interval)
    field = IndependentField(config.log_mean * one, config.std * one)
    return FieldPrior(space, field, Exponential())


def _cosine(config: _PhaseConfig, grid: RegularGrid) -> CosineField:
    return CosineField.on_grid(
        grid,
        tau=config.tau,
        alpha=config.alpha,
        modes=config.modes,
        constant_mode=config.constant_mode,
        normalise=True,
    )


def _phases(config: TwoPhaseConfig | LevelSetConfig) -> LevelSet:
    if isinstance(config, TwoPhaseConfig):
        return LevelSet((config.threshold,), (config.low, config.high), config.blend)
    return LevelSet(config.thresholds, config.values, config.blend)


def _pointwise(config: _MaternConfig) -> Transform:
    return Exponential() if isinstance(config, LogGaussianConfig) else Identity()


def _matern(config: _MaternConfig, grid: RegularGrid) -> GaussianField:
    if config.representation == "spde":
        raise ConfigError(
            "representation 'spde' needs a mesh, which this unknown has not; use 'kl' or 'fft'"
        )
    if config.length < max(grid.spacing):
        raise ConfigError(
            f"length: {config.length:g} is below the grid spacing {max(grid.spacing):g}; "
            "raise the number of grid nodes or the length"
        )
    if config.representation == "fft":
        return CirculantField.on_grid(grid, config.covariance, mean=config.mean)
    return KarhunenLoeveField.on_grid(grid, config.covariance, config.modes, mean=config.mean)
