"""What a user says of an instrument beside its file: geometry, units, noise."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from pdeinv.config import Config, Positive
from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.text_table import read_table
from pdeinv.typing import Array

__all__ = ["Electrodes", "Instrument", "Positive", "electrodes"]

AMPERE = {"A": 1.0, "mA": 1e-3, "uA": 1e-6}
VOLT = {"V": 1.0, "mV": 1e-3, "uV": 1e-6}


class Instrument(Config):
    """Flags that all formats of impedance data have."""

    REFUSED: ClassVar[str] = ""
    """Why electrodes whose order is not said are refused; empty where a usual one is taken."""
    SHARE: ClassVar[float] = 0.5
    """Width of an electrode as a share of the spacing, where it is not given."""

    radius: Positive | None = Field(None, description="of the circle of electrodes, m")
    first_angle: float | None = Field(None, description="of electrode 1, degrees from the x axis")
    direction: Literal["ccw", "cw"] | None = Field(None, description="of the electrodes' numbers")
    places: Path | None = Field(
        None, description="CSV file with columns x,y or x,y,width in m, in place of a circle"
    )
    electrode_width: Positive | None = Field(
        None,
        description="along the boundary, m; if not given a share of the spacing is taken, and said",
    )
    contact_impedance: Positive | None = Field(
        None, description="of every electrode, ohm m2; the problem's own if not given"
    )
    thickness: Positive | None = Field(
        None, description="height of the liquid or slab, m; currents are per metre of it"
    )
    frequency: Positive | None = Field(
        None, description="of the current, Hz; required for complex voltages"
    )
    current_unit: Literal["A", "mA", "uA"] = Field("A", description="of currents in the file")
    voltage_unit: Literal["V", "mV", "uV"] = Field("V", description="of voltages in the file")
    noise_std: Positive | None = Field(None, description="noise standard deviation, V")
    noise_rel: Positive | None = Field(
        None, description="the same, relative to the largest voltage"
    )
    reference: Path | None = Field(
        None, description="frame of the same format, to take differences from"
    )

    reference_conductivity: Positive | None = Field(
        None, description="of the body in the reference frame, S m-1"
    )
    reference_permittivity: Positive | None = Field(
        None, description="of the body in the reference frame, F m-1, where voltages are complex"
    )

    @model_validator(mode="after")
    def _once(self) -> Instrument:
        if self.noise_std is not None and self.noise_rel is not None:
            raise ValueError("give the noise once, as --noise-std or --noise-rel")
        if self.places is not None and "radius" in self.model_fields_set:
            raise ValueError("give the electrodes once, by --places or --radius")
        return self

    def problem(self) -> dict[str, Any]:
        """What the flags say of the problem's own configuration."""
        given = {
            "thickness": self.thickness,
            "frequency": self.frequency,
            "reference": self.reference_conductivity,
            "reference_permittivity": self.reference_permittivity,
        }
        disc = {} if self.radius is None else {"domain": {"kind": "disc", "radius": self.radius}}
        return {**disc, **{k: v for k, v in given.items() if v is not None}}

    @property
    def ampere(self) -> float:
        """The size of the file's unit of current."""
        return AMPERE[self.current_unit]

    @property
    def volt(self) -> float:
        """The size of the file's unit of voltage."""
        return VOLT[self.voltage_unit]


@dataclass(frozen=True)
class Electrodes:
    """Where the electrodes are.

    Attributes:
        places: centres, shape (n, 2), m.
        width: along the boundary, shape (n,), m.
        contact_impedance: shape (n,), ohm m2, where it is known.
    """

    places: Array
    width: Array
    contact_impedance: Array | None = None


def electrodes(options: Instrument, count: int) -> Electrodes:
    """The electrodes that the flags describe.

    Raises:
        ConfigError: neither radius nor places, or electrodes that overlap.
        DataSchemaError: the file of places is not one, or has another number of electrodes.
    """
    width: Array | None = None
    if options.places is not None:
        places, width = _places(options.places, count)
    elif options.radius is not None:
        places = _circle(options, options.radius, count)
    else:
        raise ConfigError(
            "the file does not say where the electrodes are; pass --radius (m) for a circle, or "
            "--places FILE"
        )
    impedance = None
    if options.contact_impedance is not None:
        impedance = np.full(count, options.contact_impedance)
    return Electrodes(places, _widths(options, places) if width is None else width, impedance)


def _circle(options: Instrument, radius: float, count: int) -> Array:
    if options.first_angle is None or options.direction is None:
        _unsaid(options)
    step = 2 * math.pi / count * (-1 if options.direction == "cw" else 1)
    angle = math.radians(options.first_angle or 0.0) + step * np.arange(count)
    return radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _unsaid(options: Instrument) -> None:
    """Refuse electrodes of a format without a usual order, or say what is taken.

    A picture that is turned or mirrored fits the data as well, so that they cannot tell.
    """
    flags = "--first-angle (degrees from the x axis) and --direction ccw or cw, or --places FILE"
    if options.REFUSED:
        raise ConfigError(f"{options.REFUSED}; pass {flags}")
    angle, direction = options.first_angle or 0.0, options.direction or "ccw"
    warnings.warn(
        f"electrode 1 at {angle:g} degrees and numbers that go round {direction} are taken, and a "
        f"wrong guess turns or mirrors the picture; pass {flags}",
        UserWarning,
        stacklevel=2,
    )


def _widths(options: Instrument, places: Array) -> Array:
    gap = np.linalg.norm(places[:, None] - places[None], axis=2)
    nearest = float(np.min(gap + np.where(gap > 0, 0.0, np.inf)))
    width = options.electrode_width
    if width is None:
        width = options.SHARE * nearest
        warnings.warn(
            f"electrode width not given, {options.SHARE:g} of the spacing ({width:.3g} m) is "
            "taken; pass --electrode-width",
            UserWarning,
            stacklevel=2,
        )
    elif width >= 1.02 * nearest:  # the arc is a little longer than the chord
        raise ConfigError(
            f"--electrode-width: electrodes of {width:g} m overlap, their centres are "
            f"{nearest:.3g} m apart; expected metres"
        )
    return np.full(len(places), width)


def _places(path: Path, count: int) -> tuple[Array, Array | None]:
    header, rows = read_table(path)
    if header not in (["x", "y"], ["x", "y", "width"]):
        raise DataSchemaError(f"{path}: expected columns x,y or x,y,width, got {','.join(header)}")
    if len(rows) != count:
        raise DataSchemaError(f"{path}: places of {len(rows)} electrodes, the data have {count}")
    try:
        table = np.array([[float(cell) for cell in cells] for _, cells in rows])
    except ValueError as error:
        raise DataSchemaError(f"{path}: {error}; expected numbers") from None
    if not np.isfinite(table).all() or (table.shape[1] == 3 and (table[:, 2] <= 0).any()):
        raise DataSchemaError(f"{path}: places must be finite and widths positive")
    return table[:, :2], table[:, 2] if table.shape[1] == 3 else None
