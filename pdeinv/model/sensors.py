"""Sensors from text: places in an interval, a rectangle or a box, and times.

``grid:9x9`` (or ``grid:9``) means inner points of the box that lie in the domain, ``all`` the nodes
of the mesh,
``list:0.1,0.2;0.3,0.4`` places one by one; anything else is the path of a CSV file with a header.
Behind an ``@``, where the data have times, ``0.1:1:10`` or ``0.1,0.5`` says when.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.memory import check_fits
from pdeinv.model.observed import Sensors
from pdeinv.text_table import read_table
from pdeinv.typing import Array

__all__ = [
    "AXES",
    "Extent",
    "Inside",
    "check_inside",
    "check_times",
    "columns",
    "grid_nodes",
    "is_file",
    "listed",
    "misplaced",
    "outside",
    "parse_places",
    "parse_timed",
    "place_help",
    "points_of",
]

Extent = tuple[tuple[float, float], ...]
Inside = Callable[[Array], NDArray[np.bool_]]
"""Which of the points (n, d) lie in a domain, shape (n,)."""
AXES = ("x", "y", "z")

MOST_ALONG, MOST_TIMES = 9999, 10_000_000
"""Of places along a side, and of times."""


def columns(points: Array) -> dict[str, Array]:
    """Points (n, d) as one array per coordinate."""
    return {axis: points[:, i] for i, axis in enumerate(AXES[: points.shape[1]])}


def points_of(sensors: Sensors, names: Sequence[str]) -> Array:
    """The coordinates of some names side by side, shape (n, len(names))."""
    return np.stack([np.asarray(sensors[a], dtype=np.float64) for a in names], axis=1)


def _product(axes: Sequence[Array]) -> Array:
    """All points of a grid with these coordinates along x, y, z; x fastest, shape (n, d)."""
    mesh = np.meshgrid(*axes[::-1], indexing="ij")[::-1]
    return np.stack([c.ravel() for c in mesh], axis=1)


def grid_nodes(extent: Extent, shape: tuple[int, ...]) -> dict[str, Array]:
    """The nodes of a grid of ``shape`` (along (z,) y, x) on a box, boundary included, row-major.

    Raises:
        ConfigError: not as many numbers, of at least two, as the box has dimensions.
    """
    if len(shape) != len(extent) or min(shape) < 2:
        raise ConfigError(f"grid shape: expected {len(extent)} numbers of at least 2, got {shape}")
    size = 16 * len(extent) * math.prod(shape)
    check_fits(f"grid shape: the nodes of {shape}", size, "take a coarser grid")
    ends = zip(extent, shape[::-1], strict=True)
    return columns(_product([np.linspace(a, b, n) for (a, b), n in ends]))


def place_help(d: int) -> str:
    """What the text of places may be, in words, for a domain of ``d`` dimensions."""
    names = ",".join(AXES[:d])
    grid = "x".join("KLM"[:d])
    return f"grid:{grid}, all, list:{names};{names} or a CSV file with header {names}"


def parse_places(
    spec: str,
    extent: Extent,
    nodes: Callable[[], Array],
    wanted: str | None = None,
    inside: Inside | None = None,
) -> Array:
    """Places from text, shape (n, d).

    Args:
        spec: the text.
        extent: ends of the box along x, y, z.
        nodes: what ``all`` means, shape (n, d).
        wanted: what is expected, for messages; :func:`place_help` where None.
        inside: what of the box belongs to the domain, for ``grid:``; all of it where None.

    Raises:
        ConfigError: the text is not understood, or no point of the grid lies in the domain.
    """
    if spec == "all":
        return nodes()
    d = len(extent)
    if spec.partition(":")[0] != "grid":
        return listed(spec, AXES[:d], wanted or place_help(d))
    found = _grid(spec, extent)
    found = found if inside is None else found[inside(found)]
    if len(found) == 0:
        raise ConfigError(f"sensors '{spec}': no point of it lies in the domain; take a finer grid")
    return found


def _grid(spec: str, extent: Extent) -> Array:
    """Inner points at i/(k + 1) of each side of the box."""
    d, counts = len(extent), spec.removeprefix("grid:").split("x")
    if len(counts) not in (1, d) or not all(re.fullmatch(r"[1-9]\d{0,17}", c) for c in counts):
        name, example = "x".join("KLM"[:d]), "x".join(["9"] * d)
        raise ConfigError(f"sensors '{spec}': expected grid:{name} such as grid:{example}")
    if max(map(int, counts)) > MOST_ALONG:
        raise ConfigError(
            f"sensors '{spec}': expected at most {MOST_ALONG} places along a side; take fewer"
        )
    ends = zip(extent, counts * (d if len(counts) == 1 else 1), strict=True)
    steps = [(a, b, int(c)) for (a, b), c in ends]
    n = math.prod(k for _, _, k in steps)
    check_fits(f"sensors '{spec}': {n:.3g} places", 16 * d * n, "take a coarser grid")
    return _product([a + (b - a) * np.arange(1, k + 1) / (k + 1) for a, b, k in steps])


def is_file(text: str) -> bool:
    """Whether the text names a file; a long list of places is no name that a file can have."""
    try:
        return Path(text).is_file()
    except OSError:
        return False


def listed(spec: str, names: Sequence[str], wanted: str) -> Array:
    """Rows of numbers from ``list:a,b;a,b`` or a CSV file with these names as its header.

    Raises:
        ConfigError: the text is not understood; says what is ``wanted``.
    """
    kind, _, rest = spec.partition(":")
    if kind == "list":
        return _table([row.split(",") for row in rest.split(";")], spec, names)
    if not is_file(spec):
        raise ConfigError(f"sensors '{spec}': not understood, and no such file; expected {wanted}")
    return _table(_csv_rows(Path(spec), [names])[1], spec, names)


def _csv_rows(path: Path, headers: Sequence[Sequence[str]]) -> tuple[list[str], list[list[str]]]:
    """The header of a CSV file, one of ``headers`` in any order of columns, and its other rows.

    Both are given in the order of ``headers``.
    """
    try:
        header, lines = read_table(path)
    except DataSchemaError as error:
        raise ConfigError(f"sensors: {error}") from None
    names = next((list(h) for h in headers if sorted(h) == sorted(header)), None)
    if names is None:
        wanted = " or ".join(",".join(h) for h in headers)
        raise ConfigError(
            f"sensors {path}: expected a CSV file with header {wanted}, got {','.join(header)}"
        )
    order = [header.index(name) for name in names]
    return names, [[cells[i] for i in order] for _, cells in lines]


def _table(rows: list[list[str]], where: str, names: Sequence[str]) -> Array:
    try:
        table = np.array([[float(value) for value in row] for row in rows])
    except ValueError:
        table = np.zeros(0)
    if table.ndim != 2 or table.shape[1] != len(names) or not np.isfinite(table).all():
        raise ConfigError(f"sensors '{where}': expected rows of finite numbers {','.join(names)}")
    return table


def parse_timed(
    spec: str,
    extent: Extent,
    nodes: Callable[[], Array],
    final: float,
    inside: Inside | None = None,
) -> Sensors:
    """Every place at every time from ``PLACES@TIMES``, the times of one place behind each other.

    Args:
        spec: the text; ten equidistant times up to the end where none are given.
        extent: ends of the box along x, y, z.
        nodes: what ``all`` means, shape (n, d).
        final: the end of the run.
        inside: as for :func:`parse_places`.

    Raises:
        ConfigError: the text is not understood.
    """
    d = len(extent)
    wanted = (
        f"PLACES or PLACES@TIMES, places being {place_help(d)} or {','.join(AXES[:d])},t, times "
        "being FIRST:LAST:COUNT or t,t,..."
    )
    where, at, when = spec.rpartition("@")
    if not at:
        where, when = spec, ""
    if is_file(where):
        names = AXES[:d]
        header, rows = _csv_rows(Path(where), [names, (*names, "t")])
        table = _table(rows, where, header)
        if len(header) > d:
            if at:
                raise ConfigError(f"sensors '{spec}': give the times once, in {where} or after @")
            return {**columns(table[:, :d]), "t": table[:, d]}
        places = table
    else:
        places = parse_places(where, extent, nodes, wanted, inside)
    times = final * np.arange(1, 11) / 10 if not when else _times(when, spec, wanted)
    found = {axis: np.repeat(column, len(times)) for axis, column in columns(places).items()}
    return {**found, "t": np.tile(times, len(places))}


def _once(times: Array, spec: str) -> Array:
    """The times, each of which is named once: a datum that is there twice would count twice."""
    if len(np.unique(times)) < len(times):
        raise ConfigError(f"sensors '{spec}': a time is there twice; name each once")
    return times


def _times(when: str, spec: str, wanted: str) -> Array:
    parts = when.split(":")
    with suppress(ValueError):
        if len(parts) == 3 and int(parts[2]) > 0:
            first, last, n = float(parts[0]), float(parts[1]), int(parts[2])
            if n > MOST_TIMES:
                raise ConfigError(
                    f"sensors '{spec}': expected at most {MOST_TIMES} times, got {n}; take fewer"
                )
            return _once(np.linspace(first, last, n), spec)
        if len(parts) == 1:
            return _once(np.array([float(t) for t in when.split(",")]), spec)
    raise ConfigError(f"sensors '{spec}': times '{when}' not understood; expected {wanted}")


def outside(places: Array, extent: Extent) -> NDArray[np.int64]:
    """Which of the places (n, d) lie outside a box by more than rounding."""
    low, high = np.asarray(extent).T
    slack = 1e-9 * float((high - low).max())
    inside = ((places >= low - slack) & (places <= high + slack)).all(axis=1)
    return np.flatnonzero(~inside)


def check_inside(sensors: Sensors, extent: Extent) -> None:
    """Refuse places outside the bounding box; the solver checks the rest of the domain.

    Raises:
        ConfigError: names the first one.
    """
    places = points_of(sensors, AXES[: len(extent)])
    bad = outside(places, extent)
    if len(bad):
        raise ConfigError(misplaced(f"sensor {bad[0]}", places[bad[0]], extent))


def misplaced(what: str, place: Array, extent: Extent) -> str:
    """What to tell of a place (d,) that is outside the domain."""
    at, names = ", ".join(f"{v:g}" for v in place), ", ".join(AXES[: len(place)])
    box = " x ".join(f"[{a:g}, {b:g}]" for a, b in extent)
    return (
        f"{what} at ({names}) = ({at}) lies outside the domain {box}; remove it or correct its "
        "coordinates"
    )


def check_times(t: Array, final: float, error: type[Exception] = DataSchemaError) -> None:
    """Refuse times outside the run.

    Raises:
        Exception: of the kind ``error``; names the first one.
    """
    bad = np.flatnonzero(~((t >= -1e-9 * final) & (t <= (1 + 1e-9) * final)))
    if len(bad):
        k = int(bad[0])
        raise error(
            f"sensor {k} at t = {t[k]:g} lies outside the run [0, {final:g}]; remove it, or raise "
            "final in [problem.time]"
        )
