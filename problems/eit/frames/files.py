"""Observation files of impedance tomography: what is in them besides voltages and their noise.

The layout (docs/files.md): ``voltage(injection, measurement)`` with ``voltage_sigma``,
``current(injection, electrode)``, ``measurement_pattern(measurement, electrode)``, ``electrode_x``,
``electrode_y``, ``electrode_z``, ``electrode_width``, ``contact_impedance`` (electrode). Voltages
that were not measured are NaN.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from pdeinv.config import dump_toml, merge, parse
from pdeinv.errors import DataSchemaError
from pdeinv.io.quantities import check_units
from pdeinv.io.schema import Column, check
from pdeinv.typing import Array

from ..setup.config import EitConfig
from .protocol import Sheet

__all__ = [
    "Measured",
    "annotated",
    "electrodes_of",
    "frequency_of",
    "tables_of",
    "to_dataset",
]

_TABLE = ("injection", "measurement")
_SCHEMA = {
    "current": Column(("injection", "electrode"), finite=True, ordered=False),
    "measurement_pattern": Column(("measurement", "electrode"), finite=True, ordered=False),
    **{f"electrode_{axis}": Column(("electrode",), finite=True) for axis in "xyz"},
    "electrode_width": Column(("electrode",)),
    "contact_impedance": Column(("electrode",)),
}
"""What the variables of a file that describes its experiment have to be."""
_ROUND = 1e-3
"""Electrodes count as on a circle when their distances from the centre agree to this."""


@dataclass(frozen=True)
class Measured:
    """What an instrument gives, as arrays; electrodes in the order of their numbers.

    Attributes:
        voltage: V, shape (injections, measurements), real or complex; NaN where not measured.
        current: A, shape (injections, electrodes), rows that sum to zero.
        pattern: shape (measurements, electrodes); data are pattern @ electrode potentials.
        angles: polar angles of the electrode centres in degrees, shape (electrodes,); or
        positions: their x, y (and z) in m, shape (electrodes, 2 or 3).
        radius: of the tank in m, needed with angles.
        widths: m along the boundary, shape (electrodes,) or one number.
        impedance: contact impedances in ohm m2, shape (electrodes,) or one number.
        sigma: noise standard deviation in V, of the shape of voltage or one number.
        reference: voltages of a reference frame; what is stored is then voltage − reference.
    """

    voltage: Any
    current: Array
    pattern: Array
    angles: Array | None = None
    positions: Array | None = None
    radius: float | None = None
    widths: Array | float | None = None
    impedance: Array | float | None = None
    sigma: Array | float | None = None
    reference: Any = None

    def places(self) -> Array:
        """Where the electrodes are, shape (electrodes, 2 or 3).

        Raises:
            DataSchemaError: neither angles with a radius nor positions.
        """
        if self.positions is not None:
            return np.asarray(self.positions, dtype=np.float64)
        if self.angles is None or self.radius is None:
            raise DataSchemaError("electrodes: give positions, or angles with the tank's radius")
        phi = np.deg2rad(self.angles)
        return self.radius * np.stack([np.cos(phi), np.sin(phi)], axis=1)

    def check(self) -> None:
        """Refuse arrays that do not fit together.

        Raises:
            DataSchemaError: names the array, what was expected and what was got.
        """
        current, pattern = np.asarray(self.current), np.asarray(self.pattern)
        if current.ndim != 2 or pattern.ndim != 2 or current.shape[1] != pattern.shape[1]:
            raise DataSchemaError(
                "current (injections, electrodes) and pattern (measurements, electrodes) must have "
                f"the same electrodes, got shapes {current.shape} and {pattern.shape}"
            )
        wanted = (len(current), len(pattern))
        for name in ("voltage", "reference"):
            value = getattr(self, name)
            if value is not None and np.shape(value) != wanted:
                raise DataSchemaError(
                    f"{name} has shape {np.shape(value)}, the patterns ask for (injections, "
                    f"measurements) = {wanted}; fill what was not measured with NaN"
                )
        n = current.shape[1]
        if len(self.places()) != n:
            raise DataSchemaError(f"{len(self.places())} electrode places for {n} electrodes")
        off = np.abs(current.sum(axis=1)) > 1e-6 * np.abs(current).max(axis=1)
        if off.any():
            k = int(np.flatnonzero(off)[0])
            raise DataSchemaError(
                f"the currents of injection {k} sum to {current[k].sum():.3g} A, expected 0"
            )
        if self.impedance is not None and not np.all(np.asarray(self.impedance) > 0):
            raise DataSchemaError("contact impedances must be positive")


_UNITS = {
    "current": "A",
    "measurement_pattern": "1",
    **{f"electrode_{axis}": "m" for axis in "xyz"},
    "electrode_width": "m",
    "contact_impedance": "ohm m2",
    "frequency": "Hz",
}
"""Of the variables that say what the experiment was."""


def _electrodes(places: Array, widths: Any, impedance: Any) -> dict[str, Any]:
    """The variables of the electrodes."""
    n = len(places)
    found: dict[str, Any] = {
        f"electrode_{axis}": (
            "electrode",
            places[:, i],
            {"units": "m", "long_name": f"{axis} of the electrode's centre"},
        )
        for i, axis in zip(range(places.shape[1]), "xyz", strict=False)
    }
    rest = {
        "electrode_width": (widths, "m", "width of the electrode along the boundary"),
        "contact_impedance": (impedance, "ohm m2", "contact impedance of the electrode"),
    }
    for name, (value, units, text) in rest.items():
        if value is not None:
            array = np.broadcast_to(np.asarray(value, dtype=np.float64), (n,)).copy()
            found[name] = ("electrode", array, {"units": units, "long_name": text})
    return found


def _patterns(current: Array, pattern: Array) -> dict[str, Any]:
    """The variables of the protocol."""
    return {
        "current": (
            ("injection", "electrode"),
            np.asarray(current, dtype=np.float64),
            {"units": "A", "long_name": "current into the body through the electrode"},
        ),
        "measurement_pattern": (
            ("measurement", "electrode"),
            np.asarray(pattern, dtype=np.float64),
            {"units": "1", "long_name": "weight of the electrode's potential in the voltage"},
        ),
    }


def _tables(current: Array, pattern: Array, places: Array, rest: Mapping[str, Any]) -> Any:
    """Configuration of drives, measurements, electrodes and, on a circle, the domain."""
    peak = float(np.abs(current).max())
    electrodes: dict[str, Any] = {"count": len(places)}
    planar = places[:, :2]
    if places.shape[1] == 3:
        heights = places[:, 2] / np.ptp(places, axis=0).max()
        _, first = np.unique(np.round(heights, 9), return_index=True)
        rings = places[first, 2]
        per = len(places) // len(rings)
        planar = planar[:per]
        electrodes |= {"rings": rings.tolist(), "count": per}
    electrodes["points"] = planar.tolist()
    for key in ("width", "impedance"):
        if rest.get(key) is not None:
            electrodes[key] = np.broadcast_to(rest[key], (len(places),)).tolist()
    if "width" in electrodes:
        electrodes["width"] = electrodes["width"][: len(planar)]
    drive = {"kind": "matrix", "matrix": (np.asarray(current) / peak).tolist()}
    measure = {"kind": "matrix", "matrix": np.asarray(pattern).tolist()}
    tables: dict[str, Any] = {
        "drive": {"pattern": drive, "current": peak},
        "measure": {"pattern": measure},
        "electrodes": electrodes,
    }
    far = np.hypot(planar[:, 0], planar[:, 1])
    if np.ptp(far) <= _ROUND * far.mean():
        tables["domain"] = {"kind": "disc", "radius": float(f"{far.mean():.9g}")}
    return tables


def to_dataset(
    measured: Measured,
    *,
    config: Mapping[str, Any] | None = None,
    attrs: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """An observation file from arrays, ready for ``pdeinv invert``.

    Args:
        measured: the arrays.
        config: tables of the problem that they do not say: domain, unknown, frequency, ...
        attrs: further attributes, such as where the data come from.

    Raises:
        DataSchemaError: arrays that do not fit together.
        ConfigError: a configuration that does not fit them.
    """
    measured.check()
    rest = {"width": measured.widths, "impedance": measured.impedance}
    places = measured.places()
    tables = _tables(np.asarray(measured.current), measured.pattern, places, rest)
    if measured.reference is not None:
        tables["difference"] = True
    table = merge(tables, config or {})
    values = np.asarray(measured.voltage)
    if measured.reference is not None:
        values = values - np.asarray(measured.reference)
    dims, values = _with_parts(values)
    volt = {"units": "V", "long_name": "voltage"}
    variables: dict[str, Any] = {"voltage": (dims, values, dict(volt))}
    if measured.sigma is not None:
        variables["voltage"][2]["ancillary_variables"] = "voltage_sigma"
        sigma = np.asarray(measured.sigma, dtype=np.float64)
        sigma = sigma[..., None] if sigma.ndim == 2 and values.ndim == 3 else sigma
        text = {"units": "V", "long_name": "noise standard deviation of voltage"}
        variables["voltage_sigma"] = (dims, np.broadcast_to(sigma, values.shape).copy(), text)
    if measured.reference is not None:
        dims_, reference = _with_parts(np.asarray(measured.reference))
        variables["voltage_reference"] = (
            dims_,
            reference,
            {"units": "V", "long_name": "voltage of the reference frame, already subtracted"},
        )
    variables |= _patterns(measured.current, measured.pattern)
    variables |= _electrodes(places, measured.widths, measured.impedance)
    checked = parse(EitConfig, table, "problem")
    variables |= frequency_of(checked)
    return xr.Dataset(variables, _numbers(variables), {
        "Conventions": "CF-1.11",
        "pdeinv_kind": "observations",
        "pdeinv_problem": "eit",
        "pdeinv_problem_config": dump_toml(checked.model_dump(mode="json")),
        **(attrs or {}),
    })  # fmt: skip


def _with_parts(values: Any) -> tuple[tuple[str, ...], Array]:
    """Dimensions and real numbers of a table that may be complex."""
    if values.dtype.kind != "c":
        return _TABLE, np.asarray(values, dtype=np.float64)
    parts = np.stack([values.real, values.imag], axis=-1)
    # what was not measured is often NaN + 0j, whose imaginary part would pass for a datum
    parts[~np.isfinite(values)] = np.nan
    return (*_TABLE, "component"), parts


def _numbers(variables: Mapping[str, Any]) -> dict[str, Any]:
    """Index coordinates of all dimensions."""
    sizes: dict[str, int] = {}
    for dims, values, _ in variables.values():
        names = (dims,) if isinstance(dims, str) else dims
        sizes |= dict(zip(names, np.shape(values), strict=True))
    return {
        name: (name, np.arange(n), {"units": "1", "long_name": f"number of the {name}"})
        for name, n in sizes.items()
    }


def annotated(dataset: xr.Dataset, sheet: Sheet, electrodes: xr.Dataset) -> xr.Dataset:
    """A written observation file with the drives, the measurements and the electrodes."""
    if not set(_TABLE) <= set(dataset.dims):
        return dataset
    chosen = {name: np.asarray(dataset[name], dtype=np.int64) for name in _TABLE}
    sizes = zip(chosen.values(), (len(sheet.drives), len(sheet.measures)), strict=True)
    if any(n.size and not 0 <= n.min() <= n.max() < size for n, size in sizes):
        return dataset  # as the reader of the data will say
    variables = _patterns(sheet.drives[chosen["injection"]], sheet.measures[chosen["measurement"]])
    return dataset.assign(variables).merge(electrodes)


def frequency_of(config: EitConfig) -> dict[str, Any]:
    """The variable ``frequency``, where voltages are complex."""
    told = {"units": "Hz", "long_name": "frequency of the current"}
    return {"frequency": ((), config.frequency, told)} if config.complex else {}


def electrodes_of(places: Array, widths: Any, impedances: Any) -> xr.Dataset:
    """Place, width and contact impedance of every electrode."""
    variables = _electrodes(places, widths, impedances)
    return xr.Dataset(variables, _numbers(variables))


def tables_of(dataset: xr.Dataset) -> dict[str, Any]:
    """The configuration that a file's own variables amount to; empty where they are missing.

    Raises:
        DataSchemaError: patterns that do not fit the electrodes, or other units.
    """
    needed = ("current", "measurement_pattern", "electrode_x", "electrode_y")
    if any(name not in dataset for name in needed):
        return {}
    path = Path(dataset.encoding.get("source", "dataset"))
    for name, units in _UNITS.items():
        if name in dataset:
            check_units(dataset[name], name, units, path, needed=units != "1")
    check(dataset, _SCHEMA, str(path))
    current = np.asarray(dataset["current"].transpose("injection", "electrode"))
    pattern = np.asarray(dataset["measurement_pattern"].transpose("measurement", "electrode"))
    axes = [a for a in "xyz" if f"electrode_{a}" in dataset]
    places = np.stack([np.asarray(dataset[f"electrode_{a}"]) for a in axes], axis=1)
    named = {"width": "electrode_width", "impedance": "contact_impedance"}
    rest = {k: np.asarray(dataset[v]) for k, v in named.items() if v in dataset}
    tables: dict[str, Any] = _tables(current, pattern, places, rest)
    if "frequency" in dataset and dataset["frequency"].ndim == 0:
        tables["frequency"] = float(dataset["frequency"])
    return tables
