"""The velocity that a bounded field is about: a starting model, which the data need not see."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import ndtri

from pdeinv.bayes.fields.base import GaussianField
from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.io.gridded import GriddedField, field_function
from pdeinv.io.netcdf import kind_of, read_tree
from pdeinv.typing import Array

from .unknown_config import BoundedConfig

__all__ = ["about"]

HELD = {"result": ("velocity_mean", "estimates"), "truth": ("velocity", "unknown")}
"""Variable and group of a velocity in files of these kinds."""


def about(field: GaussianField, kind: BoundedConfig, places: Array) -> GaussianField:
    """The Gaussian field x with the mean whose velocity is the background, where there is one.

    Args:
        field: x.
        kind: the table of the unknown.
        places: of its nodes, shape (n, 2).

    Raises:
        ConfigError: a velocity that does not lie between the bounds.
        DataSchemaError: the file holds no such field.
    """
    if kind.background is None:
        return field
    v = _velocity(kind.background, places)
    bad = np.flatnonzero(~((v > kind.low) & (v < kind.high)))
    if len(bad):
        x, y = places[bad[0]]
        raise ConfigError(
            f"unknown.background: expected velocities between low {kind.low:g} and high "
            f"{kind.high:g}, got {v[bad[0]]:g} at (x, y) = ({x:g}, {y:g}) m; widen the bounds or "
            "clip the background"
        )
    moved: Any = field  # every field on a grid is a dataclass with its mean
    found: GaussianField = replace(moved, mean=ndtri((v - kind.low) / (kind.high - kind.low)))
    return found


def _velocity(background: Any, places: Array) -> Array:
    x, y = places.T
    if isinstance(background, tuple):
        top, bottom = background
        return np.asarray(top + (bottom - top) * y / y.max())
    name, group = _held(background)
    return field_function(GriddedField(background, name, "m s-1", "m", group))(x, y)


def _held(path: Path) -> tuple[str, str]:
    """Variable and group of a velocity: of a result its mean, of a truth its unknown.

    Raises:
        DataSchemaError: that is no field on a grid.
    """
    tree = read_tree(path)
    kind = kind_of(tree)
    name, group = HELD.get(kind, ("velocity", ""))
    held = tree[group].to_dataset() if group in tree.children else {}
    if group and (name not in held or not {"x", "y"} <= set(held[name].dims)):
        raise DataSchemaError(
            f"unknown.background: {path} is a {kind} whose unknown is no velocity on a grid over "
            "(y, x); take one of a field on a grid, or a NetCDF file with velocity(y, x)"
        )
    return name, group
