"""What sensors read of a flame, with derivatives by its fields, its eigenvalue and parameters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pdeinv.typing import Array

from .equations import MASSES, Equations, Flame
from .gas import GAS, SPECIES
from .parameters import NAMES, Parameters, Setting, inlet_density
from .sensors import KINDS

__all__ = ["Reading", "read"]


@dataclass(frozen=True)
class Reading:
    """Data and their derivatives.

    Attributes:
        values: (n_d,).
        by_fields: of the fields at the place of each, (n_d, F).
        by_eigenvalue: (n_d,).
        by_parameters: (n_d, 12).
        nodes: what fields there are read from, (n_d, 3).
        weights: of those nodes, (n_d, 3).
    """

    values: Array
    by_fields: Array
    by_eigenvalue: Array
    by_parameters: Array
    nodes: NDArray[np.int64]
    weights: Array

    def tangent(self, fields: Array, eigenvalue: float, change: Array) -> Array:
        """The change of the data with fields (nodes, F), eigenvalue and parameters (12,)."""
        local = np.einsum("ka,kaf->kf", self.weights, fields[self.nodes])
        return np.asarray(
            (self.by_fields * local).sum(axis=1)
            + self.by_eigenvalue * eigenvalue
            + self.by_parameters @ change
        )

    def adjoint(self, w: Array, shape: tuple[int, ...]) -> tuple[Array, float, Array]:
        """The transpose: of data (n_d,) to fields of that shape, eigenvalue and parameters."""
        fields = np.zeros(shape)
        local = self.weights[:, :, None] * (self.by_fields * w[:, None])[:, None, :]
        np.add.at(fields, self.nodes, local)
        return fields, float(self.by_eigenvalue @ w), self.by_parameters.T @ w


def read(equations: Equations, at: Parameters, flame: Flame, where: tuple[Array, Array]) -> Reading:
    """The data over their scales.

    Args:
        equations: that the flame solves.
        at: its parameters.
        flame: it.
        where: numbers of the quantities, and places, each (n_d,).
    """
    numbers, (nodes, weights) = where[0].astype(int), equations.grid.evaluation(where[1])
    local = np.einsum("ka,kaf->kf", weights, flame.values[nodes])
    n = len(numbers)
    values, by_fields = np.zeros(n), np.zeros(local.shape)
    by_eigenvalue, by_parameters = np.zeros(n), np.zeros((n, len(NAMES)))
    of = _Columns(values, by_fields, by_eigenvalue, by_parameters)
    for number in np.unique(numbers):
        rows = np.flatnonzero(numbers == number)
        _fill(of, equations.setting, at, (rows, KINDS[number].name, local[rows]), flame.eigenvalue)
    scale = np.array([KINDS[k].scale for k in numbers])
    return Reading(
        values / scale,
        by_fields / scale[:, None],
        by_eigenvalue / scale,
        by_parameters / scale[:, None],
        nodes,
        weights,
    )


@dataclass(frozen=True)
class _Columns:
    """What is filled, quantity by quantity."""

    values: Array
    by_fields: Array
    by_eigenvalue: Array
    by_parameters: Array


def _fill(
    out: _Columns,
    setting: Setting,
    at: Parameters,
    some: tuple[NDArray[np.int64], str, Array],
    eigenvalue: float,
) -> None:
    rows, name, local = some
    if name == "s_L":
        density, by = inlet_density(setting, at)
        out.values[rows] = eigenvalue / density
        out.by_eigenvalue[rows] = 1 / density
        for parameter, change in by.items():
            value = -eigenvalue * change / density**2
            out.by_parameters[rows, NAMES.index(parameter)] = value
    elif name == "u":
        _fill_velocity(out, setting, at, (rows, local), eigenvalue)
    elif name == "Y_" + SPECIES[-1]:
        out.values[rows] = 1 - local[:, MASSES].sum(axis=1)
        out.by_fields[rows, MASSES] = -1.0
    else:
        field = {"T": 0, "V": 5, **{f"Y_{s}": k + 1 for k, s in enumerate(SPECIES[:-1])}}[name]
        out.values[rows] = local[:, field]
        out.by_fields[rows, field] = 1.0


def _fill_velocity(
    out: _Columns,
    setting: Setting,
    at: Parameters,
    some: tuple[NDArray[np.int64], Array],
    eigenvalue: float,
) -> None:
    """u = M R T Σ Y_k/W_k / p."""
    rows, local = some
    inverse = 1 / setting.gas.weights
    amount = inverse[-1] + local[:, MASSES] @ (inverse[:-1] - inverse[-1])
    volume = GAS * local[:, 0] * amount / at.pressure
    flux = local[:, 6] if setting.counterflow else np.full(len(rows), eigenvalue)
    out.values[rows] = flux * volume
    out.by_fields[rows, 0] = flux * volume / local[:, 0]
    out.by_fields[rows, MASSES] = (flux * GAS * local[:, 0] / at.pressure)[:, None] * (
        inverse[:-1] - inverse[-1]
    )
    out.by_parameters[rows, NAMES.index("pressure")] = -flux * volume / at.pressure
    if setting.counterflow:
        out.by_fields[rows, 6] = volume
    else:
        out.by_eigenvalue[rows] = volume
