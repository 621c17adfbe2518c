"""``pdeinv import flame csv``: a table of profiles or flame speeds, with units in its header.

    x [mm], T [degC], u [cm/s], T_sigma [K]
    phi, p [atm], T_in [K], s_L [cm/s]

A cell that is empty was not measured. The state of the inlet stands in columns or in flags.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import xarray as xr
from pydantic import Field

from pdeinv.config import Config
from pdeinv.errors import DataSchemaError
from pdeinv.io.fields import problem_attributes
from pdeinv.model.observed import Kind
from pdeinv.plugins.problem import Importer
from pdeinv.text_table import is_missing, read_table
from pdeinv.typing import Array

from .config import COLDEST, EquivalenceRatio, FlameConfig, Pressure
from .rows import SIGMA, Table
from .sensors import INLET, KINDS, OBSERVED

__all__ = ["IMPORTERS", "CsvOptions", "columns_of"]

ZERO = 273.15
LENGTHS = {"m": 1.0, "cm": 1e-2, "mm": 1e-3, "um": 1e-6, "µm": 1e-6}
SPEEDS = {"m/s": 1.0, "m s-1": 1.0, "cm/s": 1e-2, "cm s-1": 1e-2, "mm/s": 1e-3, "mm s-1": 1e-3}
PRESSURES = {"Pa": 1.0, "kPa": 1e3, "MPa": 1e6, "mbar": 1e2, "bar": 1e5, "atm": 101325.0}
TEMPERATURES = {"K": 1.0, "degC": 1.0, "°C": 1.0, "C": 1.0}
PARTS = {"1": 1.0, "": 1.0, "%": 1e-2}
Units = Mapping[str, Mapping[str, float]]
UNITS: Units = {
    "x": LENGTHS, "T": TEMPERATURES, "u": SPEEDS, "Y": PARTS, "s_L": SPEEDS,
    "p": PRESSURES, "T_in": TEMPERATURES, "phi": PARTS,
}  # fmt: skip
"""Factors to SI by the units of each column, which may be written in lower case."""
COLUMN = re.compile(r"(\w+)\s*(?:[\[(]\s*([^\])]*?)\s*[\])])?")


class CsvOptions(Config):
    """Flags of the format."""

    rel: float | None = Field(
        None,
        gt=0,
        le=1,
        description="standard deviation of each value as a part of it, where the file has none",
    )
    p: Pressure | None = Field(None, description="pressure at the inlet, Pa, if not in the file")
    t_in: float | None = Field(
        None, ge=COLDEST, le=1500, description="temperature at the inlet, K, if not in the file"
    )
    phi: EquivalenceRatio | None = Field(None, description="equivalence ratio, if not in the file")


def _read(source: Path, options: CsvOptions) -> xr.Dataset:
    table = columns_of(source, UNITS)
    columns = table.columns
    given = {"p": options.p, "T_in": options.t_in, "phi": options.phi}
    for name, value in given.items():
        if (name in columns) == (value is not None):
            fault = "is there twice; give" if name in columns else "is not there; give"
            raise DataSchemaError(
                f"{source}: the column {name} {fault} it in the file or by --{_flag(name)}"
            )
    kinds = [kind for kind in KINDS if kind.name in columns]
    if not kinds:
        names = ", ".join(kind.name for kind in KINDS)
        raise DataSchemaError(f"{source}: expected a column of {names}; got {', '.join(columns)}")
    if "x" not in columns and any("x" in kind.coords for kind in kinds):
        raise DataSchemaError(f"{source}: profiles need a column x, such as 'x [mm]'")
    return _dataset(table.measured(kinds).filled(given), kinds, options.rel)


def _dataset(table: Table, kinds: Sequence[Kind], rel: float | None) -> xr.Dataset:
    """The observation file of checked rows."""
    table.check_inlet()
    table.check_places(kinds)
    data: dict[str, tuple[str, Array, dict[str, str]]] = {}
    for kind in kinds:
        labels = {"units": kind.units, "long_name": kind.long_name}
        sigma = table.noise(kind.name, rel)
        table.check_values(kind.name, sigma)
        text = f"noise standard deviation of {kind.long_name}"
        data[kind.name] = ("obs", table.columns[kind.name], labels)
        data[kind.name + SIGMA] = ("obs", sigma, {**labels, "long_name": text})
    coords = {
        name: ("obs", table.columns[name], {"units": units})
        for name, units in OBSERVED.coords.items()
        if name in table.columns
    }
    first = {name: float(table.columns[short][0]) for short, name in INLET.items()}
    attrs = problem_attributes("flame", FlameConfig(**first))
    return xr.Dataset(data, coords, {**attrs, "featureType": "point"})


IMPORTERS: Mapping[str, Importer] = {
    "csv": Importer(
        "Table of profiles or flame speeds, with units in its header: x [mm], T [degC], u [cm/s].",
        CsvOptions,
        _read,
    )
}
"""By the name that ``pdeinv import flame`` knows them by."""


def _flag(name: str) -> str:
    return name.lower().replace("_", "-")


def columns_of(source: Path, units: Units) -> Table:
    """The columns in SI units by their names; noise as NAME_sigma.

    Args:
        source: the file.
        units: factors to SI by the units of each column that is understood.

    Raises:
        DataSchemaError: a column that is not known, there twice, without units, or no numbers.
    """
    header, lines = read_table(source)
    known = {name.lower(): name for name in units}
    found: dict[str, Array] = {}
    for k, text in enumerate(header):
        matched = COLUMN.fullmatch(text.strip())
        stem = "" if matched is None else matched[1].removesuffix(SIGMA)
        if matched is None or stem not in known:
            raise DataSchemaError(
                f"{source}: column '{text}' is not known; expected {', '.join(units)} or one of "
                f"them with {SIGMA}, with units such as 'T [degC]'"
            )
        name = known[stem]
        label = name + SIGMA * matched[1].endswith(SIGMA)
        if label in found:
            raise DataSchemaError(
                f"{source}: column '{text}' gives {label}, which another column gives as well; "
                "leave one out"
            )
        values = np.array([_number(cells[k], source, line, text) for line, cells in lines])
        found[label] = _in_si(values, (label, matched[2]), units[name], source)
    if not found or not len(next(iter(found.values()))):
        raise DataSchemaError(f"{source} has no rows; expected a table of measurements")
    return Table(source, np.array([line for line, _ in lines]), found)


def _number(cell: str, source: Path, line: int, column: str) -> float:
    if is_missing(cell):
        return np.nan
    try:
        value = float(cell)
    except ValueError:
        value = np.inf
    if not np.isfinite(value):
        raise DataSchemaError(
            f"{source}, line {line}: column '{column}' holds '{cell}'; expected a number, or "
            "nothing where it was not measured"
        )
    return value


def _in_si(
    values: Array, named: tuple[str, str | None], units: Mapping[str, float], source: Path
) -> Array:
    """A column in SI units; temperatures in degrees Celsius are shifted, their noise is not."""
    label, said = named
    if said is None and "1" not in units:
        raise DataSchemaError(
            f"{source}: column {label} has no units; write them behind it, such as "
            f"'{label} [{next(iter(units))}]'; known are {', '.join(u for u in units if u)}"
        )
    unit = {u.lower(): u for u in units}.get((said or "1").lower())
    if unit is None:
        raise DataSchemaError(
            f"{source}: column {label} has units '{said}'; known are "
            f"{', '.join(u for u in units if u)}"
        )
    shift = ZERO if units is TEMPERATURES and unit != "K" and not label.endswith(SIGMA) else 0.0
    return values * units[unit] + shift
