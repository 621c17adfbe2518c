"""Bodies and currents of ``eit_learned.py``, and the nodes where their images are judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pdeinv.model.multilinear import multilinear
from pdeinv.plugins.recipe import make_problem

__all__ = ["NODES", "PROTOCOLS", "Protocol"]

NODES = 32
BODY = {
    "model": "continuum",
    "map": "dirichlet-to-neumann",
    "difference": True,
    "reference": 1.0,
}
DISC = {**BODY, "modes": 16, "cells": 16}
SQUARE = {**BODY, "modes": 10, "cells": 32, "domain": {"kind": "rectangle", "lengths": [1.0, 1.0]}}
SMOOTH = {"kind": "log-gaussian", "grid": [33, 33], "std": 0.5, "length": 0.3, "smoothness": 3.5}


def polar() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Nodes of a polar grid of the unit disc; weights by area, and even ones."""
    r = (np.arange(NODES) + 0.5) / NODES
    theta = 2 * np.pi * np.arange(NODES) / NODES
    rr, tt = (a.ravel() for a in np.meshgrid(r, theta))
    places = np.stack([rr * np.cos(tt), rr * np.sin(tt)], axis=1)
    return places, {"area": rr, "polar": np.ones_like(rr)}


def cells() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Centres of even cells of the square, which weigh the same."""
    axis = (np.arange(NODES) + 0.5) / NODES - 0.5
    x, y = (a.ravel() for a in np.meshgrid(axis, axis))
    return np.stack([x, y], axis=1), {"area": np.ones_like(x)}


@dataclass(frozen=True)
class Protocol:
    """A body with its currents and the law of its conductivities.

    Attributes:
        prefix: of its rows and files; rows of the disc have none.
        body: table of the problem without the unknown.
        law: the unknown that training and tests are drawn from.
        field: the unknown of engines that search.
        half: images are of [-half, half] along each axis.
        judged: nodes (n, 2) and weights (n,) of errors, by name.
        classical: engines that see the first few cases, with their tables.
    """

    prefix: str
    body: Mapping[str, Any]
    law: Mapping[str, Any]
    field: Mapping[str, Any]
    half: float
    judged: Callable[[], tuple[np.ndarray, dict[str, np.ndarray]]]
    classical: Mapping[str, Mapping[str, Any]]

    @property
    def training(self) -> dict[str, Any]:
        """The problem's table of trainings and tests."""
        return {**self.body, "unknown": self.law}

    @property
    def searched(self) -> dict[str, Any]:
        """The problem's table of engines that search a field."""
        return {**self.body, "unknown": self.field}

    @property
    def functions(self) -> int:
        """Boundary functions."""
        return 2 * int(self.body["modes"])

    @cached_property
    def places(self) -> np.ndarray:
        """Where errors are taken, shape (n, 2)."""
        return self.judged()[0]

    def errors(self, found: np.ndarray, truth: np.ndarray) -> dict[str, float]:
        """Median relative errors of images (cases, n) in percent."""
        said = {}
        for name, weight in self.judged()[1].items():
            off, size = found - truth, truth
            l1 = (np.abs(off) @ weight) / (np.abs(size) @ weight)
            l2 = np.sqrt((off**2 @ weight) / (size**2 @ weight))
            said |= {f"l1_{name}": round(100 * float(np.median(l1)), 2),
                     f"l2_{name}": round(100 * float(np.median(l2)), 2)}  # fmt: skip
        return said

    def from_grid(self, count: int) -> Any:
        """The matrix from ``count`` even nodes along each axis to the judged ones."""
        nodes = np.linspace(-self.half, self.half, count)
        return multilinear([nodes, nodes], self.places)

    def truths(self, unknown: Mapping[str, Any], ms: np.ndarray) -> np.ndarray:
        """Conductivities at the judged nodes."""
        at = make_problem("eit", {**self.body, "unknown": unknown}).unknown.conductivity.at(
            self.places
        )
        return np.stack([at(m) for m in ms])


GAUSS_NEWTON = {"name": "gauss-newton", "regularization": "tv", "positivity": "log",
                "reference": 1.0, "steps": 12}  # fmt: skip
PROTOCOLS = {
    "chests": Protocol(
        "", DISC, {"kind": "heart-and-lungs"},
        {"kind": "log-gaussian", "grid": [33, 33], "std": 0.4, "length": 0.5}, 1.0, polar,
        {"Gauss-Newton, tv": GAUSS_NEWTON, "D-bar": {"name": "d-bar"}},
    ),
    "trigonometric": Protocol(
        "trigonometric, ", SQUARE, SMOOTH, SMOOTH, 0.5, cells, {"Gauss-Newton, tv": GAUSS_NEWTON}
    ),
}  # fmt: skip
