"""``pdeinv import flame csv``: a table of profiles or flame speeds, with units in its header.

    x [mm], T [degC], u [cm/s], T_sigma [K]
    phi, p [atm], T_in [K], s_L [cm/s]

A cell that is empty was not measured. The state of the inlet stands in columns or in flags.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from pdeinv.config import Config
from pdeinv.plugins.problem import Importer

from .config import COLDEST, EquivalenceRatio, FlameConfig, Pressure
from .inlet_table import LENGTHS, PARTS, PRESSURES, SPEEDS, TEMPERATURES, Rel, TableFormat
from .sensors import ENDS, OBSERVED

__all__ = ["IMPORTERS", "CsvOptions"]

UNITS: Mapping[str, Mapping[str, float]] = {
    "x": LENGTHS, "T": TEMPERATURES, "u": SPEEDS, "Y": PARTS, "s_L": SPEEDS,
    "p": PRESSURES, "T_in": TEMPERATURES, "phi": PARTS,
}  # fmt: skip
_FORMAT = TableFormat("flame", FlameConfig, OBSERVED, UNITS, ENDS)


class CsvOptions(Config):
    """Flags of the format."""

    rel: Rel = None
    p: Pressure | None = Field(None, description="pressure at the inlet, Pa, if not in the file")
    t_in: float | None = Field(
        None, ge=COLDEST, le=1500, description="temperature at the inlet, K, if not in the file"
    )
    phi: EquivalenceRatio | None = Field(None, description="equivalence ratio, if not in the file")


IMPORTERS: Mapping[str, Importer] = {
    "csv": Importer(
        "Table of profiles or flame speeds, with units in its header: x [mm], T [degC], u [cm/s].",
        CsvOptions,
        _FORMAT.read,
    )
}
"""By the name that ``pdeinv import flame`` knows them by."""
