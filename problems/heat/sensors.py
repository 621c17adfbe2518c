"""Sensors in space and time: from text, and as a linear map of the states of a run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.fem.nodal import NodalSpace
from pdeinv.io.sensor_table import csv_rows, numbers
from pdeinv.model.observed import Sensors
from pdeinv.typing import Array

__all__ = ["TimeSensors", "check_times", "parse_sensors", "product"]

_HELP = (
    "expected PLACES or PLACES@TIMES, places being grid:K, grid:KxL, all, list:x,y;x,y or a CSV "
    "file with header x,y or x,y,t, times being FIRST:LAST:COUNT or t,t,..."
)

Extent = tuple[tuple[float, float], ...]


def product(places: Array, times: Array) -> Sensors:
    """Every place (n, d) at every time, the times of one place behind each other."""
    columns = {
        axis: np.repeat(places[:, i], len(times)) for i, axis in enumerate("xyz"[: places.shape[1]])
    }
    return {**columns, "t": np.tile(times, len(places))}


def parse_sensors(spec: str, extent: Extent, nodes: Array, final: float) -> Sensors:
    """Sensors from text such as ``grid:9x9@0.1:1:10``.

    Args:
        spec: places and, behind an @, times; ten equidistant ones up to the end where not given.
        extent: ends of the domain along x, y, z.
        nodes: what ``all`` means, shape (n, d).
        final: the end of the run.

    Raises:
        ConfigError: the text is not understood.
    """
    where, at, when = spec.rpartition("@")
    if not at:
        where, when = spec, ""
    d = len(extent)
    path = Path(where)
    if path.is_file():
        header, rows = csv_rows(path, ["xyz"[:d], "xyz"[:d] + "t"])
        table = _table(rows, where, len(header))
        if table.shape[1] == d + 1:
            if at:
                raise ConfigError(f"sensors '{spec}': give the times once, in {where} or after @")
            names = (*"xyz"[:d], "t")
            return {name: table[:, i] for i, name in enumerate(names)}
        places = table
    else:
        places = _places(where, extent, nodes)
    return product(places, _times(when, final, spec))


def _places(where: str, extent: Extent, nodes: Array) -> Array:
    d = len(extent)
    if where == "all":
        return nodes
    kind, _, rest = where.partition(":")
    if kind == "grid":
        counts = rest.split("x")
        whole = all(re.fullmatch(r"[1-9]\d{0,3}", c) for c in counts)
        if not whole or len(counts) not in (1, d):
            example = "x".join(["9"] * d)
            raise ConfigError(f"sensors '{where}': expected grid:{example} or grid:9")
        return _inner(extent, [int(c) for c in counts] * (d if len(counts) == 1 else 1))
    if kind == "list":
        return _table([row.split(",") for row in rest.split(";")], where, d)
    raise ConfigError(f"sensors '{where}': not understood, and no such file; {_HELP}")


def _inner(extent: Extent, counts: list[int]) -> Array:
    """Points at i/(k + 1) along each axis, boundary left out, x fastest."""
    axes = [
        a + (b - a) * np.arange(1, k + 1) / (k + 1)
        for (a, b), k in zip(extent, counts, strict=True)
    ]
    grid = np.meshgrid(*axes[::-1], indexing="ij")[::-1]
    return np.stack([c.ravel() for c in grid], axis=1)


def _times(when: str, final: float, spec: str) -> Array:
    if not when:
        return final * np.arange(1, 11) / 10
    parts = when.split(":")
    try:
        if len(parts) == 3:
            return np.linspace(float(parts[0]), float(parts[1]), max(int(parts[2]), 1))
        if len(parts) == 1:
            return np.array([float(t) for t in when.split(",")])
    except ValueError:
        pass
    raise ConfigError(f"sensors '{spec}': times '{when}' not understood; {_HELP}")


def _table(rows: list[list[str]], where: str, width: int) -> Array:
    table = numbers(rows, {width})
    if table is None:
        raise ConfigError(f"sensors '{where}': expected rows of {width} numbers")
    return table


def check_times(t: Array, final: float) -> None:
    """Refuse times outside the run.

    Raises:
        DataSchemaError: names the first one.
    """
    bad = ~((t >= -1e-9 * final) & (t <= (1 + 1e-9) * final))
    if bad.any():
        k = int(np.flatnonzero(bad)[0])
        raise DataSchemaError(
            f"sensor {k} at t = {t[k]:g} lies outside the run [0, {final:g}]; remove it, or raise "
            "final in [problem.time]"
        )


@dataclass(frozen=True)
class TimeSensors:
    """d_k = u(place k, t_k), linear in time between the levels beside t_k.

    Attributes:
        evaluation: B from degrees of freedom to places, CSR.
        place: row of B of each datum, shape (n_d,).
        levels: time levels that are read, increasing.
        low: index into ``levels`` of the level at or before each datum.
        high: the same at or after it.
        part: where between the two the datum is, shape (n_d,).
    """

    evaluation: Any
    place: NDArray[np.int64]
    levels: NDArray[np.int64]
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    part: Array

    @classmethod
    def on(cls, space: NodalSpace, times: Array, sensors: Sensors) -> TimeSensors:
        """The sensors on one space and one set of time levels.

        Raises:
            DataSchemaError: a sensor lies outside the domain or the run.
        """
        check_times(sensors["t"], float(times[-1]))
        points = np.stack([sensors[a] for a in "xyz"[: space.mesh.dim]], axis=1)
        places, first, row = np.unique(points, axis=0, return_index=True, return_inverse=True)
        order = np.argsort(first)
        evaluation = space.evaluation(places[order])
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = np.arange(len(order))
        dt = float(times[1])
        exact = np.clip(sensors["t"] / dt, 0, len(times) - 1)
        near = np.rint(exact)
        exact = np.where(np.abs(exact - near) < 1e-9 * len(times), near, exact)
        low = np.floor(exact).astype(np.int64)
        high = np.ceil(exact).astype(np.int64)
        levels = np.unique(np.concatenate([low, high]))
        where = (np.searchsorted(levels, low), np.searchsorted(levels, high))
        return cls(evaluation, rank[row.ravel()], levels, *where, exact - low)

    @property
    def last(self) -> int:
        """The last time level that is read."""
        return int(self.levels[-1])

    def data(self, states: Any) -> Array:
        """The data of a run, an iterable of (n, u^n) up to :attr:`last`."""
        table = np.zeros((len(self.levels), self.evaluation.shape[0]))
        rows = {int(n): k for k, n in enumerate(self.levels)}
        for n, u in states:
            if n in rows:
                table[rows[n]] = self.evaluation @ u
        before, after = table[self.low, self.place], table[self.high, self.place]
        return np.asarray((1 - self.part) * before + self.part * after)

    def source(self, w: Array) -> Any:
        """The adjoint: w of shape (n_d,) to n ↦ ∂(w·d)/∂u^n."""
        table = np.zeros((len(self.levels), self.evaluation.shape[0]))
        np.add.at(table, (self.low, self.place), (1 - self.part) * w)
        np.add.at(table, (self.high, self.place), self.part * w)
        rows = {int(n): k for k, n in enumerate(self.levels)}
        back = self.evaluation.T.tocsr()

        def forcing(n: int) -> Array | None:
            return np.asarray(back @ table[rows[n]]) if n in rows else None

        return forcing
