"""What is measured, and where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pdeinv.typing import Array

__all__ = ["Observed", "Sensors"]

Sensors = Mapping[str, Array]
"""Where the data are: one array (n_d,) per coordinate, for example ``{"x": ..., "y": ...}``."""


@dataclass(frozen=True)
class Observed:
    """The measured quantity: its name and units, and the units of each coordinate.

    Attributes:
        name: in files.
        units: UDUNITS text.
        long_name: in words.
        coords: units by coordinate.
        dims: coordinates that number the data along axes of their own; files hold one array over
            all of them, in this order, instead of a list of data.
    """

    name: str
    units: str
    long_name: str
    coords: Mapping[str, str] = field(default_factory=dict)
    dims: tuple[str, ...] = ()
