"""Sensors of flames whose data tell the state of the inlet: speeds and profiles, by quantity.

Each datum has the number of its quantity, a place, and pressure, temperature and equivalence ratio
of the experiment that it belongs to.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.model.observed import Kind, Observed, Sensors
from pdeinv.model.sensors import (
    check_inside,
    grid_nodes,
    is_file,
    misplaced,
    outside,
    parse_places,
)
from pdeinv.text_table import read_table
from pdeinv.typing import Array

__all__ = ["INLET", "KIND", "SPEED", "Burning", "Condition", "InletSensors", "conditions"]

INLET = {"p": "pressure", "T_in": "inlet_temperature", "phi": "equivalence_ratio"}
"""The state of the inlet, which tells experiments apart: parameters by coordinate of the data."""

KIND = "quantity"
"""The coordinate that numbers the quantities."""

SPEED = "s_L"
"""The quantity without a place."""

Condition = tuple[float, float, float]
"""Pressure, temperature and equivalence ratio at the inlet."""


class Burning(Protocol):
    """What sensors ask of a configuration, which has the state of the inlet by name as well."""

    @property
    def extent(self) -> tuple[tuple[float, float], ...]:
        """The ends of the domain."""

    @property
    def sought(self) -> Collection[str]:
        """The names of the parameters that are sought."""


@dataclass(frozen=True)
class InletSensors:
    """How the sensors of one problem are told and checked.

    Attributes:
        observed: the quantities.
        ends: the least and the largest of each state of the inlet, and words for it.
        default: quantities of a profile where none are named.
        wanted: what text of sensors looks like.
        states: what tells experiments apart, parameters by coordinate; other coordinates are zero.
        slack: how far places may lie below and above the domain, m.
    """

    observed: Observed
    ends: Mapping[str, tuple[float, float, str]]
    default: tuple[str, ...]
    wanted: str
    states: Mapping[str, str] = field(default_factory=lambda: INLET)
    slack: tuple[float, float] = (0.0, 0.0)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The quantities."""
        return self.observed.kinds

    def scale(self, name: str) -> float:
        """What data of a quantity are divided by, in its units."""
        return next(kind.scale for kind in self.kinds if kind.name == name)

    def parse(self, spec: str, config: Burning, nodes: Array) -> Sensors:
        """Sensors from text.

        Args:
            spec: the text.
            config: says the state of the inlet where the text does not.
            nodes: what ``all`` means, m.

        Raises:
            ConfigError: not understood.
        """
        if is_file(spec):
            return self._from_file(Path(spec), config)
        parts = [self._part(text, config, nodes, spec) for text in spec.split("+")]
        return {name: np.concatenate([p[name] for p in parts]) for name in self.observed.coords}

    def placed(
        self, spec: str, config: Burning, nodes: Array, check: Callable[[Sensors], None]
    ) -> Sensors:
        """Sensors from text that a flame has.

        Args:
            spec: the text.
            config: says the state of the inlet where the text does not.
            nodes: what ``all`` means, m.
            check: refuses those that it has not.

        Raises:
            ConfigError: not understood, or refused.
        """
        found = self.parse(spec, config, nodes)
        check_inside({"x": found["x"]}, self._reach(config))
        try:
            check(found)
        except DataSchemaError as error:
            raise ConfigError(str(error)) from None
        return found

    def _reach(self, config: Burning) -> tuple[tuple[float, float], ...]:
        """Between which places data may lie."""
        ((low, high),) = config.extent
        return ((low - self.slack[0], high + self.slack[1]),)

    def on_grid(self, name: str, config: Burning, shape: tuple[int, ...]) -> Sensors:
        """One quantity at the nodes of a grid on the domain, at the configured inlet.

        Raises:
            ConfigError: not one number, of at least two.
        """
        found = grid_nodes(config.extent, shape)
        number = float([kind.name for kind in self.kinds].index(name))
        return self.at_inlet(config, {KIND: np.full(found["x"].size, number), **found})

    def _part(self, text: str, config: Burning, nodes: Array, spec: str) -> Sensors:
        kind, _, rest = text.partition(":")
        if kind == "speed" and SPEED in [k.name for k in self.kinds]:
            return self._speeds(rest, config, spec)
        where, at, what = text.partition("@")
        names: Sequence[str] = what.split(",") if at else self.default
        known = {k.name: n for n, k in enumerate(self.kinds) if "x" in k.coords}
        wrong = [name for name in names if name not in known]
        if wrong or len(set(names)) < len(names):
            raise ConfigError(f"sensors '{spec}': '{what}' not understood; expected {self.wanted}")
        x = parse_places(where, config.extent, lambda: nodes[:, None], self.wanted)[:, 0]
        numbers = np.repeat([float(known[name]) for name in names], len(x))
        return self.at_inlet(config, {KIND: numbers, "x": np.tile(x, len(names))})

    def _speeds(self, text: str, config: Burning, spec: str) -> Sensors:
        own = float(getattr(config, INLET["phi"]))
        try:
            ratios = np.array([float(v) for v in text.split(",")] if text else [own])
        except ValueError:
            ratios = np.array([np.nan])
        if not np.isfinite(ratios).all():
            raise ConfigError(f"sensors '{spec}': expected speed:PHI,PHI,..., got '{text}'")
        number = float([kind.name for kind in self.kinds].index(SPEED))
        n = len(ratios)
        found = self.at_inlet(config, {KIND: np.full(n, number), "x": np.zeros(n)})
        return {**found, "phi": ratios}

    def at_inlet(self, config: Burning, own: Sensors) -> Sensors:
        """Sensors of the configured state of the inlet."""
        n = len(own[KIND])
        inlet = {short: np.full(n, value) for short, value in self._configured(config).items()}
        return {**own, **inlet}

    def _configured(self, config: Burning) -> dict[str, float]:
        """The configured state of the inlet, by coordinate."""
        others = set(self.observed.coords) - {KIND, "x"} - set(self.states)
        own = {short: getattr(config, name) for short, name in self.states.items()}
        return {**dict.fromkeys(others, 0.0), **own}

    def _from_file(self, path: Path, config: Burning) -> Sensors:
        """Sensors one by one, a row each.

        Raises:
            ConfigError: the file is not of this layout.
        """
        try:
            header, lines = read_table(path)
        except DataSchemaError as error:
            raise ConfigError(f"sensors: {error}") from None
        coords = self.observed.coords
        header = [{c.lower(): c for c in coords}.get(name, name) for name in header]
        if KIND not in header or not set(header) <= set(coords):
            raise ConfigError(
                f"sensors {path}: expected a header of {KIND}, x and, where they differ, "
                f"{', '.join(self.states)}; got {', '.join(header)}"
            )
        names = {k.name.lower(): float(n) for n, k in enumerate(self.kinds)}
        rows = [dict(zip(header, cells, strict=True)) for _, cells in lines]
        defaults = {"x": 0.0, **self._configured(config)}
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

    def check(self, config: Burning, sensors: Sensors) -> None:
        """Refuse sensors outside the domain, and states of the inlet that no flame has.

        Raises:
            DataSchemaError: names the first one.
        """
        coords = self.observed.coords
        columns = {name: np.asarray(sensors[name], dtype=np.float64) for name in coords}
        kinds = columns[KIND]
        known = np.isin(kinds, np.arange(len(self.kinds)))
        if not known.all():
            k = int(np.argmin(known))
            raise DataSchemaError(
                f"sensor {k} is of quantity {kinds[k]:g}; expected 0 to {len(self.kinds) - 1}"
            )
        places = columns["x"][:, None]
        reach = self._reach(config)
        bad = outside(places, reach)
        if len(bad):
            raise DataSchemaError(misplaced(f"sensor {bad[0]}", places[bad[0]], reach))
        self._check_inlet(config, columns)

    def _check_inlet(self, config: Burning, columns: dict[str, Array]) -> None:
        for short, name in self.states.items():
            (low, high, words), values = self.ends[short], columns[short]
            bad = np.flatnonzero(~((values >= low) & (values <= high)))
            if len(bad):
                raise DataSchemaError(
                    f"sensor {bad[0]}: {short} must be {words}; got {values[bad[0]]:g}"
                )
            given = getattr(config, name)
            if name in config.sought and not np.allclose(values, given, rtol=1e-9, atol=0):
                other = values[~np.isclose(values, given, rtol=1e-9, atol=0)][0]
                raise DataSchemaError(
                    f"{name} is sought, so that data must be of one inlet, that with {short} = "
                    f"{given:g}; got {other:g}"
                )


def conditions(sensors: Sensors) -> dict[Condition, NDArray[np.int64]]:
    """The data of each state of the inlet, by their numbers, in the order of their appearance."""
    table = np.stack([np.asarray(sensors[name], dtype=np.float64) for name in INLET], axis=1)
    found: dict[Condition, list[int]] = {}
    for i, row in enumerate(table.tolist()):
        found.setdefault(tuple(row), []).append(i)
    return {at: np.array(rows, dtype=np.int64) for at, rows in found.items()}
