"""One problem under test: built once, with the unknowns, models and fields that clauses share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np
import xarray as xr

from pdeinv.bayes.prior import Prior
from pdeinv.config import Config, parse
from pdeinv.errors import PdeinvError
from pdeinv.model.forward import ForwardModel
from pdeinv.model.observed import Sensors
from pdeinv.plugins.problem import Problem
from pdeinv.rng import stream
from pdeinv.typing import Array

__all__ = ["MOST_AXES", "PROTOCOL", "Case", "gap"]

PROTOCOL = "pdeinv.plugins.problem.Problem"

MOST_AXES = 3


def gap(a: Array, b: Array) -> float:
    """The largest difference relative to the largest value of ``b``; infinite where not finite."""
    if np.shape(a) != np.shape(b) or not (np.isfinite(a).all() and np.isfinite(b).all()):
        return math.inf
    return float(np.abs(a - b).max(initial=0.0) / max(np.abs(b).max(initial=0.0), 1e-300))


@dataclass(frozen=True)
class Case:
    """A class of problems with one configuration.

    Attributes:
        kind: the class.
        config: an instance of its ``Config``.
        registered: the name it is registered by; None where it is not.
        spec: text for sensors; None takes the problem's own.
    """

    kind: Any
    config: Config
    registered: str | None = None
    spec: str | None = None

    def rebuilt(self) -> Problem:
        """Another instance from plain data, as worker processes build theirs."""
        data = self.config.model_dump(mode="json")
        return cast(Problem, self.kind(parse(self.kind.Config, data, "problem")))

    @cached_property
    def problem(self) -> Problem:
        """The instance that most clauses share."""
        return cast(Problem, self.kind(self.config))

    @cached_property
    def prior(self) -> Prior:
        """Its prior."""
        return self.problem.prior()

    @cached_property
    def sensors(self) -> Sensors:
        """Where the data are."""
        spec = self.problem.default_sensors if self.spec is None else self.spec
        return self.problem.sensors(spec)

    @property
    def size(self) -> int:
        """The number of data."""
        return len(next(iter(self.sensors.values())))

    def rng(self, k: int = 0) -> np.random.Generator:
        """A stream of this kit."""
        return stream(0, "conformance", k)

    def xi(self, k: int = 0) -> Array:
        """A whitened unknown not far from the centre, shape (dim,)."""
        return 0.5 * self.rng(k).standard_normal(self.prior.dim)

    def m(self, k: int = 0) -> Array:
        """Its unknown, shape (n_m,)."""
        return self.prior.unwhiten(self.xi(k))

    @cached_property
    def _models(self) -> dict[int, ForwardModel]:
        return {}

    def model(self, level: int = 0) -> ForwardModel:
        """The forward model of a level, built once."""
        if level not in self._models:
            self._models[level] = self.problem.forward_model(self.sensors, level)
        return self._models[level]

    @cached_property
    def levels(self) -> tuple[int, int, int]:
        """Three meshes that follow each other: from -1 or, where that is too coarse, from 0."""
        try:
            self.model(-1)
        except PdeinvError:
            return 0, 1, 2
        return -1, 0, 1

    @cached_property
    def fields(self) -> xr.Dataset:
        """What ``solve`` gives at level 1."""
        return self.problem.solve(self.m(), 1)

    @cached_property
    def dims(self) -> tuple[int, ...]:
        """The numbers of axes that ``grid`` takes, of 1, 2 and 3."""
        return tuple(d for d in range(1, MOST_AXES + 1) if self._takes(d))

    def _takes(self, d: int) -> bool:
        try:
            self.problem.grid((3,) * d)
        except PdeinvError:
            return False
        return True

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a small grid, another length along each axis."""
        return tuple(4 + i for i in range(self.dims[0]))
