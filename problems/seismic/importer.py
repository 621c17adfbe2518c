"""``pdeinv import seismic npy``: shot gathers as OpenFWI and others keep them in arrays.

An array has the axes (model, shot, time, receiver), or lacks the first one. Sample k is the wave at
the time (k + 1) dt, where the wavelet begins at t = 0: schemes that record after they have
injected w(k dt) have advanced to that time. Samples at the end that are zero in every trace were
not computed, as the last one of OpenFWI's released files, and become NaN: not measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import xarray as xr
from pydantic import Field

from pdeinv.config import Config, Positive, parse
from pdeinv.errors import DataSchemaError
from pdeinv.io.fields import problem_attributes
from pdeinv.io.npy import read_npy
from pdeinv.plugins.problem import Importer
from pdeinv.typing import Array

from . import segy
from .clock import times_of
from .config import SeismicConfig
from .gathers import Factor, gathers

__all__ = ["IMPORTERS", "NpyOptions"]


class NpyOptions(Config):
    """Flags of the format."""

    preset: Literal["openfwi", "transmission"] = Field(
        "openfwi", description="survey, wavelet and sampling of the file"
    )
    model: int = Field(0, ge=0, description="which model of a file of several, counted from 0")
    record: Positive | None = Field(
        None, description="time between two samples, s; that of the preset if not given"
    )
    first: int = Field(
        1, ge=0, description="number of the file's first sample; 1: it is the wave at t = dt"
    )
    factor: Factor = 1.0
    noise_rms: Positive | None = Field(
        None, description="noise standard deviation as a part of the root mean square of the data"
    )


def _read(source: Path, options: NpyOptions) -> xr.Dataset:
    config = parse(SeismicConfig, {"preset": options.preset}, "preset")
    table = options.factor * _gathers(source, options.model).transpose(0, 2, 1)
    shots, receivers, samples = table.shape
    wanted = (len(config.sources), len(config.receivers))
    if (shots, receivers) != wanted:
        raise DataSchemaError(
            f"{source}: expected {wanted[0]} shots and {wanted[1]} receivers of preset "
            f"'{options.preset}', axes (model, shot, time, receiver); got {shots} and {receivers}"
        )
    lost = samples - int(np.flatnonzero(np.abs(table).max(axis=(0, 1)))[-1]) - 1
    record = options.record or config.time.record
    last = samples - 1 + options.first
    config = config.model_copy(
        update={"time": config.time.model_copy(update={"record": record, "final": last * record})}
    )
    return _dataset(parse(SeismicConfig, config.model_dump(), "time"), table, lost, options)


def _gathers(source: Path, model: int) -> Array:
    """One model's array (shot, time, receiver)."""
    found = read_npy(source, "the gathers")
    if found.ndim not in (3, 4):
        raise DataSchemaError(
            f"{source}: expected numbers over (model, shot, time, receiver) or (shot, time, "
            f"receiver), got shape {found.shape} of {found.dtype}"
        )
    if found.ndim == 4:
        if model >= len(found):
            raise DataSchemaError(
                f"{source} holds models 0 to {len(found) - 1}; got --model {model}"
            )
        found = found[model]
    values = np.array(found, dtype=np.float64)
    if not np.isfinite(values).all():
        raise DataSchemaError(f"{source}: holds values that are not finite")
    if not values.any():
        raise DataSchemaError(f"{source}: all values are zero")
    return values


def _dataset(config: SeismicConfig, table: Array, lost: int, options: NpyOptions) -> xr.Dataset:
    """The observation file; the last ``lost`` samples were not measured."""
    samples, first = table.shape[2], options.first
    times = np.append(0.0, times_of(samples - 1 + first, config.time.record))[first:]
    if lost:
        table[:, :, samples - lost :] = np.nan
    places = (config.sources, config.receivers)
    found = gathers(table, times, places, config.units.u, options.noise_rms)
    return found.assign_attrs(problem_attributes("seismic", config))


IMPORTERS: Mapping[str, Importer] = {
    "npy": Importer(
        "Shot gathers in a .npy array (model, shot, time, receiver), as OpenFWI has them.",
        NpyOptions,
        _read,
    ),
    "segy": Importer(
        "Shot gathers in a SEG-Y file, with their geometry in the headers of traces.",
        segy.SegyOptions,
        segy.read,
    ),
}
"""By the name that ``pdeinv import seismic`` knows them by."""
