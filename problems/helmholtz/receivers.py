"""Where and what is measured: receivers from text, one row per source, frequency and component."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.model.observed import Picked, Sensors
from pdeinv.model.sensors import listed, outside, parse_places, points_of
from pdeinv.typing import Array

from .config import HelmholtzConfig, Pml
from .incident import check_outside, count

__all__ = [
    "Rows",
    "check_places",
    "outward",
    "parse_receivers",
    "places_of",
    "product",
    "rows_of",
]

_HELP = {
    "field": "ring:N, ring:N:RADIUS, grid:KxL, all, list:x,y;x,y or a CSV file with header x,y",
    "normal-derivative": "boundary:N (points per side), list:x,y;x,y or a CSV file with header x,y",
    "far-field": "ring:N, list:DEGREES;DEGREES or a CSV file with header angle",
}


def places_of(config: HelmholtzConfig) -> tuple[str, ...]:
    """The coordinates that say where a receiver is."""
    return ("angle",) if config.measure == "far-field" else ("x", "y")


def parse_receivers(config: HelmholtzConfig, spec: str, nodes: Callable[[], Array]) -> Array:
    """Receivers from text, shape (r, 2), or (r, 1) for angles in degrees.

    Args:
        config: of the problem.
        spec: the text.
        nodes: what ``all`` means, shape (n, 2).

    Raises:
        ConfigError: the text is not understood.
    """
    kind, _, rest = spec.partition(":")
    if kind == "ring" and config.measure != "normal-derivative":
        return _ring(config, rest, spec)
    sides = config.measure == "normal-derivative"
    if kind == "boundary" and sides and re.fullmatch(r"[1-9]\d{0,3}", rest):
        return _sides(config.lengths, int(rest))
    if config.measure == "field":
        return parse_places(spec, config.extent, nodes, _HELP["field"])
    return listed(spec, places_of(config), _HELP[config.measure])


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


@dataclass(frozen=True)
class Rows:
    """The data of one frequency as a selection from (receiver, source) tables.

    Attributes:
        where: places of distinct receivers, shape (r, 2) or (r, 1).
        index: which data they are, shape (k,).
        picked: their entries in the table.
        n_sources: columns of the table.
    """

    where: Array
    index: NDArray[np.int64]
    picked: Picked
    n_sources: int

    @classmethod
    def of(cls, places: Array, sensors: Sensors, index: NDArray[np.int64], n: int) -> Rows:
        """The rows of some data, of ``n`` sources; places of all data, shape (n_d, 2 or 1)."""
        where, receiver = np.unique(places[index], axis=0, return_inverse=True)
        source: NDArray[np.int64] = np.zeros(len(index), dtype=np.int64)
        imaginary = np.zeros(len(index), dtype=bool)
        if "source" in sensors:
            source = sensors["source"][index].astype(np.int64)
            imaginary = sensors["component"][index] == 1
        return cls(where, index, Picked(receiver.ravel(), source, imaginary), n)

    def put(self, w: Array) -> NDArray[np.complex128]:
        """C with w·take(D) = Re Σ C D for every complex table D, of all data ``w``."""
        found = self.picked.put(w[self.index], (len(self.where), self.n_sources))
        return np.asarray(found, dtype=np.complex128)


def rows_of(config: HelmholtzConfig, sensors: Sensors) -> dict[int, Rows]:
    """The rows of each frequency that has data, by its index.

    Raises:
        DataSchemaError: a source, frequency or component that the problem has not.
    """
    places, n = points_of(sensors, places_of(config)), count(config)
    if config.static:
        return {0: Rows.of(places, sensors, np.arange(len(places)), n)}
    _check_label(sensors["source"], range(n), "source")
    _check_label(sensors["component"], range(2), "component")
    _check_label(sensors["frequency"], config.fs, "frequency")
    found = {}
    for i, f in enumerate(config.fs):
        index = np.flatnonzero(np.isclose(sensors["frequency"], f, rtol=1e-9, atol=0.0))
        if len(index):
            found[i] = Rows.of(places, sensors, index, n)
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


def check_places(config: HelmholtzConfig, places: Array, error: type[Exception]) -> None:
    """Refuse receivers in the absorbing layer or outside; angles are all good.

    Raises:
        Exception: of the kind ``error``; names the first such receiver.
    """
    if config.measure == "far-field":
        return
    if config.receivers == "integrate":
        check_outside(config, places, "sensor", error)
        return
    bad = outside(places, config.extent)
    if len(bad) == 0:
        return
    k, (lx, ly) = int(bad[0]), config.lengths
    width = config.truncation.width if isinstance(config.truncation, Pml) else 0.0
    beyond = np.maximum(-places[k], places[k] - np.asarray([lx, ly])).max()
    where = "in the absorbing layer (PML) around" if beyond <= width else "outside"
    raise error(
        f"sensor {k} at (x, y) = ({places[k, 0]:g}, {places[k, 1]:g}) lies {where} the "
        f"rectangle [0, {lx:g}] x [0, {ly:g}]; remove it or correct its coordinates"
    )


def outward(
    config: HelmholtzConfig, places: Array, error: type[Exception] = DataSchemaError
) -> Array:
    """The outward normal of the side that each place lies on, shape (n, 2).

    Raises:
        Exception: of the kind ``error``; a place lies on no side, or on a corner.
    """
    slack = 1e-9 * max(config.lengths)
    low = np.abs(places) <= slack
    high = np.abs(places - np.asarray(config.lengths)) <= slack
    normal = high.astype(np.float64) - low
    bad = np.flatnonzero(np.abs(normal).sum(axis=1) != 1)
    if len(bad):
        k = int(bad[0])
        raise error(
            f"sensor {k} at (x, y) = ({places[k, 0]:g}, {places[k, 1]:g}) lies on no side of the "
            "rectangle (or on a corner), where ∂u/∂n is measured; correct it"
        )
    return np.asarray(normal)
