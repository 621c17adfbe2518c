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
from numpy.typing import NDArray

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


@dataclass(frozen=True)
class _Chain:
    """Lines of voxels one behind the other.

    Attributes:
        order: of the voxels.
        joined: 1 where a voxel of that order exchanges with the one before it, else 0; times D
            through the face between them where that is known.
        along: D of each voxel along the lines, for D = 1 in white matter, or what those of faces
            are multiplied by.
        area: the square of the distance between two.
    """

    order: NDArray[np.int64]
    joined: Array
    along: Array
    area: float

    def lines(self, factor: Array) -> Lines:
        """With D times a factor at each voxel; between two voxels the mean of theirs counts."""
        own = (factor * self.along)[self.order]
        before = np.append(own[:1], own[:-1])
        return Lines(self.order, self.joined * ((own + before) / 2) / self.area)

    def slope(self, w: Array, u: Array) -> Array:
        """The derivative of w·K u by the factors, (n,)."""
        steps = [np.diff(v[self.order], prepend=v[self.order[:1]]) for v in (w, u)]
        each = self.joined * steps[0] * steps[1] / (2 * self.area)
        found = np.empty(len(self.order))
        found[self.order] = each + np.append(each[1:], 0.0)
        return np.asarray(found * self.along)


@dataclass(frozen=True)
class _Varying(_Direction):
    """One direction whose factors differ from voxel to voxel, of one lane."""

    chain: _Chain

    def change(self, u: Array, da: Array) -> Array:
        return self.chain.lines(da[:, 0]).times(u)

    def slope(self, w: Array, u: Array) -> Array:
        return self.chain.slope(w[:, 0], u[:, 0])[:, None]


class LineDiffusion:
    """Diffusion on voxels; D between two is that of their face, or else the mean of theirs.

    Args:
        voxels: with their diffusivity.

    Raises:
        ConfigError: a tensor that is not along the axes of the box.
    """

    def __init__(self, voxels: Voxels) -> None:
        if voxels.tensor is not None:
            check_diagonal(voxels.tensor)
        self._chains = [_chain(voxels, k) for k in range(voxels.centres.dim)]
        self._lines = [chain.lines(np.ones(voxels.centres.size)) for chain in self._chains]

    def stages(self, a: Array) -> tuple[Sequence[_Direction], Sequence[_Direction]]:
        """x, y, z and z, y, x."""
        found: list[_Direction] = []
        for chain, lines in zip(self._chains, self._lines, strict=True):
            if a.ndim == 2:
                varied = chain.lines(a[:, 0])
                found.append(_Varying(varied, varied.factored(np.ones(1)), chain))
            else:
                found.append(_Direction(lines, lines.factored(a)))
        return found, found[::-1]


def _chain(voxels: Voxels, axis: int) -> _Chain:
    """The lines of voxels along an axis, one behind the other."""
    centres = voxels.centres
    number = np.moveaxis(centres.number, centres.dim - 1 - axis, -1)
    inside = number >= 0
    joined = np.zeros(number.shape)
    joined[..., 1:] = inside[..., 1:] & inside[..., :-1]
    if voxels.faces is not None:
        joined *= np.moveaxis(voxels.faces[axis], centres.dim - 1 - axis, -1)
    return _Chain(number[inside], joined[inside], voxels.along(axis), centres.spacing[axis] ** 2)
