"""The prior that a configuration describes, on a grid, on cells or on the nodes of a mesh."""

from __future__ import annotations

import numpy as np

from pdeinv.bayes.fields.base import GaussianField, IndependentField
from pdeinv.bayes.fields.cosine import CosineField
from pdeinv.bayes.fields.fft import CirculantField
from pdeinv.bayes.fields.grid import Extent, RegularGrid, axis_attrs, cells
from pdeinv.bayes.fields.kl import KarhunenLoeveField
from pdeinv.bayes.fields.spde import MeshMatrices, SpdeField
from pdeinv.bayes.prior import FieldPrior
from pdeinv.bayes.prior_config import (
    GaussianConfig,
    LevelSetConfig,
    LogGaussianConfig,
    MaternConfig,
    PhaseConfig,
    PiecewiseConfig,
    TwoPhaseConfig,
    UniformConfig,
    UnknownConfig,
)
from pdeinv.bayes.transforms import Exponential, Identity, Interval, LevelSet, Transform
from pdeinv.errors import ConfigError
from pdeinv.memory import check_fits
from pdeinv.model.sensors import AXES
from pdeinv.model.spaces import Space, Variable
from pdeinv.typing import Array

__all__ = ["build", "build_spde", "uniform_prior"]


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
        config: any configuration of a field, but for ``representation = "spde"``.
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
    """The prior on the nodes of a mesh, for ``representation = "spde"``.

    Its dimension is ``vertex``: files keep ``node`` for the nodes of the solution.

    Smoothness, length, std and mean are used; the labels are those of :func:`build`.

    Raises:
        ConfigError: the smoothness is none that the equation can give.
    """
    n, d = mesh.coordinates.shape
    coords = {axis: (("vertex",), mesh.coordinates[:, i]) for i, axis in enumerate(AXES[:d])}
    attrs = {axis: axis_attrs(axis, coord_units) for axis in coords}
    variable = Variable(name, ("vertex",), (n,), units, long_name, coords, attrs)
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
        return uniform_prior(space, config.low * one, config.high * one)
    field = IndependentField(config.log_mean * one, config.std * one)
    return FieldPrior(space, field, Exponential())


def _cosine(config: PhaseConfig, grid: RegularGrid) -> CosineField:
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


def _pointwise(config: MaternConfig) -> Transform:
    return Exponential() if isinstance(config, LogGaussianConfig) else Identity()


def _matern(config: MaternConfig, grid: RegularGrid) -> GaussianField:
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
    size = 16 * grid.size * min(int(config.modes), grid.size)
    check_fits(f"modes: {config.modes} functions on {grid.size} nodes", size, "lower modes or grid")
    return KarhunenLoeveField.on_grid(grid, config.covariance, config.modes, mean=config.mean)


def uniform_prior(space: Space, low: Array, high: Array) -> FieldPrior:
    """Independent numbers, uniform between ``low`` and ``high``, each of shape (size,)."""
    field = IndependentField(np.zeros(space.size), np.ones(space.size))
    return FieldPrior(space, field, Interval(low, high))
