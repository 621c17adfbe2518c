"""Where and what is measured: receivers from text, one row per source, frequency and component."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.io.sensor_table import csv_rows, numbers
from pdeinv.model.observed import Sensors
from pdeinv.typing import Array

from .config import HelmholtzConfig
from .incident import count

__all__ = ["Rows", "outward", "parse_receivers", "places_of", "product", "rows_of"]

_HELP = {
    "field": "ring:N, ring:N:RADIUS, grid:KxL, all, list:x,y;x,y or a CSV file with header x,y",
    "normal-derivative": "boundary:N (points per side), list:x,y;x,y or a CSV file with header x,y",
    "far-field": "ring:N, list:DEGREES;DEGREES or a CSV file with header angle",
}


def places_of(config: HelmholtzConfig) -> tuple[str, ...]:
    """The coordinates that say where a receiver is."""
    return ("angle",) if config.measure == "far-field" else ("x", "y")


def parse_receivers(config: HelmholtzConfig, spec: str, nodes: Array) -> Array:
    """Receivers from text, shape (r, 2), or (r, 1) for angles in degrees.

    Args:
        config: of the problem.
        spec: the text.
        nodes: what ``all`` means, shape (n, 2).

    Raises:
        ConfigError: the text is not understood.
    """
    kind, _, rest = spec.partition(":")
    far, sides = (config.measure == m for m in ("far-field", "normal-derivative"))
    if kind == "list":
        return _columns([pair.split(",") for pair in rest.split(";")], spec, config)
    if kind == "ring" and not sides:
        return _ring(config, rest, spec)
    if kind == "boundary" and sides and re.fullmatch(r"[1-9]\d{0,3}", rest):
        return _sides(config.lengths, int(rest))
    grid = re.fullmatch(r"([1-9]\d{0,3})x([1-9]\d{0,3})", rest) if kind == "grid" else None
    if grid is not None and not far and not sides:
        lengths = zip(config.lengths, (int(grid[1]), int(grid[2])), strict=True)
        x, y = (length * np.arange(1, n + 1) / (n + 1) for length, n in lengths)
        return np.stack([a.ravel() for a in np.meshgrid(x, y)], axis=1)
    if spec == "all" and not far and not sides:
        return nodes
    if Path(spec).is_file():
        return _columns(csv_rows(Path(spec), [places_of(config)])[1], spec, config)
    raise ConfigError(f"sensors '{spec}': not understood; expected {_HELP[config.measure]}")


def _ring(config: HelmholtzConfig, text: str, spec: str) -> Array:
    found = re.fullmatch(r"([1-9]\d{0,4})(?::([\d.eE+-]+))?", text)
    try:
        n = int(found[1]) if found else 0
        radius = float(found[2]) if found and found[2] else 0.45 * min(config.lengths)
    except ValueError:
        n = 0
    if n == 0 or radius <= 0:
        raise ConfigError(f"sensors '{spec}': expected ring:N or ring:N:RADIUS such as ring:32:0.4")
    angle = 360.0 * np.arange(n) / n
    if config.measure == "far-field":
        return angle[:, None]
    phi = np.deg2rad(angle)
    return np.asarray(config.lengths) / 2 + radius * np.stack([np.cos(phi), np.sin(phi)], axis=1)


def _sides(lengths: tuple[float, float], n: int) -> Array:
    """Points at (i + ½)/n of each side: left, right, bottom, top."""
    lx, ly = lengths
    t = (np.arange(n) + 0.5) / n
    zero = np.zeros(n)
    sides = [(zero, ly * t), (zero + lx, ly * t), (lx * t, zero), (lx * t, zero + ly)]
    return np.concatenate([np.stack(s, axis=1) for s in sides])


def _columns(rows: list[list[str]], where: str, config: HelmholtzConfig) -> Array:
    names = places_of(config)
    table = numbers(rows, {len(names)})
    if table is None:
        raise ConfigError(f"sensors '{where}': expected rows of finite numbers {','.join(names)}")
    return table


def product(config: HelmholtzConfig, places: Array) -> Sensors:
    """One row per frequency, source, receiver and component, the last fastest."""
    columns = dict(zip(places_of(config), places.T, strict=True))
    if config.static:
        return columns
    f, s, r, c = (
        a.ravel()
        for a in np.meshgrid(
            np.asarray(config.fs), np.arange(count(config)), np.arange(len(places)), np.arange(2),
            indexing="ij",
        )
    )  # fmt: skip
    rows = {name: column[r] for name, column in columns.items()}
    labels = {"source": s.astype(np.float64), "frequency": f, "component": c.astype(np.float64)}
    return {**rows, **labels}


class Rows:
    """The data of one frequency as a selection from (receiver, source) matrices.

    Attributes:
        where: places of distinct receivers, shape (r, 2) or (r, 1).
        index: which data they are, shape (k,).
        receiver: row of each datum.
        source: column of each datum.
        imaginary: whether it is the imaginary part.
        n_sources: columns.
    """

    def __init__(self, places: Array, sensors: Sensors, index: Any, n_sources: int) -> None:
        self.index, self.n_sources = index, n_sources
        self.where, receiver = np.unique(places[index], axis=0, return_inverse=True)
        self.receiver = receiver.ravel()
        self.source: NDArray[np.int64] = np.zeros(len(index), dtype=np.int64)
        self.imaginary = np.zeros(len(index), dtype=bool)
        if "source" in sensors:
            self.source = sensors["source"][index].astype(np.int64)
            self.imaginary = sensors["component"][index] == 1

    def take(self, matrix: Any) -> Array:
        """The data out of complex predictions (r, s)."""
        chosen = matrix[self.receiver, self.source]
        return np.asarray(np.where(self.imaginary, chosen.imag, chosen.real))

    def put(self, w: Array) -> NDArray[np.complex128]:
        """C with w·take(D) = Re Σ C D for every complex D, shape (r, s)."""
        out = np.zeros((len(self.where), self.n_sources), dtype=np.complex128)
        part = np.where(self.imaginary, -1j * w[self.index], w[self.index])
        np.add.at(out, (self.receiver, self.source), part)
        return out


def rows_of(config: HelmholtzConfig, sensors: Sensors) -> dict[int, Rows]:
    """The rows of each frequency that has data, by its index.

    Raises:
        DataSchemaError: a source, frequency or component that the problem has not.
    """
    places = np.stack([np.asarray(sensors[n], dtype=np.float64) for n in places_of(config)], axis=1)
    n = count(config)
    if config.static:
        return {0: Rows(places, sensors, np.arange(len(places)), n)}
    _check_label(sensors["source"], range(n), "source")
    _check_label(sensors["component"], range(2), "component")
    _check_label(sensors["frequency"], config.fs, "frequency")
    found = {}
    for i, f in enumerate(config.fs):
        index = np.flatnonzero(np.isclose(sensors["frequency"], f, rtol=1e-9, atol=0.0))
        if len(index):
            found[i] = Rows(places, sensors, index, n)
    return found


def _check_label(values: Array, known: Sequence[float], name: str) -> None:
    good = np.isclose(np.asarray(values)[:, None], np.asarray(known), rtol=1e-9, atol=0.0).any(
        axis=1
    )
    if not good.all():
        k = int(np.flatnonzero(~good)[0])
        has = ", ".join(f"{v:g}" for v in known[:8]) + (" ..." if len(known) > 8 else "")
        raise DataSchemaError(
            f"datum {k} has {name} {values[k]:g}, the problem has {has}; correct the file or "
            "the configuration"
        )


def outward(config: HelmholtzConfig, places: Array) -> Array:
    """The outward normal of the side that each place lies on, shape (n, 2).

    Raises:
        DataSchemaError: a place lies on no side, or on a corner.
    """
    slack = 1e-9 * max(config.lengths)
    low = np.abs(places) <= slack
    high = np.abs(places - np.asarray(config.lengths)) <= slack
    normal = high.astype(np.float64) - low
    bad = np.flatnonzero(np.abs(normal).sum(axis=1) != 1)
    if len(bad):
        k = int(bad[0])
        raise DataSchemaError(
            f"sensor {k} at (x, y) = ({places[k, 0]:g}, {places[k, 1]:g}) lies on no side of the "
            "rectangle (or on a corner), where ∂u/∂n is measured; correct it"
        )
    return np.asarray(normal)
