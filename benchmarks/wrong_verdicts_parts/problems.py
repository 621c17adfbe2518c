"""Inverse problems of which the posterior is known, each with data of its own for every seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import pdeinv
from pdeinv.rng import stream
from pdeinv.typing import Array

__all__ = ["PROBLEMS", "Finite", "Toy"]

TIMES = np.linspace(0.25, 3, 12)


@dataclass(frozen=True)
class Finite:
    """Darcy flow, data from a mesh twice as fine."""

    unknown: dict[str, Any]
    sensors: str
    noise: float
    cells: int = 16

    def data(self, seed: int) -> Any:
        """Observations of a truth drawn from the prior."""
        problem = pdeinv.problem("darcy", cells=self.cells, unknown=self.unknown)
        truth = pdeinv.solve(problem, seed=seed)
        return pdeinv.observe(truth, sensors=self.sensors, noise_rel=self.noise, seed=1000 + seed)

    def arguments(self, seed: int) -> dict[str, Any]:
        """What ``pdeinv.invert`` needs."""
        return {"observations": self.data(seed)}


@dataclass(frozen=True)
class Toy:
    """Two unknowns ~ N(0, 1) and a function, small enough for quadrature."""

    forward: Callable[[Array], Array]
    sigma: tuple[float, ...]
    truth: tuple[float, float] | None = None
    model: list[Any] = field(default_factory=list)

    def numbers(self, seed: int) -> tuple[Array, Array]:
        """Data and σ."""
        rng = stream(seed, "toy data")
        truth = rng.standard_normal(2) if self.truth is None else np.array(self.truth)
        sigma = np.array(self.sigma)
        return self.forward(truth) + sigma * rng.standard_normal(len(sigma)), sigma

    def arguments(self, seed: int) -> dict[str, Any]:
        """What ``pdeinv.invert`` needs."""
        if not self.model:
            prior = pdeinv.priors.normal("m", mean=np.zeros(2), std=1.0)
            own = pdeinv.own_model(self.forward, prior=prior, gradient="finite-difference")
            self.model.append(own)
        return {"observations": self.numbers(seed), "model": self.model[0]}


def banana(m: Array) -> Array:
    """A curved ridge."""
    return np.array([m[0], 3 * (m[1] - m[0] ** 2)])


def mirror(m: Array) -> Array:
    """Two modes, at m and with the sign of m[0] turned."""
    return np.array([m[0] ** 2, m[1]])


def kink(m: Array) -> Array:
    """A most probable point at which no gradient vanishes."""
    return np.array([10 * abs(m[0] - 0.3) + 0.5, m[1]])


def waves(m: Array) -> Array:
    """A wave of unknown frequency: many side minima that do not explain the data."""
    return np.asarray(np.exp(0.2 * m[1]) * np.sin(np.multiply.outer(TIMES, 4 + 2 * m[0])))


def cells(*counts: int, std: float = 1.0) -> dict[str, Any]:
    """A piecewise constant log-normal conductivity."""
    return {"kind": "piecewise", "cells": list(counts), "std": std}


def modes(n: int, std: float = 1.0) -> dict[str, Any]:
    """A log-Gaussian conductivity in so many Karhunen-Loève modes."""
    return {"kind": "log-gaussian", "modes": n, "grid": [17, 17], "std": std}


PROBLEMS: dict[str, Finite | Toy] = {
    "Darcy, 6 modes": Finite(modes(6), "grid:5x5", 0.01),
    "Darcy, 8 modes": Finite(modes(8), "grid:7x7", 0.02),
    "Darcy, 8 modes, 10 % noise": Finite(modes(8), "grid:7x7", 0.1),
    "Darcy, 16 modes": Finite(modes(16), "grid:9x9", 0.02),
    "Darcy, 16 modes, ln-sd 2": Finite(modes(16, 2.0), "grid:5x5", 0.01),
    "Darcy, 16 modes, 0.01 % noise": Finite(modes(16), "grid:7x7", 1e-4),
    "Darcy, 2 x 2 cells": Finite(cells(2, 2), "grid:5x5", 0.02),
    "Darcy, 2 x 2 cells, ln-sd 2, 20 % noise": Finite(cells(2, 2, std=2.0), "grid:3x3", 0.2),
    "Darcy, 5 x 4 cells": Finite(cells(5, 4), "grid:7x7", 0.02, cells=20),
    "Darcy, 7 x 7 cells": Finite(cells(7, 7), "grid:9x9", 0.02, cells=28),
    "Darcy, 5 x 3 uneven cells, ln-sd 2": Finite(cells(5, 3, std=2.0), "grid:9x9", 0.01),
    "Darcy, 9 x 9 cells": Finite(cells(9, 9), "grid:9x9", 0.01, cells=36),
    "banana": Toy(banana, (1.0, 0.1)),
    "waves": Toy(waves, (0.1,) * 12),
    "two modes": Toy(mirror, (0.1, 0.1), (0.9, 0.2)),
    "kink": Toy(kink, (1.0, 1.0), (0.3, 0.0)),
}  # fmt: skip
