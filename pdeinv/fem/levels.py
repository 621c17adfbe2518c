"""From the mesh of level 0 to those of other levels: counts of cells, and meshes from files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pdeinv.errors import ConfigError
from pdeinv.fem.mesh import PlainMesh

__all__ = ["at_least_zero", "counts_of", "refined"]


def counts_of(cells: Sequence[int], level: int) -> tuple[int, ...]:
    """Cells along each side of a box on a level: doubled per level, halved below 0.

    Raises:
        ConfigError: they cannot be halved so often.
    """
    if level >= 0:
        return tuple(n << level for n in cells)
    step = 1 << -level
    if any(n % step for n in cells):
        raise ConfigError(
            f"level {level}: {' x '.join(map(str, cells))} cells cannot be coarsened by {step}; "
            "choose cells that are multiples of it"
        )
    return tuple(n // step for n in cells)


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
        ConfigError: there is no mesh that coarse.
    """
    for _ in range(at_least_zero(level, file)):
        mesh = mesh.refined()
    return mesh
