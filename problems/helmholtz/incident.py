"""Incident waves: exact solutions of ∇²u + k²u = 0 away from their sources."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import hankel1

from pdeinv.errors import ConfigError
from pdeinv.typing import Array

from .config import HelmholtzConfig, PlaneWaves

__all__ = ["check_outside", "count", "derivatives", "measured", "source_places", "waves"]

Complex = NDArray[np.complex128]


def source_places(config: HelmholtzConfig) -> Array:
    """Unit directions of plane waves or places of point sources, shape (s, 2).

    Raises:
        ConfigError: a point source lies where the contrast does.
    """
    incident = config.incident
    if isinstance(incident, PlaneWaves):
        phi = np.deg2rad(incident.directions)
        return np.stack([np.cos(phi), np.sin(phi)], axis=1)
    if incident.places is not None:
        places = np.asarray(incident.places, dtype=np.float64)
    else:
        lengths = np.asarray(config.lengths)
        radius = incident.radius or 0.48 * lengths.min()
        phi = 2 * np.pi * np.arange(incident.count) / incident.count
        places = lengths / 2 + radius * np.stack([np.cos(phi), np.sin(phi)], axis=1)
    check_outside(config, places, "point source", ConfigError)
    return places


def check_outside(
    config: HelmholtzConfig, places: Array, what: str, error: type[Exception]
) -> None:
    """Refuse places (n, 2) in the region of the unknown, where waves of points are infinite.

    Raises:
        Exception: of the kind ``error``; names the first such place.
    """
    x0, x1, y0, y1 = config.box
    x, y = places.T
    inside = np.flatnonzero((x >= x0) & (x <= x1) & (y >= y0) & (y <= y1))
    if len(inside):
        k = int(inside[0])
        raise error(
            f"{what} {k} at (x, y) = ({x[k]:g}, {y[k]:g}) lies in the region of the unknown "
            f"[{x0:g}, {x1:g}] x [{y0:g}, {y1:g}], where the wave of a point is infinite; move it"
        )


def count(config: HelmholtzConfig) -> int:
    """The number of incident waves; one where the unknown is itself the source."""
    return 1 if config.quantity == "source" else len(source_places(config))


def waves(config: HelmholtzConfig, k: float, points: Array) -> Complex:
    """u_inc at points (n, 2), shape (n, s)."""
    places = source_places(config)
    if isinstance(config.incident, PlaneWaves):
        return np.asarray(np.exp(1j * k * points @ places.T))
    return np.asarray(0.25j * hankel1(0, k * _distance(points, places)))


def derivatives(config: HelmholtzConfig, k: float, points: Array, along: Array) -> Complex:
    """∂u_inc at points (n, 2) along directions (n, 2), shape (n, s)."""
    places = source_places(config)
    if isinstance(config.incident, PlaneWaves):
        return np.asarray(1j * k * (along @ places.T) * np.exp(1j * k * points @ places.T))
    r = _distance(points, places)
    offset = points[:, None] - places[None]
    return np.asarray(-0.25j * k * hankel1(1, k * r) * np.einsum("nsd,nd->ns", offset, along) / r)


def measured(config: HelmholtzConfig, k: float, points: Array, normal: Array | None) -> Complex:
    """What receivers see of u_inc, (n, s): itself, or its derivative along ``normal``."""
    return waves(config, k, points) if normal is None else derivatives(config, k, points, normal)


def _distance(points: Array, places: Array) -> Array:
    return np.asarray(np.linalg.norm(points[:, None] - places[None], axis=2))
