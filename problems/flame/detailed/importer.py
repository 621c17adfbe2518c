"""``pdeinv import flame-cantera csv``: a table of speeds or profiles, with units in its header.

    phi, p [atm], T_in [degC], s_L [cm/s]
    x [mm], T [K], X_OH, X_OH_sigma

A cell that is empty was not measured. The state of the inlet stands in columns or in flags.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import xarray as xr
from pydantic import Field

from pdeinv.config import Config, Positive, parse
from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.io.fields import problem_attributes
from pdeinv.model.observed import Kind
from pdeinv.plugins.problem import Importer
from pdeinv.text_table import read_table

from ..config import COLDEST, Pressure
from ..inlet_table import (
    COLUMN,
    LENGTHS,
    PARTS,
    PRESSURES,
    SPEEDS,
    TEMPERATURES,
    Rel,
    check_once,
    dataset_of,
    measured_kinds,
    table_of,
)
from ..rows import SIGMA, Table
from .config import DetailedConfig
from .inlet import COORDINATES
from .mechanism import gas_of
from .quantities import coordinates, observed
from .sensors import ENDS

__all__ = ["CsvOptions", "GasOptions", "composition", "config_of", "csv_importer", "file_of"]

FLUXES = {"kg/m2/s": 1.0, "kg m-2 s-1": 1.0, "g/cm2/s": 10.0, "g cm-2 s-1": 10.0}
UNITS: Mapping[str, Mapping[str, float]] = {
    "x": LENGTHS, "T": TEMPERATURES, "u": SPEEDS, "s_L": SPEEDS, "p": PRESSURES,
    "T_in": TEMPERATURES, "phi": PARTS, "mass_flux": FLUXES,
}  # fmt: skip
"""Factors to SI by the units of each column but those of species."""


class GasOptions(Config):
    """Flags that say what gas was measured."""

    mechanism: str = Field("h2o2.yaml", description="one of Cantera's, or the path of one")
    fuel: str = Field("H2:1", description="mole fractions, such as CH4:0.9,H2:0.1")
    oxidizer: str = Field("O2:0.21,N2:0.79", description="likewise")
    configuration: Literal["free", "burner", "counterflow", "diffusion"] = Field(
        "free", description="kind of flame"
    )
    length: Positive = Field(0.03, description="of the domain, m")
    offset: str | None = Field(
        None,
        description="MEAN,STD of the prior of the offset of a free flame's profiles, m: the place "
        "in the file less that in the domain",
    )


class CsvOptions(GasOptions):
    """Flags of the format."""

    rel: Rel = None
    p: Pressure | None = Field(None, description="pressure, Pa, if not in the file")
    t_in: float | None = Field(
        None, ge=COLDEST, le=1500, description="temperature of the inlet, K, if not in the file"
    )
    phi: Positive | None = Field(None, description="equivalence ratio, if not in the file")
    mass_flux: Positive | None = Field(
        None, description="of the inlet, kg m-2 s-1, if not in the file; not of free flames"
    )


def composition(text: str, flag: str) -> dict[str, float]:
    """Mole fractions out of ``CH4:0.9,H2:0.1``.

    Raises:
        ConfigError: not understood.
    """
    try:
        pairs = [part.split(":") for part in text.split(",")]
        return {name.strip(): float(value) for name, value in pairs}
    except ValueError:
        raise ConfigError(f"--{flag}: expected NAME:FRACTION,..., got '{text}'") from None


def shifted(options: GasOptions) -> dict[str, Any]:
    """The table of the unknown that the offset of a free flame makes.

    Raises:
        ConfigError: not two numbers.
    """
    if options.offset is None:
        return {}
    try:
        mean, std = (float(part) for part in options.offset.split(","))
    except ValueError:
        raise ConfigError(f"--offset: expected MEAN,STD in m, got '{options.offset}'") from None
    return {"unknown": {"offset": {"kind": "normal", "mean": mean, "std": std}}}


def config_of(
    options: GasOptions, species: Sequence[str], inlet: Mapping[str, float]
) -> DetailedConfig:
    """The configuration of a file.

    Raises:
        ConfigError: what makes no sense of it.
    """
    table = {
        "mechanism": options.mechanism,
        "fuel": composition(options.fuel, "fuel"),
        "oxidizer": composition(options.oxidizer, "oxidizer"),
        "configuration": options.configuration,
        "length": options.length,
        "species": tuple(species),
        **shifted(options),
        **inlet,
    }
    return parse(DetailedConfig, table, "")


def _read(source: Path, options: CsvOptions) -> xr.Dataset:
    config = config_of(options, (), {})
    names = gas_of(config).species_names
    species = _species(source, names)
    units = {**UNITS, **{f"{part}_{name}": PARTS for name in species for part in "XY"}}
    table = table_of(source, units)
    told = coordinates(config)
    given = {short: getattr(options, short.lower()) for short in told}
    check_once(source, table.columns, given)
    kinds = measured_kinds(source, table.columns, observed(config_of(options, species, {})))
    _check_placed(source, config, kinds)
    return file_of(table.measured(kinds).filled(given), kinds, (options, species), options.rel)


def _check_placed(source: Path, config: DetailedConfig, kinds: Sequence[Kind]) -> None:
    """Refuse measured profiles of a flame that has no place of its own.

    Raises:
        DataSchemaError: there are such.
    """
    profiles = [kind.name for kind in kinds if "x" in kind.coords]
    if config.configuration == "free" and profiles and config.unknown.shift is None:
        raise DataSchemaError(
            f"{source}: column {profiles[0]} is a profile, and a free flame has no place of its "
            "own, so that x = 0 means nothing; give --offset MEAN,STD, m, for an unknown place, "
            "leave profiles out and give s_L, or say by --configuration what held the flame"
        )


def _species(source: Path, known: Sequence[str]) -> list[str]:
    """The species of columns X_NAME and Y_NAME, whose names the header has in lower case.

    Raises:
        DataSchemaError: one that the mechanism has not.
    """
    proper = {name.lower(): name for name in known}
    found: list[str] = []
    for text in read_table(source)[0]:
        matched = COLUMN.fullmatch(text.strip())
        stem = "" if matched is None else matched[1].removesuffix(SIGMA)
        if not stem.startswith(("x_", "y_")):
            continue
        if stem[2:] not in proper:
            raise DataSchemaError(
                f"{source}: column '{text}' is of a species that the mechanism has not; name "
                "another by --mechanism"
            )
        found.append(proper[stem[2:]])
    return list(dict.fromkeys(found))


def file_of(
    table: Table,
    kinds: Sequence[Kind],
    about: tuple[GasOptions, Sequence[str]],
    rel: float | None,
) -> xr.Dataset:
    """The observation file of rows.

    Args:
        table: them.
        kinds: the quantities of its columns.
        about: the gas, and the species that were measured.
        rel: noise as a part of each value, where the table has none.

    Raises:
        DataSchemaError: a row that cannot be, by its line.
    """
    told = coordinates(config_of(*about, {}))
    table.check_inlet({short: ENDS[short] for short in told})
    first = {COORDINATES[short]: float(table.columns[short][0]) for short in told}
    config = config_of(*about, first)
    attrs = problem_attributes("flame-cantera", config)
    table.check_places(kinds, config.slack[0])
    return dataset_of(table, kinds, observed(config), rel).assign_attrs(attrs)


csv_importer = Importer(
    "Table of flame speeds or profiles, with units in its header: phi, p [atm], s_L [cm/s].",
    CsvOptions,
    _read,
)
