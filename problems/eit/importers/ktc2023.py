"""The data of the Kuopio Tomography Challenge 2023: MATLAB files of a tank with 32 electrodes.

Fields: ``Inj`` (electrode, injection), ``Mpat`` (electrode, measurement) and ``Uel``, a column of
the voltages of one injection behind those of another; the empty tank is in ``ref.mat`` under
``Injref`` and ``Uelref``. A field that the frame lacks is taken from the reference.

Level n of difficulty leaves out electrodes 1 to 2(n − 1), as drives and in measurements.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr
from pydantic import Field

from pdeinv.errors import DataSchemaError
from pdeinv.plugins.problem import Importer

from ..setup.presets import KTC_FIRST_ANGLE, KTC_RADIUS, KTC_WIDTH, ktc_removed
from .frame import Frame, to_observations
from .instrument import Instrument, Positive
from .matlab import check_rows, frame_of, load, matrix

__all__ = ["KTC2023", "KtcOptions"]


class KtcOptions(Instrument):
    """Flags of the format."""

    radius: Positive | None = Field(KTC_RADIUS, description="of the circle of electrodes, m")
    electrode_width: Positive | None = Field(
        round(KTC_WIDTH, 6), description="along the boundary, m"
    )
    first_angle: float | None = Field(KTC_FIRST_ANGLE, description="of electrode 1, degrees from x")
    direction: Literal["ccw", "cw"] | None = Field("ccw", description="of the electrodes' numbers")
    level: int = Field(1, ge=1, le=7, description="1 to 7; leaves out electrodes 1 to 2(n - 1)")


def _read(source: Path, options: KtcOptions) -> xr.Dataset:
    fields = load(source)
    empty = {} if options.reference is None else load(options.reference)
    frame = _frame(fields, empty, ("Uel", "Uelref"), source, options)
    reference = None
    if options.reference is not None:
        reference = _frame(empty, {}, ("Uelref", "Uel"), options.reference, options)
    return to_observations(frame, options, reference)


def _frame(
    fields: Mapping[str, Any],
    others: Mapping[str, Any],
    voltages: tuple[str, ...],
    path: Path,
    options: KtcOptions,
) -> Frame:
    known = {**others, **fields}
    drives = options.ampere * matrix(known, ("Inj", "Injref"), path)
    pattern = matrix(known, ("Mpat",), path)
    voltage = options.volt * matrix(fields, voltages, path)
    check_rows(drives, pattern, path)
    if len(drives) <= max(ktc_removed(options.level), default=0):
        raise DataSchemaError(
            f"{path}: {len(drives)} electrodes, fewer than level {options.level} leaves out"
        )
    lost = np.zeros(drives.shape[0], dtype=bool)
    lost[list(ktc_removed(options.level))] = True
    kept = ~(drives[lost] != 0).any(axis=0)[:, None] & ~(pattern[lost] != 0).any(axis=0)
    return frame_of(drives, pattern, voltage, kept, path)


KTC2023 = Importer(
    "MATLAB file of the Kuopio Tomography Challenge 2023: Inj, Mpat, Uel; --reference ref.mat for "
    "the empty tank.",
    KtcOptions,
    _read,
)
