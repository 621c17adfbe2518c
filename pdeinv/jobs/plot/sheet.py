"""A sheet of fields beside a sheet of draws of a learned prior."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pdeinv.errors import ConfigError
from pdeinv.jobs.plot.figure import draw
from pdeinv.jobs.plot.panels import panel
from pdeinv.typing import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["sheets"]

SIDE = 4
"""Fields along each side of a sheet, at most."""


def sheets(
    fields: Array, draws: Array, out: Path, label: str = "", whose: str = "", dpi: int = 150
) -> None:
    """Draw the first of each, (n, rows, columns), on one scale; sixteen where there are so many.

    Args:
        fields: that it was not trained on.
        draws: of the learned prior.
        out: the figure's file.
        label: of the scale.
        whose: what the fields are.
        dpi: dots an inch.

    Raises:
        ConfigError: they are no images.
    """
    if fields.ndim != 3:
        raise ConfigError("--figure shows fields in the plane; use --out for other unknowns")
    low, high = (float(f(fields)) for f in (np.min, np.max))
    named = {whose or "fields": fields, "draws of the learned prior": draws}
    draw([_sheet(v, title, (low, high), label) for title, v in named.items()], out, dpi)


@panel
def _sheet(ax: Axes, values: Array, title: str, ends: tuple[float, float], label: str) -> None:
    image = ax.imshow(_tiled(values[: SIDE**2]), vmin=ends[0], vmax=ends[1], origin="lower")
    ax.figure.colorbar(image, ax=ax, shrink=0.8, label=label)
    ax.set(title=title, xticks=[], yticks=[])


def _tiled(values: Array) -> Array:
    """Images (n, rows, columns) in rows of one image, with gaps between and at its end."""
    side = math.ceil(math.sqrt(len(values)))
    places = side * math.ceil(len(values) / side)
    more = ((0, places - len(values)), (0, 1), (0, 1))
    framed = np.pad(values, more, constant_values=np.nan)
    return np.vstack([np.hstack(list(framed[i : i + side])) for i in range(0, places, side)])
