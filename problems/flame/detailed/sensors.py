"""Sensors of flames with detailed chemistry: from text and tables, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.model.observed import Sensors
from pdeinv.model.sensors import is_file, misplaced, outside, parse_places
from pdeinv.text_table import read_table
from pdeinv.typing import Array

from ..config import COLDEST, PRESSURES
from .config import DetailedConfig
from .inlet import COORDINATES, Inlet
from .mechanism import FAINTEST, adiabatic
from .quantities import COORDS, KIND, coordinates, kinds_of

__all__ = ["check", "check_flammable", "experiments", "parse"]

ENDS = {
    "p": (*PRESSURES, f"from {PRESSURES[0]:g} to {PRESSURES[1]:g} Pa (is it in atm or bar?)"),
    "T_in": (COLDEST, 1500.0, f"from {COLDEST:g} to 1500 K (is it in degrees Celsius?)"),
    "phi": (1e-3, 1e3, "from 0.001 to 1000"),
    "mass_flux": (1e-6, 1e4, "from 1e-6 to 1e4 kg m-2 s-1"),
}
"""The least and the largest of each entry of the state of the inlet, and words for it."""


def parse(spec: str, config: DetailedConfig) -> Sensors:
    """Sensors from text.

    Raises:
        ConfigError: not understood.
    """
    if is_file(spec):
        return _of_file(Path(spec), config)
    parts = [_part(text, config, spec) for text in spec.split("+")]
    return {name: np.concatenate([part[name] for part in parts]) for name in COORDS}


def _wanted(config: DetailedConfig) -> str:
    names = ", ".join(k.name for k in kinds_of(config) if "x" in k.coords)
    speed = "speed or speed:PHI,PHI,...; " if config.configuration == "free" else ""
    return (
        f"PLACES or PLACES@QUANTITIES, such as grid:20@T, with quantities among {names} (more "
        f"species by problem.species); {speed}several of these joined by +; or a CSV file with a "
        "header of quantity and x, and of p, T_in, phi and mass_flux where they differ"
    )


def _part(text: str, config: DetailedConfig, spec: str) -> Sensors:
    kind, _, rest = text.partition(":")
    if kind == "speed" and config.configuration == "free":
        return _speeds(rest, config, spec)
    where, at, what = text.partition("@")
    numbers = {k.name: n for n, k in enumerate(kinds_of(config)) if "x" in k.coords}
    names = what.split(",") if at else ["T"]
    if not set(names) <= set(numbers) or len(set(names)) < len(names):
        raise ConfigError(f"sensors '{spec}': '{what}' not understood; expected {_wanted(config)}")
    nodes = np.linspace(0.0, config.length, 101)[:, None]
    x = parse_places(where, config.extent, lambda: nodes, _wanted(config))[:, 0]
    own = np.repeat([float(numbers[name]) for name in names], len(x))
    return _at(config, {KIND: own, "x": np.tile(x, len(names))})


def _speeds(text: str, config: DetailedConfig, spec: str) -> Sensors:
    try:
        ratios = [float(v) for v in text.split(",")] if text else [config.equivalence_ratio]
    except ValueError:
        ratios = [np.nan]
    if not np.isfinite(ratios).all():
        raise ConfigError(f"sensors '{spec}': expected speed:PHI,PHI,..., got '{text}'")
    zeros = np.zeros(len(ratios))
    return _at(config, {KIND: zeros, "x": zeros, "phi": np.array(ratios)})


def _at(config: DetailedConfig, own: Mapping[str, Array]) -> Sensors:
    """Sensors with the configured state where they do not say their own; zero where it has none."""
    n = len(own[KIND])
    told = coordinates(config)
    state = {
        short: np.full(n, getattr(config, name) if short in told else 0.0)
        for short, name in COORDINATES.items()
    }
    return {**state, **own}


def _of_file(path: Path, config: DetailedConfig) -> Sensors:
    """Sensors one by one, a row each.

    Raises:
        ConfigError: the file is not of this layout.
    """
    try:
        header, lines = read_table(path)
    except DataSchemaError as error:
        raise ConfigError(f"sensors: {error}") from None
    proper = {c.lower(): c for c in COORDS}
    header = [proper.get(name, name) for name in header]
    numbers = {k.name.lower(): float(n) for n, k in enumerate(kinds_of(config))}
    if KIND not in header or not set(header) <= set(COORDS):
        raise ConfigError(f"sensors {path}: expected {_wanted(config)}; got {', '.join(header)}")
    rows = [dict(zip(header, cells, strict=True)) for _, cells in lines]
    try:
        kinds = np.array([numbers[row.pop(KIND).lower()] for row in rows])
        given = {
            name: np.array([float(row[name] or 0.0) for row in rows])
            for name in header
            if name != KIND
        }
    except (KeyError, ValueError) as error:
        raise ConfigError(
            f"sensors {path}: expected numbers, and quantities among {', '.join(numbers)}; got "
            f"{error}"
        ) from None
    if not rows or not all(np.isfinite(column).all() for column in given.values()):
        raise ConfigError(f"sensors {path}: expected rows of finite numbers")
    return _at(config, {"x": np.zeros(len(rows)), KIND: kinds, **given})


def check(config: DetailedConfig, sensors: Sensors) -> None:
    """Refuse sensors outside the domain, and states of the inlet that there are none of.

    Raises:
        DataSchemaError: names the first one.
    """
    columns = {name: np.asarray(sensors[name], dtype=np.float64) for name in COORDS}
    numbers = np.arange(len(kinds_of(config)))
    known = np.isin(columns[KIND], numbers)
    if not known.all():
        k = int(np.argmin(known))
        raise DataSchemaError(
            f"sensor {k} is of quantity {columns[KIND][k]:g}; expected 0 to {numbers[-1]}"
        )
    places = columns["x"][:, None]
    bad = outside(places, config.extent)
    if len(bad):
        raise DataSchemaError(misplaced(f"sensor {bad[0]}", places[bad[0]], config.extent))
    for short in coordinates(config):
        _check_state(config, short, columns[short])


def _check_state(config: DetailedConfig, short: str, values: Array) -> None:
    low, high, words = ENDS[short]
    bad = np.flatnonzero(~((values >= low) & (values <= high)))
    if len(bad):
        raise DataSchemaError(f"sensor {bad[0]}: {short} must be {words}; got {values[bad[0]]:g}")
    given = getattr(config, COORDINATES[short])
    same = np.isclose(values, given, rtol=1e-9, atol=0)
    if COORDINATES[short] in config.unknown.states and not same.all():
        raise DataSchemaError(
            f"{COORDINATES[short]} is sought, so that data must be of one inlet, that with {short} "
            f"= {given:g}; got {values[~same][0]:g}"
        )


def experiments(config: DetailedConfig, sensors: Sensors) -> dict[Inlet, NDArray[np.int64]]:
    """The data of each state of the inlet, by their numbers, in the order of their appearance.

    What is sought of a state is there in the middle of its prior.
    """
    middle, told = config.inlet, coordinates(config)
    columns = []
    for short, name in COORDINATES.items():
        own = np.asarray(sensors[short], dtype=np.float64)
        fixed = short in told and name not in config.unknown.states
        columns.append(own if fixed else np.full(len(own), getattr(middle, name)))
    found: dict[Inlet, list[int]] = {}
    for i, row in enumerate(np.stack(columns, axis=1).tolist()):
        found.setdefault(Inlet(*row), []).append(i)
    return {at: np.array(rows, dtype=np.int64) for at, rows in found.items()}


def check_flammable(config: DetailedConfig, gas: Any, inlet: Inlet) -> None:
    """Refuse mixtures whose burnt gas is too cold for a flame.

    Raises:
        DataSchemaError: it is.
    """
    if config.temperatures.x:
        return
    burnt = adiabatic(config, gas, inlet)
    if burnt < FAINTEST:
        raise DataSchemaError(
            f"phi = {inlet.equivalence_ratio:g} lies outside the flammable range: burnt gas of "
            f"{burnt:.0f} K carries no flame (at least {FAINTEST:g} K)"
        )
