"""The unknown on its region, and as the coefficient of the equation: tapered, as n − 1."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import sparse

from pdeinv.fem.field_unknown import FieldUnknown, Labels
from pdeinv.model.coefficient import Affine, Coefficient
from pdeinv.typing import Array

from .config import Bumps, HelmholtzConfig, Inclusions
from .shapes import ShapeMap, shape_map, shape_prior

__all__ = ["coefficient", "unknown_of"]

LONG_NAMES = {
    "contrast": "contrast n − 1",
    "index": "squared refractive index n",
    "source": "source f",
}


def unknown_of(config: HelmholtzConfig) -> FieldUnknown:
    """The field, bumps or inclusions on the region; beyond it, a field has its nearest value."""
    shapes = config.unknown
    if isinstance(shapes, Bumps | Inclusions):
        prior = shape_prior(config, shapes)
        return FieldUnknown(shapes.kind, prior, lambda p: shape_map(shapes, p, np.ones(len(p))))
    x0, x1, y0, y1 = config.box
    units = config.units.source if config.quantity == "source" else "1"
    labels = Labels(config.quantity, units, LONG_NAMES[config.quantity], config.units.coordinate)
    field = FieldUnknown.of(shapes, ((x0, x1), (y0, y1)), labels)
    return replace(field, at=lambda p: field.at(np.clip(p, [x0, y0], [x1, y1])))


def _taper(config: HelmholtzConfig, points: Array) -> Array:
    """One inside the region, zero outside, a smooth step across the margin between."""
    x0, x1, y0, y1 = config.box
    factor = np.ones(len(points))
    for i, (low, high) in enumerate(((x0, x1), (y0, y1))):
        depth = np.minimum(points[:, i] - low, high - points[:, i]) / (high - low)
        if config.margin > 0:
            t = np.clip(depth / config.margin, 0.0, 1.0)
            factor *= t * t * (3 - 2 * t)
        else:
            factor *= depth >= -1e-12
    return factor


def coefficient(config: HelmholtzConfig, unknown: FieldUnknown, points: Array) -> Coefficient:
    """m to q (or f) at points (n, 2), zero outside the region."""
    taper, field = _taper(config, points), unknown.at(points)
    if isinstance(field, ShapeMap):
        return ShapeMap(field.points, taper, field.profile)
    offset = -taper if config.quantity == "index" else np.zeros(len(points))
    return Affine((sparse.diags_array(taper) @ unknown.matrix(points)).tocsr(), offset)
