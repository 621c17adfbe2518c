"""Electrodes and outline of a body, as results keep them and figures show them."""

from __future__ import annotations

import numpy as np
import xarray as xr

from .domain import Domain
from .frames.files import electrodes_of
from .setup.config import EitConfig

__all__ = ["electrodes", "fixtures"]

POINTS = 256
"""Corners of the polygon that stands for the outline, besides the body's own."""


def fixtures(config: EitConfig, domain: Domain) -> xr.Dataset:
    """The electrodes, where there are any, and the closed outline, which a .msh has not."""
    has_electrodes = config.model == "electrodes"
    return (electrodes(config, domain) if has_electrodes else xr.Dataset()).merge(
        xr.Dataset() if domain.file is not None else _outline(domain)
    )


def electrodes(config: EitConfig, domain: Domain) -> xr.Dataset:
    """Place, width and contact impedance of every electrode."""
    places, widths = domain.electrode_places()
    e = config.electrodes
    return electrodes_of(places, widths, e.per_electrode("impedance", e.impedance, len(places)))


def _outline(domain: Domain) -> xr.Dataset:
    outline = domain.outline
    s = np.unique(np.append(np.linspace(0.0, outline.length, POINTS), outline.corners))
    points = outline.at(s)
    points[-1] = points[0]
    return xr.Dataset({
        f"outline_{axis}": ("outline", points[:, i], {
            "units": "m", "long_name": f"{axis} along the outline of the body, closed",
        })
        for i, axis in enumerate("xy")
    })  # fmt: skip
