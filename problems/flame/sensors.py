"""What is measured of flames: speeds and profiles, of one state of the inlet or of several."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.model.observed import Kind, Observed, Sensors
from pdeinv.model.sensors import is_file, misplaced, outside, parse_places
from pdeinv.text_table import read_table
from pdeinv.typing import Array

from .chemistry import FLAMMABLE, Parameters
from .config import COLDEST, PRESSURES, FlameConfig
from .unknown import LABELS

__all__ = [
    "ENDS",
    "INLET",
    "KIND",
    "KINDS",
    "OBSERVED",
    "Condition",
    "check",
    "conditions",
    "parse",
]

INLET = {"p": "pressure", "T_in": "inlet_temperature", "phi": "equivalence_ratio"}
"""The state of the inlet, which tells experiments apart: parameters by coordinate of the data."""

ENDS = {
    "p": (*PRESSURES, f"from {PRESSURES[0]:g} to {PRESSURES[1]:g} Pa (is it in atm or bar?)"),
    "T_in": (COLDEST, 1500.0, f"from {COLDEST:g} to 1500 K"),
    "phi": (*FLAMMABLE, f"in the flammable range {FLAMMABLE[0]} to {FLAMMABLE[1]}"),
}
"""The least and the largest of each that there are flames for, and words for it."""

KIND = "quantity"
KINDS = (
    Kind("s_L", "m s-1", "laminar flame speed", 0.25, (*INLET,)),
    Kind("T", "K", "temperature", 1024.0, ("x", *INLET)),
    Kind("u", "m s-1", "velocity of the gas", 1.0, ("x", *INLET)),
    Kind("Y", "1", "mass fraction of fuel", 0.125, ("x", *INLET)),
)
"""What data may be, in the order of their numbers."""

OBSERVED = Observed(
    "flame",
    "1",
    "measurements of flames by quantity: 0 flame speed (0.25 m s-1), 1 temperature (1024 K), "
    "2 velocity (1 m s-1), 3 mass fraction of fuel (0.125)",
    {KIND: "1", "x": "m", **{short: LABELS[name][0] for short, name in INLET.items()}},
    kinds=KINDS,
    kind=KIND,
)

WANTED = (
    "PLACES or PLACES@QUANTITIES, such as grid:10@T,u with quantities among T, u and Y; speed or "
    "speed:PHI,PHI,...; several of these joined by +; or a CSV file with a header of quantity and "
    "x, and of p, T_in and phi where they differ"
)


Condition = tuple[float, float, float]
"""Pressure, temperature and equivalence ratio at the inlet."""


def parse(spec: str, config: FlameConfig, nodes: Array) -> Sensors:
    """Sensors from text.

    Args:
        spec: the text.
        config: says the state of the inlet where the text does not.
        nodes: what ``all`` means, m.

    Raises:
        ConfigError: not understood.
    """
    if is_file(spec):
        return _from_file(Path(spec), config)
    parts = [_part(text, config, nodes, spec) for text in spec.split("+")]
    return {name: np.concatenate([p[name] for p in parts]) for name in OBSERVED.coords}


def _part(text: str, config: FlameConfig, nodes: Array, spec: str) -> Sensors:
    kind, _, rest = text.partition(":")
    if kind == "speed":
        return _speeds(rest, config, spec)
    where, at, what = text.partition("@")
    names = what.split(",") if at else ["T", "u"]
    known = {k.name: n for n, k in enumerate(KINDS) if "x" in k.coords}
    wrong = [name for name in names if name not in known]
    if wrong or len(set(names)) < len(names):
        raise ConfigError(f"sensors '{spec}': '{what}' not understood; expected {WANTED}")
    x = parse_places(where, config.extent, lambda: nodes[:, None], WANTED)[:, 0]
    numbers = np.repeat([float(known[name]) for name in names], len(x))
    return _at_inlet(config.known, {KIND: numbers, "x": np.tile(x, len(names))})


def _speeds(text: str, config: FlameConfig, spec: str) -> Sensors:
    try:
        ratios = [float(v) for v in text.split(",")] if text else [config.equivalence_ratio]
    except ValueError:
        ratios = [np.nan]
    if not np.isfinite(ratios).all():
        raise ConfigError(f"sensors '{spec}': expected speed:PHI,PHI,..., got '{text}'")
    parts = [
        _at_inlet(
            replace(config.known, equivalence_ratio=phi), {KIND: np.zeros(1), "x": np.zeros(1)}
        )
        for phi in ratios
    ]
    return {name: np.concatenate([p[name] for p in parts]) for name in OBSERVED.coords}


def _at_inlet(at: Parameters, own: Sensors) -> Sensors:
    """Sensors of one state of the inlet."""
    n = len(own[KIND])
    return {**own, **{short: np.full(n, getattr(at, name)) for short, name in INLET.items()}}


def _from_file(path: Path, config: FlameConfig) -> Sensors:
    """Sensors one by one, a row each.

    Raises:
        ConfigError: the file is not of this layout.
    """
    try:
        header, lines = read_table(path)
    except DataSchemaError as error:
        raise ConfigError(f"sensors: {error}") from None
    header = [{c.lower(): c for c in OBSERVED.coords}.get(name, name) for name in header]
    if KIND not in header or not set(header) <= set(OBSERVED.coords):
        raise ConfigError(
            f"sensors {path}: expected a header of {KIND}, x and, where they differ, "
            f"{', '.join(INLET)}; got {', '.join(header)}"
        )
    names = {k.name.lower(): float(n) for n, k in enumerate(KINDS)}
    rows = [dict(zip(header, cells, strict=True)) for _, cells in lines]
    defaults = {"x": 0.0, **{short: getattr(config, name) for short, name in INLET.items()}}
    try:
        kinds = np.array([names[row.pop(KIND).lower()] for row in rows])
        columns = {
            name: np.array([float(row.get(name) or default) for row in rows])
            for name, default in defaults.items()
        }
    except (KeyError, ValueError) as error:
        raise ConfigError(
            f"sensors {path}: expected numbers, and quantities among {', '.join(names)}; got "
            f"{error}"
        ) from None
    if not rows or not all(np.isfinite(c).all() for c in columns.values()):
        raise ConfigError(f"sensors {path}: expected rows of finite numbers")
    return {KIND: kinds, **columns}


def check(config: FlameConfig, sensors: Sensors) -> None:
    """Refuse sensors outside the domain, and states of the inlet that no flame has.

    Raises:
        DataSchemaError: names the first one.
    """
    columns = {name: np.asarray(sensors[name], dtype=np.float64) for name in OBSERVED.coords}
    kinds = columns[KIND]
    if not np.isin(kinds, np.arange(len(KINDS))).all():
        k = int(np.argmin(np.isin(kinds, np.arange(len(KINDS)))))
        raise DataSchemaError(
            f"sensor {k} is of quantity {kinds[k]:g}; expected 0 to {len(KINDS) - 1}"
        )
    places = columns["x"][:, None]
    bad = outside(places, config.extent)
    if len(bad):
        raise DataSchemaError(misplaced(f"sensor {bad[0]}", places[bad[0]], config.extent))
    _check_inlet(config, columns)


def _check_inlet(config: FlameConfig, columns: dict[str, Array]) -> None:
    for short, (low, high, words) in ENDS.items():
        name, values = INLET[short], columns[short]
        bad = np.flatnonzero(~((values >= low) & (values <= high)))
        if len(bad):
            raise DataSchemaError(
                f"sensor {bad[0]}: {short} must be {words}; got {values[bad[0]]:g}"
            )
        given = getattr(config, name)
        if name in config.unknown.sought and not np.allclose(values, given, rtol=1e-9, atol=0):
            raise DataSchemaError(
                f"{name} is sought, so that data must be of one inlet, that with {short} = "
                f"{given:g}; got {values[~np.isclose(values, given, rtol=1e-9, atol=0)][0]:g}"
            )


def conditions(sensors: Sensors) -> dict[Condition, NDArray[np.int64]]:
    """The data of each state of the inlet, by their numbers, in the order of their appearance."""
    table = np.stack([np.asarray(sensors[name], dtype=np.float64) for name in INLET], axis=1)
    found: dict[Condition, list[int]] = {}
    for i, row in enumerate(table.tolist()):
        found.setdefault(tuple(row), []).append(i)
    return {at: np.array(rows, dtype=np.int64) for at, rows in found.items()}
