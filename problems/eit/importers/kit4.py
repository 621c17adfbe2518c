"""The Open 2D EIT data: a saline tank with 16 electrodes, one MATLAB file for each target.

Fields: ``CurrentPattern`` (electrode, injection), ``MeasPattern`` (electrode, measurement), ``Uel``
(measurement, injection). The flags default to the tank: radius 14 cm, electrodes 2.5 cm wide,
numbered clockwise from the top.

Reference: Hauptmann et al. (2017), arXiv 1704.01178.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import xarray as xr
from pydantic import Field

from pdeinv.plugins.problem import Importer

from .frame import Frame, to_observations
from .instrument import Instrument, Positive
from .matlab import frame_of, load, matrix

__all__ = ["KIT4", "Kit4Options"]


class Kit4Options(Instrument):
    """Flags of the format."""

    radius: Positive | None = Field(0.14, description="of the circle of electrodes, m")
    electrode_width: Positive | None = Field(0.025, description="along the boundary, m")
    first_angle: float | None = Field(90.0, description="of electrode 1, degrees from the x axis")
    direction: Literal["ccw", "cw"] | None = Field("cw", description="of the electrodes' numbers")


def _frame(path: Path, options: Kit4Options) -> Frame:
    fields = load(path)
    drives = options.ampere * matrix(fields, ("CurrentPattern",), path)
    pattern = matrix(fields, ("MeasPattern",), path)
    voltage = options.volt * matrix(fields, ("Uel",), path)
    kept = np.ones((drives.shape[1], pattern.shape[1]), dtype=bool)
    return frame_of(drives, pattern, voltage, kept, path)


def _read(source: Path, options: Kit4Options) -> xr.Dataset:
    reference = None if options.reference is None else _frame(options.reference, options)
    return to_observations(_frame(source, options), options, reference)


KIT4 = Importer(
    "MATLAB file of the Open 2D EIT data: CurrentPattern, MeasPattern, Uel.", Kit4Options, _read
)
