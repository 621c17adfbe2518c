"""One time step: logistic growth for half of it, diffusion, and growth for the other half.

Growth is solved exactly. Diffusion goes by implicit Euler, in one or several stages, each of which
averages: c stays between 0 and 1 without any clipping. The splitting (Strang 1968) is of second
order, implicit Euler of first; no linear scheme of second order keeps the bounds for every step
(Bolley and Crouzeix 1978). All arrays are tiles (n, width), the lane last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from pdeinv.typing import Array

__all__ = ["Diffusion", "Stage", "Step", "VaryingStage", "logistic"]


class Stage(Protocol):
    """S = (I + a K)^(-1), a the diffusivity of white matter times the time step."""

    def solve(self, b: Array) -> Array:
        """S b."""

    def transposed(self, w: Array) -> Array:
        """Sᵀ w."""

    def times(self, u: Array) -> Array:
        """K u."""


@runtime_checkable
class VaryingStage(Stage, Protocol):
    """S = (I + K(a))^(-1), a the same for each voxel, (n_voxels, 1), of one lane; K is linear."""

    def change(self, u: Array, da: Array) -> Array:
        """K(da) u."""

    def slope(self, w: Array, u: Array) -> Array:
        """The derivatives of w·K(a) u by a, (n_voxels, 1)."""


class Diffusion(Protocol):
    """A discretisation of ∇·(D∇c) with D = 1 in white matter."""

    def stages(self, a: Array) -> tuple[Sequence[Stage], Sequence[Stage]]:
        """The stages of an even and of an odd step.

        Args:
            a: one number ≥ 0 for each lane, (width,), or one for each voxel of the only lane,
                (n_voxels, 1), which makes stages that vary.
        """


def logistic(c: Array, growth: Array) -> Array:
    """The solution of dc/ds = c (1 − c) after s = ``growth``; within [0, 1] where c is."""
    return np.asarray(c / (c + (1 - c) * np.exp(-growth)))


def _slope(c: Array, growth: Array) -> Array:
    """Its derivative in c."""
    e = np.exp(-growth)
    return np.asarray(e / np.square(c + (1 - c) * e))


@dataclass(frozen=True)
class Step:
    """c^n to c^(n+1), for fixed a and r.

    Attributes:
        stages: of even and odd steps.
        half: r/2, r the growth rate times the time step, shape (width,), or (n, width) where it
            differs from point to point.
    """

    stages: tuple[Sequence[Stage], Sequence[Stage]]
    half: Array

    def __call__(self, n: int, c: Array) -> Array:
        """The next state."""
        u = logistic(c, self.half)
        for stage in self.stages[n % 2]:
            u = stage.solve(u)
        return logistic(u, self.half)

    def tangent(self, n: int, c: Array, dc: Array, da: Array, dr: Array) -> tuple[Array, Array]:
        """The next state and its change with c, a and r."""
        u = logistic(c, self.half)
        du = _slope(c, self.half) * dc + u * (1 - u) * (dr / 2)
        for stage in self.stages[n % 2]:
            u = stage.solve(u)
            du = stage.solve(du) - _moved(stage, u, da)
        end = logistic(u, self.half)
        return end, _slope(u, self.half) * du + end * (1 - end) * (dr / 2)

    def adjoint(self, n: int, c: Array, end: Array, w: Array) -> tuple[Array, Array, Array]:
        """w on the next state to the gradients in c, a and r.

        Args:
            n: the number of the step.
            c: the state before it.
            end: the one after it.
            w: on that, (n, width).

        Returns:
            w on c, (n, width), and those in the shapes of a and of r.
        """
        begun = logistic(c, self.half)
        passed = [begun]
        for stage in self.stages[n % 2]:
            passed.append(stage.solve(passed[-1]))
        rate = self._each(end * (1 - end) * w)
        w = _slope(passed[-1], self.half) * w
        spread: Array = np.zeros(1)
        for stage, u in zip(self.stages[n % 2][::-1], passed[:0:-1], strict=True):
            w = stage.transposed(w)
            spread = spread - _pulled(stage, w, u)
        rate = rate + self._each(begun * (1 - begun) * w)
        return _slope(c, self.half) * w, spread, rate / 2

    def _each(self, x: Array) -> Array:
        """A derivative in r, point by point where r is."""
        return x if self.half.ndim == 2 else _sum(x)


def _moved(stage: Stage, u: Array, da: Array) -> Array:
    """S K(da) u: how a stage's result changes with a, but for its sign."""
    if isinstance(stage, VaryingStage):
        return stage.solve(stage.change(u, da))
    return np.asarray(stage.solve(stage.times(u)) * da)


def _pulled(stage: Stage, w: Array, u: Array) -> Array:
    """The derivative of w·K(a) u by a."""
    return stage.slope(w, u) if isinstance(stage, VaryingStage) else _sum(w * stage.times(u))


def _sum(x: Array) -> Array:
    """Over the points, lane by lane."""
    return np.asarray(np.add.reduce(x, axis=0))
