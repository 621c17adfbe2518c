"""From the mesh of level 0 to those of other levels: counts of cells, and meshes from files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pdeinv.errors import ConfigError
from pdeinv.fem.mesh import PlainMesh
from pdeinv.memory import check_fits
from pdeinv.typing import Array

__all__ = ["HIGHEST", "at_least_zero", "check_cells", "check_refined", "counts_of", "refined"]

BYTES_PER_CELL = {1: 100, 2: 100, 3: 200}
"""Of arrays, topology and matrix of the smallest elements, at least, by dimension."""

HIGHEST = 64
"""The level from which a mesh is too large for any machine, so that numbers stay printable."""


def counts_of(cells: Sequence[int], level: int) -> tuple[int, ...]:
    """Cells along each side of a box on a level: doubled per level, halved below 0.

    Raises:
        ConfigError: they cannot be halved so often, or so many cells cannot fit into memory.
    """
    if level >= 0:
        check_cells(math.prod(n << min(level, HIGHEST) for n in cells), len(cells))
        return tuple(n << level for n in cells)
    step = 1 << -level
    if any(n % step for n in cells):
        raise ConfigError(
            f"level {level}: {' x '.join(map(str, cells))} cells cannot be coarsened by {step}; "
            "choose cells that are multiples of it"
        )
    return tuple(n // step for n in cells)


def check_cells(n: int, dim: int) -> None:
    """Refuse so many cells that they cannot fit into memory.

    Raises:
        ConfigError: with the memory that they would take.
    """
    check_fits(f"a mesh of {n:.3g} cells", BYTES_PER_CELL[dim] * n, "lower the level or the cells")


def check_refined(points: Array, cells: NDArray[np.int64], level: int) -> None:
    """The same of a mesh each of whose cells is divided ``level`` times.

    Raises:
        ConfigError: with the memory that it would take.
    """
    dim = points.shape[1]
    check_cells(len(cells) << dim * min(level, HIGHEST), dim)


def at_least_zero(level: int, file: Path) -> int:
    """The level, of a mesh that came from a file.

    Raises:
        ConfigError: there is no mesh that coarse.
    """
    if level < 0:
        raise ConfigError(
            f"level {level}: {file} is the coarsest mesh there is; use level 0 or finer, or give "
            "a coarser .msh"
        )
    return level


def refined(mesh: PlainMesh, level: int, file: Path) -> PlainMesh:
    """A mesh from ``file`` on a level, every cell divided once per level.

    Raises:
        ConfigError: there is no mesh that coarse, or it cannot fit into memory.
    """
    check_refined(mesh.points, mesh.cells, at_least_zero(level, file))
    for _ in range(level):
        mesh = mesh.refined()
    return mesh
