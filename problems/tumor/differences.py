"""The fast model of diffusion: finite differences on voxels, one direction after the other.

Implicit Euler along the lines of voxels of each direction in turn (Yanenko 1971): a tridiagonal
matrix of each line, no flux through the faces of voxels without tissue. Every second step takes
the directions in the opposite order, which makes the error of that splitting of second order in
the time step (Marchuk 1968).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pdeinv.kernels.lines import Lines, LinesFactor
from pdeinv.typing import Array

from .grids import Voxels
from .tensor import check_diagonal

__all__ = ["LineDiffusion"]


@dataclass(frozen=True)
class _Direction:
    """One direction of a step; its matrix is symmetric."""

    lines: Lines
    factor: LinesFactor

    def solve(self, b: Array) -> Array:
        return self.factor.solve(b)

    def transposed(self, w: Array) -> Array:
        return self.factor.solve(w)

    def times(self, u: Array) -> Array:
        return self.lines.times(u)


class LineDiffusion:
    """Diffusion on voxels; the conductance between two is the mean of theirs.

    Args:
        voxels: with their diffusivity.

    Raises:
        ConfigError: a tensor that is not along the axes of the box.
    """

    def __init__(self, voxels: Voxels) -> None:
        if voxels.tensor is not None:
            check_diagonal(voxels.tensor)
        self._lines = [_lines(voxels, k) for k in range(voxels.centres.dim)]

    def stages(self, a: Array) -> tuple[Sequence[_Direction], Sequence[_Direction]]:
        """x, y, z and z, y, x."""
        found = [_Direction(lines, lines.factored(a)) for lines in self._lines]
        return found, found[::-1]


def _lines(voxels: Voxels, axis: int) -> Lines:
    """The lines of voxels along an axis, one behind the other."""
    centres = voxels.centres
    number = np.moveaxis(centres.number, centres.dim - 1 - axis, -1)
    inside = number >= 0
    diffusivity = np.where(inside, voxels.along(axis)[number], 0.0)
    couple = np.zeros(number.shape)
    mean = (diffusivity[..., 1:] + diffusivity[..., :-1]) / 2
    couple[..., 1:] = np.where(inside[..., 1:] & inside[..., :-1], mean, 0.0)
    return Lines(number[inside], couple[inside] / centres.spacing[axis] ** 2)
