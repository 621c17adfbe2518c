"""Shot gathers as an observation file: u(shot, receiver, time) with the places of both."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import xarray as xr
from pydantic import AfterValidator, Field

from pdeinv.typing import Array

from .places import WORDS, attributes_of
from .survey import COORDS

__all__ = ["Factor", "gathers"]


def _no_zero(factor: float) -> float:
    if factor == 0:
        raise ValueError("must not be 0")
    return factor


Factor = Annotated[
    float,
    AfterValidator(_no_zero),
    Field(allow_inf_nan=False, description="what values are multiplied by, such as -1"),
]


def gathers(
    table: Array,
    times: Array,
    places: tuple[Array, Array],
    units: str,
    noise_rms: float | None = None,
) -> xr.Dataset:
    """The variables of an observation file.

    Args:
        table: pressures, shape (shots, receivers, samples); NaN was not measured.
        times: of the samples, s.
        places: of shots and receivers, m.
        units: of the pressures.
        noise_rms: the noise's standard deviation as a part of the root mean square of all data.
    """
    labels = {"units": units, "long_name": "pressure"}
    found: dict[str, Any] = {"u": (COORDS, table, labels)}
    if noise_rms is not None:
        sigma = noise_rms * float(np.sqrt(np.nanmean(table**2)))
        text = "noise standard deviation of pressure"
        spread = np.where(np.isnan(table), np.nan, sigma)
        found["u_sigma"] = (COORDS, spread, {**labels, "long_name": text})
    for dim, at in zip(COORDS, places, strict=False):
        for k, axis in enumerate("xy"):
            found[f"{WORDS[dim]}_{axis}"] = ((dim,), at[:, k], attributes_of(WORDS[dim], axis))
    coords = {
        name: (name, np.arange(float(n)), {"units": "1", "long_name": f"number of the {name}"})
        for name, n in zip(COORDS[:2], table.shape[:2], strict=True)
    }
    coords["time"] = ("time", times, {"units": "s", "long_name": "time", "axis": "T"})
    return xr.Dataset(found, coords)
