"""Electrodes and outline of a body, as results keep them and figures show them."""

from __future__ import annotations

import numpy as np
import xarray as xr

from pdeinv.io.body import outline_variables
from pdeinv.typing import Array

from .domain import Domain
from .frames.files import electrodes_of
from .setup.config import EitConfig

__all__ = ["electrodes", "fixtures"]

POINTS = 256
"""Corners of the polygon that stands for the outline, besides the body's own."""


def fixtures(config: EitConfig, domain: Domain) -> xr.Dataset:
    """The electrodes, where there are any, and the outline, which a .msh of a solid has not."""
    has_electrodes = config.model == "electrodes"
    found = electrodes(config, domain) if has_electrodes else xr.Dataset()
    return found.merge(outline_variables(_outline(domain), "m"))


def electrodes(config: EitConfig, domain: Domain) -> xr.Dataset:
    """Place, width and contact impedance of every electrode."""
    places, widths = domain.electrode_places()
    e = config.electrodes
    return electrodes_of(places, widths, e.per_electrode("impedance", e.impedance, len(places)))


def _outline(domain: Domain) -> Array | None:
    """The closed outline of a plane body, or of what a solid is drawn up from."""
    if domain.file is not None:
        return None if domain.file.volume else domain.plane().outline()
    outline = domain.outline
    s = np.unique(np.append(np.linspace(0.0, outline.length, POINTS), outline.corners))
    points = outline.at(s)
    points[-1] = points[0]
    return points
