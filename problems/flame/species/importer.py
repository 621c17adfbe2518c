"""``pdeinv import flame-species csv``: a table of profiles or flame speeds with units.

    x [mm], T [degC], Y_CH4 [%], V [1/s], T_sigma [K]
    phi, p [atm], T_in [K], s_L [cm/s]

A cell that is empty was not measured. The state of the inlet stands in columns or in flags.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import xarray as xr
from pydantic import Field

from pdeinv.config import Config
from pdeinv.plugins.problem import Importer

from ..config import Pressure
from ..inlet_table import (
    LENGTHS,
    PARTS,
    PER_TIME,
    PRESSURES,
    SPEEDS,
    TEMPERATURES,
    Rel,
    TableFormat,
)
from .config import Cold, EquivalenceRatio, SpeciesConfig
from .gas import SPECIES
from .sensors import ENDS, OBSERVED

__all__ = ["IMPORTERS", "CsvOptions"]

UNITS: Mapping[str, Mapping[str, float]] = {
    "x": LENGTHS, "T": TEMPERATURES, "u": SPEEDS, "V": PER_TIME,
    **{f"Y_{name}": PARTS for name in SPECIES},
    "s_L": SPEEDS, "p": PRESSURES, "T_in": TEMPERATURES, "phi": PARTS,
}  # fmt: skip
_FORMAT = TableFormat("flame-species", SpeciesConfig, OBSERVED, UNITS, ENDS)


class CsvOptions(Config):
    """Flags of the format."""

    rel: Rel = None
    p: Pressure | None = Field(None, description="pressure, Pa, if not in the file")
    t_in: Cold | None = Field(
        None, description="temperature of the reactants, K, if not in the file"
    )
    phi: EquivalenceRatio | None = Field(None, description="equivalence ratio, if not in the file")
    configuration: Literal["free", "counterflow"] = Field(
        "free", description="free, or counterflow: reactants against a stream of other gas"
    )


def _read(source: Path, options: CsvOptions) -> xr.Dataset:
    return _FORMAT.read(source, options, configuration=options.configuration)


IMPORTERS: Mapping[str, Importer] = {
    "csv": Importer(
        "Table of profiles or flame speeds, with units in its header: x [mm], T [K], Y_CH4 [1].",
        CsvOptions,
        _read,
    )
}
"""By the name that ``pdeinv import flame-species`` knows them by."""
