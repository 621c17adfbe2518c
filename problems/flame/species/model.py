"""The forward model: parameters of flames to speeds and profiles, with its derivative."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pdeinv.model.observed import Sensors
from pdeinv.model.reference import ReferenceModel
from pdeinv.model.spaces import Space
from pdeinv.typing import Array

from ..bordered_bands import BorderedBands
from ..inlet_sensors import INLET, KIND, Condition, conditions
from .config import SpeciesConfig
from .continuation import Continuation
from .equations import Equations, Flame
from .flames import continuation
from .parameters import NAMES, Parameters
from .readings import Reading, read
from .unknown import columns, parameters

__all__ = ["Experiment", "Solved", "SpeciesModel"]


@dataclass(frozen=True)
class Experiment:
    """The data of one state of the inlet.

    Attributes:
        rows: which of all data they are.
        where: quantities and places of each.
        fixed: the state of the inlet but for what is sought of it.
        solve: parameters to a flame.
    """

    rows: NDArray[np.int64]
    where: tuple[Array, Array]
    fixed: Mapping[str, float]
    solve: Continuation

    @classmethod
    def of(
        cls,
        config: SpeciesConfig,
        level: int,
        at: Condition,
        rows: NDArray[np.int64],
        sensors: Sensors,
    ) -> Experiment:
        """The data at some rows of the sensors.

        Raises:
            ConfigError: there is no flame in the middle of the priors.
        """
        sought = config.sought
        fixed = {n: v for n, v in zip(INLET.values(), at, strict=True) if n not in sought}
        where = (np.asarray(sensors[KIND])[rows], np.asarray(sensors["x"], dtype=np.float64)[rows])
        known = continuation(config, level, replace(config.centre, **fixed))
        return cls(rows, where, fixed, known)

    def solved(self, at: Parameters) -> Solved:
        """The flame of parameters, at this state of the inlet.

        Raises:
            SolverDiverged: there is none.
        """
        own = replace(at, **self.fixed)
        return Solved(self.solve.equations, own, self.solve(own))


@dataclass(frozen=True)
class Solved:
    """A flame with the factor of its equations.

    Attributes:
        equations: that it solves.
        at: its parameters.
        flame: the solution.
    """

    equations: Equations
    at: Parameters
    flame: Flame

    @cached_property
    def factor(self) -> BorderedBands:
        """Of the derivative by fields and eigenvalue."""
        return self.equations.factor(self.at, self.flame)

    @cached_property
    def by_parameters(self) -> tuple[Array, Array]:
        """∂F/∂θ."""
        return self.equations.by_parameters(self.at, self.flame)

    def reading(self, where: tuple[Array, Array]) -> Reading:
        """What sensors read."""
        return read(self.equations, self.at, self.flame, where)

    def tangent(self, change: Array) -> tuple[Array, float]:
        """Fields (nodes, F) and eigenvalue for a change of the parameters (12,)."""
        inner, border = self.by_parameters
        fields, eigenvalue = self.factor.solve(-inner @ change, -border @ change)
        return fields.reshape(self.flame.values.shape), float(eigenvalue[0])

    def adjoint(self, fields: Array, eigenvalue: float) -> Array:
        """The transpose: (nodes, F) and a number to (12,)."""
        inner, border = self.by_parameters
        x, y = self.factor.solve_transposed(fields.ravel(), np.array([eigenvalue]))
        return np.asarray(-(inner.T @ x + border.T @ y))


class SpeciesModel(ReferenceModel):
    """G(m) = speeds and profiles of flames at one or several states of the inlet.

    Args:
        spaces: of m and of the data.
        config: of the problem.
        level: of the cells.
        sensors: what is measured.
    """

    def __init__(
        self, spaces: tuple[Space, Space], config: SpeciesConfig, level: int, sensors: Sensors
    ) -> None:
        super().__init__(*spaces)
        self._config, self._columns = config, columns(config)
        self._experiments = [
            Experiment.of(config, level, at, rows, sensors)
            for at, rows in conditions(sensors).items()
        ]

    def solved(self, m: Array) -> list[tuple[Solved, Reading]]:
        """The flames of ``m`` with what is read of them, one for each state of the inlet."""
        at = parameters(self._config, m)
        found = [e.solved(at) for e in self._experiments]
        return [(s, s.reading(e.where)) for s, e in zip(found, self._experiments, strict=True)]

    def data(self, m: Array, *, again: bool) -> Array:
        """The data of ``m``."""
        out = np.empty(self.d_space.size)
        for experiment, (_, reading) in zip(self._experiments, self.state(m), strict=True):
            out[experiment.rows] = reading.values
        return out

    def tangent(self, m: Array, dm: Array) -> Array:
        """The change of the data, by one linear solve for each flame."""
        out, change = np.empty(self.d_space.size), np.zeros(len(NAMES))
        change[self._columns] = dm
        for experiment, (solved, reading) in zip(self._experiments, self.state(m), strict=True):
            out[experiment.rows] = reading.tangent(*solved.tangent(change), change)
        return out

    def adjoint(self, m: Array, w: Array) -> Array:
        """The gradient of w·G(m), by one transposed solve for each flame."""
        out = np.zeros(len(NAMES))
        for experiment, (solved, reading) in zip(self._experiments, self.state(m), strict=True):
            own = w[experiment.rows]
            fields, eigenvalue, direct = reading.adjoint(own, solved.flame.values.shape)
            out += solved.adjoint(fields, eigenvalue) + direct
        return np.asarray(out[self._columns])
