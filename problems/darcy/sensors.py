"""Sensor places from text."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from pdeinv.errors import ConfigError
from pdeinv.io.sensor_table import csv_rows, numbers
from pdeinv.model.observed import Sensors
from pdeinv.typing import Array

__all__ = ["grid_points", "inner_grid", "parse_sensors"]

_HELP = "expected grid:KxL, all, list:x,y;x,y or the path of a CSV file with header x,y"

Box = tuple[float, float, float, float]


def _pair(x: Array, y: Array) -> Sensors:
    return {"x": np.asarray(x, dtype=np.float64), "y": np.asarray(y, dtype=np.float64)}


def inner_grid(box: Box, kx: int, ky: int) -> Sensors:
    """Points at i/(kx + 1), j/(ky + 1) of a box, boundary left out, x fastest."""
    x0, x1, y0, y1 = box
    x = x0 + (x1 - x0) * np.arange(1, kx + 1) / (kx + 1)
    y = y0 + (y1 - y0) * np.arange(1, ky + 1) / (ky + 1)
    xx, yy = np.meshgrid(x, y)
    return _pair(xx.ravel(), yy.ravel())


def grid_points(box: Box, shape: tuple[int, ...]) -> Sensors:
    """The nodes of a grid of ``shape`` (along y, along x), boundary included, row-major.

    Raises:
        ConfigError: not two numbers of at least two nodes.
    """
    if len(shape) != 2 or min(shape) < 2:
        raise ConfigError(f"grid shape: expected two numbers (y, x) of at least 2, got {shape}")
    x0, x1, y0, y1 = box
    xx, yy = np.meshgrid(np.linspace(x0, x1, shape[1]), np.linspace(y0, y1, shape[0]))
    return _pair(xx.ravel(), yy.ravel())


def parse_sensors(spec: str, box: Box, nodes: Array) -> Sensors:
    """Sensors from ``grid:KxL``, ``all``, ``list:x,y;x,y`` or the path of a CSV file.

    Args:
        spec: the text; K counts along x, L along y.
        box: (x_min, x_max, y_min, y_max) of the domain.
        nodes: what ``all`` means, shape (n, 2).

    Raises:
        ConfigError: the text is not understood.
    """
    if spec == "all":
        return _pair(nodes[:, 0], nodes[:, 1])
    kind, _, rest = spec.partition(":")
    if kind == "grid":
        found = re.fullmatch(r"(\d{1,4})x(\d{1,4})", rest)
        if found is None or "0" in (found[1], found[2]):
            raise ConfigError(f"sensors '{spec}': expected grid:KxL such as grid:13x13")
        return inner_grid(box, int(found[1]), int(found[2]))
    if kind == "list":
        return _columns([pair.split(",") for pair in rest.split(";")], spec)
    if Path(spec).is_file():
        return _columns(csv_rows(Path(spec), [("x", "y")])[1], spec)
    raise ConfigError(f"sensors '{spec}': not understood, and no such file; {_HELP}")


def _columns(rows: list[list[str]], where: str) -> Sensors:
    table = numbers(rows, {2})
    if table is None:
        raise ConfigError(f"sensors '{where}': expected pairs of numbers x,y")
    return _pair(table[:, 0], table[:, 1])
