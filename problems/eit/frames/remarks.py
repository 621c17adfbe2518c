"""What observations say against the protocol that they are read with."""

from __future__ import annotations

import numpy as np

from pdeinv.io.observations import Observations
from pdeinv.typing import Array

from .objections import objection
from .protocol import Sheet
from .reciprocity import Numbers

__all__ = ["remarks"]


def remarks(
    observations: Observations, sheet: Sheet, places: Array, *, difference: bool = False
) -> tuple[str, ...]:
    """A warning where reciprocity fails by more than noise explains, or the sign is no body's.

    Args:
        observations: voltages with coordinates injection, measurement and, complex, component.
        sheet: the protocol.
        places: centres of the electrodes, shape (electrodes, 2 or 3).
        difference: whether the data are differences of two frames.
    """
    std = float(np.sqrt(np.mean(observations.noise.std**2)))
    table = _table(observations, sheet.shape)
    found = objection(
        sheet.drives, sheet.measures, table, places, noise_std=std, signed=not difference
    )
    return () if found is None else (found,)


def _table(observations: Observations, shape: tuple[int, int]) -> Numbers:
    """The data by injection and measurement, NaN where there is none."""
    coords, values = observations.coords, observations.values
    i, m = (np.asarray(coords[k]).astype(np.int64) for k in ("injection", "measurement"))
    if "component" not in coords:
        table: Numbers = np.full(shape, np.nan)
        table[i, m] = values
        return table
    parts = np.full((2, *shape), np.nan)
    parts[np.asarray(coords["component"]).astype(np.int64), i, m] = values
    return np.asarray(parts[0] + 1j * parts[1])
