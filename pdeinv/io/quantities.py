"""Numbers of a file in the units that a problem works in."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from pdeinv.errors import DataSchemaError
from pdeinv.io.schema import check_numbers
from pdeinv.typing import Array

__all__ = ["check_squared", "check_units", "column", "multiplier"]

type Variable = xr.DataArray | xr.Variable


def check_units(
    variable: Variable, name: str, units: str, path: Path, *, needed: bool = True
) -> None:
    """Refuse other units than those of the problem, letter for letter; nothing is converted.

    Args:
        variable: with its attributes.
        name: of it in the file.
        units: of the problem.
        path: named in errors.
        needed: whether there must be any.

    Raises:
        DataSchemaError: with both.
    """
    got: Any = variable.attrs.get("units")
    if got is None and not needed:
        return
    if got is None:
        raise DataSchemaError(f"{path}: '{name}' has no units attribute; expected '{units}'")
    said = str(got).strip()
    if " since " in said:
        raise DataSchemaError(
            f"{path}: '{name}' holds dates ('{said}'); expected numbers in '{units}', counted from "
            "the start t = 0 of the run; subtract it and set the units"
        )
    if said != units:
        raise DataSchemaError(
            f"{path}: '{name}' has units '{got}', the problem works in '{units}'; convert the file"
        )


def check_squared(variable: xr.DataArray, units: str, path: Path) -> None:
    """Refuse a covariance in other units than the square of the data's, where it has any.

    ``m2``, ``m^2`` and ``(m)^2`` are the same; what cannot be read is passed over.

    Raises:
        DataSchemaError: with both.
    """
    said = variable.attrs.get("units")
    got, own = (None if u is None else _exponents(str(u)) for u in (said, units))
    if got is not None and own is not None and got != {k: 2 * v for k, v in own.items()}:
        raise DataSchemaError(
            f"{path}: '{variable.name}' has units '{said}', expected '({units})^2'; convert it"
        )


def _exponents(text: str) -> dict[str, int] | None:
    """The exponent of each unit of a product in UDUNITS text; None where it is something else."""
    plain = text.strip().replace("**", "").replace("^", "").replace("²", "2")
    whole = re.fullmatch(r"\((.*)\)(-?\d+)", plain)
    power = int(whole[2]) if whole else 1
    out: dict[str, int] = {}
    for part in re.split(r"[ .*]+", whole[1] if whole else plain):
        found = re.fullmatch(r"([^\W\d]+)(-?\d+)?|1", part)
        if found is None:
            return None
        if found[1]:
            out[found[1]] = out.get(found[1], 0) + power * int(found[2] or 1)
    return out


def column(
    dataset: xr.Dataset,
    name: str,
    units: str,
    path: Path,
    size: int | None = None,
    shown: str | None = None,
) -> Array:
    """A variable over ``obs``, checked; ``shown`` is what it is called in the file."""
    said = shown or name
    if name not in dataset.variables:
        raise DataSchemaError(
            f"{path}: variable '{said}' is missing; found {sorted(map(str, dataset.variables))}"
        )
    variable = dataset[name]
    if variable.ndim != 1:
        raise DataSchemaError(
            f"{path}: '{name}' must have the one dimension obs, got {variable.dims}"
            + _series_hint(dataset, variable)
        )
    check_numbers(variable, f"{path}: '{said}'")
    if size is not None and len(variable) != size:
        raise DataSchemaError(f"{path}: '{said}' has {len(variable)} entries for {size} data")
    check_units(variable, said, units, path)
    return np.asarray(variable, dtype=np.float64)


def multiplier(variable: xr.DataArray, path: Path) -> float:
    """How many standard deviations the entries are (CF appendix A), one by default."""
    value = variable.attrs.get("standard_error_multiplier", 1.0)
    if not (isinstance(value, int | float | np.number) and np.isfinite(value) and value > 0):
        raise DataSchemaError(
            f"{path}: attribute standard_error_multiplier of '{variable.name}' must be a positive "
            f"number, got {value}"
        )
    return float(value)


def _series_hint(dataset: xr.Dataset, variable: xr.DataArray) -> str:
    if variable.ndim == 2 and "time" in dataset.variables:
        return '; times of stations need the global attribute featureType = "timeSeries"'
    return ""
