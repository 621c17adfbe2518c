"""The forward model: parameters of flames to speeds and profiles, with its derivative."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pdeinv.model.observed import Sensors
from pdeinv.model.reference import ReferenceModel
from pdeinv.model.spaces import Space
from pdeinv.typing import Array

from .bordered import Bordered
from .chemistry import NAMES, Parameters, gas
from .config import FlameConfig
from .continuation import Continuation
from .equations import Equations, Flame
from .sensors import INLET, KIND, KINDS, Condition, conditions
from .unknown import columns, parameters

__all__ = ["Experiment", "FlameModel", "Solved", "data_of"]

_INLET = NAMES.index("inlet_temperature")
"""That of the first node."""


@dataclass(frozen=True)
class Experiment:
    """The data of one state of the inlet.

    Attributes:
        rows: which of all data they are.
        kinds: the quantity of each.
        evaluation: B of the places of each, with the nodes; CSR.
        scale: what each is divided by.
        fixed: the state of the inlet but for what is sought of it.
        solve: parameters to a flame.
    """

    rows: NDArray[np.int64]
    kinds: NDArray[np.int64]
    evaluation: Any
    scale: Array
    fixed: Mapping[str, float]
    solve: Callable[[Parameters], Flame]

    @classmethod
    def of(
        cls,
        config: FlameConfig,
        equations: Equations,
        at: Condition,
        rows: NDArray[np.int64],
        sensors: Sensors,
    ) -> Experiment:
        """The data at some rows of the sensors.

        Raises:
            DataSchemaError: a place lies outside.
        """
        kinds = np.asarray(sensors[KIND])[rows].astype(np.int64)
        sought = config.unknown.sought
        fixed = {n: v for n, v in zip(INLET.values(), at, strict=True) if n not in sought}
        return cls(
            rows,
            kinds,
            equations.elements.evaluation(np.asarray(sensors["x"], dtype=np.float64)[rows]),
            np.array([KINDS[k].scale for k in kinds]),
            fixed,
            Continuation(equations, replace(config.centre, **fixed)),
        )


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
    def factor(self) -> Bordered:
        """Of the derivative by temperatures and speed."""
        return self.equations.factor(self.at, self.flame)

    @cached_property
    def by_parameters(self) -> Array:
        """∂F/∂θ, (n, 7)."""
        return self.equations.by_parameters(self.at, self.flame)

    def tangent(self, change: Array) -> tuple[Array, float]:
        """dT (n,) and ds for a change of the parameters (7,)."""
        right = self.by_parameters @ change
        inner, speed = self.factor.solve(-right[1:], -float(right[0]))
        return np.concatenate([[change[_INLET]], inner]), speed

    def adjoint(self, on_nodes: Array, on_speed: float) -> Array:
        """The transpose: (n,) and a number to (7,)."""
        inner, first = self.factor.solve_transposed(on_nodes[1:], on_speed)
        out = -(self.by_parameters[1:].T @ inner + self.by_parameters[0] * first)
        out[_INLET] += on_nodes[0]
        return np.asarray(out)


@dataclass(frozen=True)
class _Slopes:
    """How data change with temperature there, speed and parameters, each (n_d,) but the last."""

    by_temperature: Array
    by_speed: Array
    by_parameters: Array


def data_of(experiment: Experiment, solved: Solved) -> Array:
    """The data of one state of the inlet, over their scales."""
    temperature = experiment.evaluation @ solved.flame.temperature
    found = gas(solved.equations.mixture, solved.at, temperature, solved.flame.speed)
    values = (np.full(len(temperature), solved.flame.speed), temperature, found.velocity,
              found.fraction)  # fmt: skip
    return np.asarray(np.choose(experiment.kinds, values) / experiment.scale)


def _slopes(experiment: Experiment, solved: Solved) -> _Slopes:
    """Derivatives of the closures, quantity by quantity."""
    temperature = experiment.evaluation @ solved.flame.temperature
    found = gas(solved.equations.mixture, solved.at, temperature, solved.flame.speed)
    zero = np.zeros(len(temperature))

    def chosen(name: str, own: tuple[float, float]) -> Array:
        """The derivative of speed and temperature, given, and of velocity and fraction."""
        others = found.velocity_by.get(name, zero), found.fraction_by.get(name, 0.0) + zero
        values = (own[0] + zero, own[1] + zero, *others)
        return np.asarray(np.choose(experiment.kinds, values) / experiment.scale)

    return _Slopes(
        chosen("T", (0.0, 1.0)),
        chosen("s", (1.0, 0.0)),
        np.stack([chosen(name, (0.0, 0.0)) for name in NAMES], axis=1),
    )


class FlameModel(ReferenceModel):
    """G(m) = speeds and profiles of flames at one or several states of the inlet.

    Args:
        spaces: of m and of the data.
        config: of the problem.
        equations: on one level.
        sensors: what is measured.
    """

    def __init__(
        self,
        spaces: tuple[Space, Space],
        config: FlameConfig,
        equations: Equations,
        sensors: Sensors,
    ) -> None:
        super().__init__(*spaces)
        self._config, self._equations, self._columns = config, equations, columns(config)
        self._experiments = [
            Experiment.of(config, equations, at, rows, sensors)
            for at, rows in conditions(sensors).items()
        ]

    def solved(self, m: Array) -> list[Solved]:
        """The flames of ``m``, one for each state of the inlet."""
        at = parameters(self._config, m)
        found = ((replace(at, **e.fixed), e.solve) for e in self._experiments)
        return [Solved(self._equations, own, solve(own)) for own, solve in found]

    def data(self, m: Array, *, again: bool) -> Array:
        """The data of ``m``."""
        out = np.empty(self.d_space.size)
        for experiment, solved in zip(self._experiments, self.state(m), strict=True):
            out[experiment.rows] = data_of(experiment, solved)
        return out

    def tangent(self, m: Array, dm: Array) -> Array:
        """The change of the data, by one linear solve for each flame."""
        out, change = np.empty(self.d_space.size), np.zeros(len(NAMES))
        for experiment, solved in zip(self._experiments, self.state(m), strict=True):
            change[:] = 0.0
            change[self._columns] = dm
            nodes, speed = solved.tangent(change)
            slopes = _slopes(experiment, solved)
            out[experiment.rows] = (
                slopes.by_temperature * (experiment.evaluation @ nodes)
                + slopes.by_speed * speed
                + slopes.by_parameters @ change
            )
        return out

    def adjoint(self, m: Array, w: Array) -> Array:
        """The gradient of w·G(m), by one transposed solve for each flame."""
        out = np.zeros(len(NAMES))
        for experiment, solved in zip(self._experiments, self.state(m), strict=True):
            own, slopes = w[experiment.rows], _slopes(experiment, solved)
            on_nodes = experiment.evaluation.T @ (slopes.by_temperature * own)
            out += solved.adjoint(on_nodes, float(slopes.by_speed @ own))
            out += slopes.by_parameters.T @ own
        return np.asarray(out[self._columns])
