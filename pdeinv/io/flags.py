"""Quality flags of measured values: which variables they are, and which values are good."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pdeinv.errors import DataSchemaError

__all__ = ["flag_names", "good_by", "unflagged"]

_GOOD = {"good", "good_data", "good_value", "pass", "passed", "ok", "valid", "valid_data"}
"""Meanings of flags, in lower case, of data that are to be used."""


def flag_names(dataset: xr.Dataset, name: str) -> list[str]:
    """``NAME_qc``, and the status flags that ``ancillary_variables`` names (CF 3.4)."""
    named = str(dataset[name].attrs.get("ancillary_variables", "")).split()
    flags = [n for n in named if n in dataset.variables and _is_flag(dataset[n])]
    own = f"{name}_qc"
    return list(dict.fromkeys([*([own] if own in dataset else []), *flags]))


def _is_flag(variable: xr.DataArray) -> bool:
    kind = str(variable.attrs.get("standard_name", ""))
    marked = any(a in variable.attrs for a in ("flag_meanings", "flag_values", "flag_masks"))
    return marked or kind.endswith(("status_flag", "quality_flag"))


def unflagged(dataset: xr.Dataset, name: str, path: Path) -> NDArray[np.bool_]:
    """Which values of ``name`` are good by all of its flags.

    Raises:
        DataSchemaError: a flag of another shape, or one whose good values are not known.
    """
    good = np.ones(dataset[name].shape, dtype=bool)
    for flag in flag_names(dataset, name):
        if dataset[flag].shape != dataset[name].shape:
            raise DataSchemaError(f"{path}: '{flag}' must have the shape of '{name}'")
        good &= good_by(dataset[flag], path)
    return good


def good_by(flag: xr.DataArray, path: Path) -> NDArray[np.bool_]:
    """Where a flag says good: 0, or the values whose meaning says so.

    Raises:
        DataSchemaError: it holds no numbers, or its meanings do not say which are good.
    """
    if not np.issubdtype(flag.dtype, np.number):
        raise DataSchemaError(f"{path}: '{flag.name}' must hold numbers, 0 where the datum is good")
    return np.isin(np.asarray(flag), _good_values(flag, path))


def _good_values(flag: xr.DataArray, path: Path) -> Any:
    meanings = str(flag.attrs.get("flag_meanings", "")).lower().split()
    values = np.atleast_1d(flag.attrs.get("flag_values", []))
    if "flag_masks" in flag.attrs or not meanings:
        return [0]
    if len(values) != len(meanings):
        raise DataSchemaError(
            f"{path}: '{flag.name}' has {len(values)} flag_values for {len(meanings)} "
            "flag_meanings; give one of each"
        )
    good = [v for v, m in zip(values, meanings, strict=True) if m in _GOOD]
    if not good:
        raise DataSchemaError(
            f"{path}: '{flag.name}' does not say which data are good; its flag_meanings are "
            f"{' '.join(meanings)}, expected 'good' or 'pass' among them"
        )
    return good
