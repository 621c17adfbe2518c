"""Flames from one that is known: by its tangent, from nothing, or along the way of parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np

from pdeinv.errors import SolverDiverged
from pdeinv.typing import Array

from ..globalised import walked
from .adapt import moved_to
from .equations import MASSES, Equations, Flame
from .newton import checked, converged
from .parameters import NAMES, Parameters
from .start import check_parameters, solved_near

__all__ = ["Continuation", "tangents"]

SMALLEST = 1 / 32
"""The least part of the way between two sets of parameters that continuation takes at once."""
FAR = 0.7
"""Relative changes of the eigenvalue beyond which the tangent is no start."""

Found = tuple[Equations, Flame]


def tangents(equations: Equations, at: Parameters, flame: Flame) -> tuple[Array, Array]:
    """How fields (nodes, F, 12) and eigenvalue (12,) change with the parameters."""
    inner, border = equations.by_parameters(at, flame)
    factor = equations.factor(at, flame)
    found = [factor.solve(-inner[:, k], -border[:, k]) for k in range(len(NAMES))]
    fields = np.stack([change for change, _ in found], axis=-1)
    eigenvalue = np.array([value[0] for _, value in found])
    return fields.reshape(*flame.values.shape, -1), eigenvalue


@dataclass(frozen=True)
class Continuation:
    """Flames on the cells of one that is known, with nothing kept between calls.

    Attributes:
        equations: of all of them.
        known: parameters of the known flame.
        flame: it.
        cold: a flame from nothing, on cells of its own.
    """

    equations: Equations
    known: Parameters
    flame: Flame
    cold: Callable[[Parameters], Found]

    @cached_property
    def _tangent(self) -> tuple[Array, Array]:
        """Its change with ln θ."""
        fields, eigenvalue = tangents(self.equations, self.known, self.flame)
        values = _numbers(self.known)
        return fields * values, eigenvalue * values / self.flame.eigenvalue

    def __call__(self, at: Parameters) -> Flame:
        """The flame of other parameters.

        Raises:
            SolverDiverged: there is none, with the reason.
        """
        check_parameters(self.equations.setting, at)
        with np.errstate(all="ignore"):
            for way in (self._near, self._along, self._from_nothing):
                try:
                    return way(at)
                except SolverDiverged as error:
                    reason = error
        raise reason

    def _near(self, at: Parameters) -> Flame:
        return checked(self.equations, at, converged(self.equations, at, self._predicted(at)))

    def _from_nothing(self, at: Parameters) -> Flame:
        own, flame = self.cold(at)
        _, start = moved_to(own, flame, self.equations.grid.places)
        return solved_near(self.equations, at, start)

    def _predicted(self, at: Parameters) -> Flame:
        """By the tangent at the known flame, which itself is right at its own parameters.

        Raises:
            SolverDiverged: the other one is too far for that.
        """
        change = np.log(_numbers(at) / _numbers(self.known))
        fields, eigenvalue = self._tangent
        logarithm = float(eigenvalue @ change)
        if not abs(logarithm) < FAR:
            raise SolverDiverged("too far from the known flame")
        values = self.flame.values + fields @ change
        values[:, MASSES] = np.clip(values[:, MASSES], 0.0, 1.0)
        values[:, 0] = np.maximum(values[:, 0], 0.9 * at.inlet_temperature)
        return Flame(values, self.flame.eigenvalue * float(np.exp(logarithm)))

    def _along(self, at: Parameters) -> Flame:
        """By parameters between, whose steps are halved where one fails.

        Raises:
            SolverDiverged: that of the last step that was tried.
        """

        def to(numbers: Array, flame: Flame) -> Flame:
            now = Parameters(*numbers.tolist())
            return checked(self.equations, now, converged(self.equations, now, flame))

        return walked((_numbers(self.known), _numbers(at)), self.flame, (0.25, SMALLEST), to)


def _numbers(at: Parameters) -> Array:
    return np.array(list(asdict(at).values()), dtype=np.float64)
