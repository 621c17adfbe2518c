"""Electrodes and outline of a body, as results keep them and figures show them."""

from __future__ import annotations

import numpy as np
import xarray as xr

from .config import EitConfig
from .domain import Domain
from .files import electrodes_of

__all__ = ["fixtures"]

POINTS = 256
"""Corners of the polygon that stands for the outline, besides the body's own."""


def fixtures(config: EitConfig, domain: Domain) -> xr.Dataset:
    """The electrodes, where there are any, and the closed outline, which a .msh has not."""
    has_electrodes = config.model == "electrodes"
    return (electrodes_of(config, domain) if has_electrodes else xr.Dataset()).merge(
        xr.Dataset() if domain.file is not None else _outline(domain)
    )


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
