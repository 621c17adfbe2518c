"""Where and when concentrations are measured: places in tissue, times of the run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pdeinv.errors import DataSchemaError
from pdeinv.model.observed import Sensors
from pdeinv.model.sensors import AXES, is_file, misplaced, points_of
from pdeinv.text_table import read_table
from pdeinv.typing import Array

from .clock import Clock
from .config import TumorConfig

__all__ = ["check_places", "timed"]


def check_places(
    sensors: Sensors,
    config: TumorConfig,
    clock: Clock,
    mask: Callable[[Array], NDArray[np.bool_]],
) -> None:
    """Refuse places without tissue, and times outside the run.

    Args:
        sensors: places and times.
        config: of the problem.
        clock: of the run.
        mask: which points lie in tissue.

    Raises:
        DataSchemaError: names the first one.
    """
    axes, extent = AXES[: config.dim], config.extent
    clock.check(np.asarray(sensors["t"], dtype=np.float64))
    places = points_of(sensors, axes)
    bad = np.flatnonzero(~mask(places))
    if len(bad) == 0:
        return
    place, k = places[bad[0]], int(bad[0])
    if not all(a <= x <= b for x, (a, b) in zip(place, extent, strict=True)):
        raise DataSchemaError(misplaced(f"sensor {k}", place, extent))
    at = ", ".join(f"{v:g}" for v in place)
    raise DataSchemaError(
        f"sensor {k} at ({', '.join(axes)}) = ({at}) lies where there is no tissue; "
        "remove it or correct its coordinates"
    )


def timed(spec: str) -> bool:
    """Whether the text of sensors says times, itself or by a column of its file."""
    if "@" in spec or not is_file(spec):
        return "@" in spec
    try:
        return "t" in read_table(Path(spec))[0]
    except DataSchemaError:
        return True  # whoever reads the file says what is wrong with it
