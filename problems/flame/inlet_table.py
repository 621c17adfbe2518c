"""Tables of flames with units in their headers, as observation files.

A cell that is empty was not measured; of cells that say so in words the count is told. The state of
the inlet stands in columns or in flags.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Protocol

import numpy as np
import xarray as xr
from pydantic import Field

from pdeinv.config import Config
from pdeinv.errors import DataSchemaError
from pdeinv.io.fields import problem_attributes
from pdeinv.model.observed import Kind, Observed
from pdeinv.text_table import is_missing, read_table
from pdeinv.typing import Array

from .inlet_sensors import INLET, SPEED
from .rows import SIGMA, Table

__all__ = [
    "COLUMN",
    "LENGTHS",
    "PARTS",
    "PER_TIME",
    "PRESSURES",
    "Rel",
    "SPEEDS",
    "TEMPERATURES",
    "TableFormat",
    "TableOptions",
    "check_once",
    "dataset_of",
    "measured_kinds",
    "table_of",
]

ZERO = 273.15
LENGTHS = {"m": 1.0, "cm": 1e-2, "mm": 1e-3, "um": 1e-6, "µm": 1e-6}
SPEEDS = {"m/s": 1.0, "m s-1": 1.0, "cm/s": 1e-2, "cm s-1": 1e-2, "mm/s": 1e-3, "mm s-1": 1e-3}
PRESSURES = {"Pa": 1.0, "kPa": 1e3, "MPa": 1e6, "mbar": 1e2, "bar": 1e5, "atm": 101325.0}
TEMPERATURES = {"K": 1.0, "degC": 1.0, "°C": 1.0, "C": 1.0}
PER_TIME = {"1/s": 1.0, "s-1": 1.0, "1/ms": 1e3}
PARTS = {"1": 1.0, "": 1.0, "%": 1e-2}
FASTEST = 20.0
"""Of laminar flames, m/s: hydrogen in oxygen burns at about 11 m/s, hot reactants faster."""
COLUMN = re.compile(r"(\w+)\s*(?:[\[(]\s*([^\])]*?)\s*[\])])?")


Rel = Annotated[
    float | None,
    Field(
        gt=0,
        le=1,
        description="standard deviation of each value as a part of it, where the file has none",
    ),
]
"""The flag of noise."""


class TableOptions(Protocol):
    """The flags of a format."""

    @property
    def rel(self) -> float | None:
        """Standard deviation of values as a part of them."""

    @property
    def p(self) -> float | None:
        """Pressure at the inlet, Pa."""

    @property
    def t_in(self) -> float | None:
        """Temperature there, K."""

    @property
    def phi(self) -> float | None:
        """Equivalence ratio."""


@dataclass(frozen=True)
class TableFormat:
    """The table of one problem.

    Attributes:
        problem: its name.
        config: its configuration, of the state of the inlet.
        observed: its quantities.
        units: factors to SI by the units of each column, which may be written in lower case.
        ends: the least and the largest of each state of the inlet, and words for it.
    """

    problem: str
    config: type[Config]
    observed: Observed
    units: Mapping[str, Mapping[str, float]]
    ends: Mapping[str, tuple[float, float, str]]

    def read(self, source: Path, options: TableOptions, **more: Any) -> xr.Dataset:
        """The observation file of a table.

        Args:
            source: the file.
            options: flags.
            more: keys of the configuration that it carries beside the state of the inlet.

        Raises:
            DataSchemaError: names the first column or row that is wrong.
        """
        table = table_of(source, self.units)
        given = {"p": options.p, "T_in": options.t_in, "phi": options.phi}
        check_once(source, table.columns, given)
        kinds = measured_kinds(source, table.columns, self.observed)
        found = table.measured(kinds).filled(given)
        found.check_inlet(self.ends)
        first = {name: float(found.columns[short][0]) for short, name in INLET.items()}
        attrs = problem_attributes(self.problem, self.config(**first, **more))
        found.check_places(kinds)
        return dataset_of(found, kinds, self.observed, options.rel).assign_attrs(attrs)


def check_once(
    source: Path, columns: Mapping[str, Array], given: Mapping[str, float | None]
) -> None:
    """Refuse states of the inlet that stand in a column and are given, or neither.

    Raises:
        DataSchemaError: names the first one.
    """
    for name, value in given.items():
        if (name in columns) == (value is not None):
            fault = "is there twice; give" if name in columns else "is not there; give"
            raise DataSchemaError(
                f"{source}: the column {name} {fault} it in the file or by --{_flag(name)}"
            )


def measured_kinds(source: Path, columns: Mapping[str, Array], observed: Observed) -> list[Kind]:
    """The quantities that have a column.

    Raises:
        DataSchemaError: none has, or a profile comes without its places.
    """
    kinds = [kind for kind in observed.kinds if kind.name in columns]
    if not kinds:
        names = ", ".join(kind.name for kind in observed.kinds)
        raise DataSchemaError(f"{source}: expected a column of {names}; got {', '.join(columns)}")
    if "x" not in columns and any("x" in kind.coords for kind in kinds):
        raise DataSchemaError(f"{source}: profiles need a column x, such as 'x [mm]'")
    return kinds


def dataset_of(
    table: Table, kinds: Sequence[Kind], observed: Observed, rel: float | None
) -> xr.Dataset:
    """The observation file of rows, but for what says whose it is.

    Raises:
        DataSchemaError: a row that cannot be, by its line.
    """
    data: dict[str, tuple[str, Array, dict[str, str]]] = {}
    for kind in kinds:
        labels = {"units": kind.units, "long_name": kind.long_name}
        sigma = table.noise(kind.name, rel)
        table.check_values(kind.name, sigma)
        _tell_fast(table, kind)
        text = f"noise standard deviation of {kind.long_name}"
        data[kind.name] = ("obs", table.columns[kind.name], labels)
        data[kind.name + SIGMA] = ("obs", sigma, {**labels, "long_name": text})
    coords = {
        name: ("obs", table.columns[name], {"units": units})
        for name, units in observed.coords.items()
        if name in table.columns
    }
    return xr.Dataset(data, coords, {"featureType": "point"})


def _tell_fast(table: Table, kind: Kind) -> None:
    """Warn of flame speeds that are those of no flame, and mostly numbers in cm/s."""
    fast = table.columns[kind.name][table.columns[kind.name] > FASTEST]
    if kind.name == SPEED and len(fast):
        warnings.warn(
            f"{table.source.name}: {SPEED} = {fast[0]:g} m/s is faster than any laminar flame "
            f"(about {FASTEST:g} m/s); is the column in cm/s?",
            UserWarning,
            stacklevel=2,
        )


def _flag(name: str) -> str:
    return name.lower().replace("_", "-")


def table_of(source: Path, units: Mapping[str, Mapping[str, float]]) -> Table:
    """The columns in SI units by their names; noise as NAME_sigma.

    Raises:
        DataSchemaError: a column that is not known, there twice, without units, or no numbers.
    """
    header, lines = read_table(source)
    known = {name.lower(): name for name in units}
    found, lost = dict[str, Array](), dict[str, int]()
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
        lost[text] = sum(bool(cells[k]) and is_missing(cells[k]) for _, cells in lines)
        found[label] = _in_si(values, (label, matched[2]), units[name], source)
    if not found or not len(next(iter(found.values()))):
        raise DataSchemaError(f"{source} has no rows; expected a table of measurements")
    _tell_lost(source, lost)
    return Table(source, np.array([line for line, _ in lines]), found)


def _tell_lost(source: Path, lost: Mapping[str, int]) -> None:
    """Warn of cells with a word for no number, such as ``nan``; empty ones are meant to be so."""
    told = ", ".join(f"{n} in column '{name}'" for name, n in lost.items() if n)
    if told:
        warnings.warn(
            f"{source.name}: cells that hold no number count as not measured: {told}",
            UserWarning,
            stacklevel=2,
        )


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
    values: Array, column: tuple[str, str | None], units: Mapping[str, float], source: Path
) -> Array:
    """A column in SI units; temperatures in degrees Celsius are shifted, their noise is not."""
    label, said = column
    name = label.removesuffix(SIGMA)
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
    shift = ZERO if units is TEMPERATURES and unit != "K" and label == name else 0.0
    return values * units[unit] + shift
