"""A sheet of fields beside a sheet of draws of a learned prior."""

from __future__ import annotations

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
"""Fields along each side of a sheet."""


def sheets(fields: Array, draws: Array, out: Path, label: str = "", dpi: int = 150) -> None:
    """Draw the first sixteen of each, (n, rows, columns), on one scale with a label.

    Raises:
        ConfigError: they are no images, or fewer.
    """
    if fields.ndim != 3 or min(len(fields), len(draws)) < SIDE**2:
        raise ConfigError(
            f"--figure shows {SIDE**2} fields in the plane; use --n {SIDE**2} or more, and --out "
            "for other unknowns"
        )
    low, high = (float(f(fields)) for f in (np.min, np.max))
    named = {"fields of the prior": fields, "draws of the learned prior": draws}
    draw([_sheet(v, title, (low, high), label) for title, v in named.items()], out, dpi)


@panel
def _sheet(ax: Axes, values: Array, title: str, ends: tuple[float, float], label: str) -> None:
    framed = np.pad(values[: SIDE**2], ((0, 0), (0, 1), (0, 1)), constant_values=np.nan)
    rows = [np.hstack(list(framed[i : i + SIDE])) for i in range(0, SIDE**2, SIDE)]
    image = ax.imshow(np.vstack(rows), vmin=ends[0], vmax=ends[1], origin="lower")
    ax.figure.colorbar(image, ax=ax, shrink=0.8, label=label)
    ax.set(title=title, xticks=[], yticks=[])
