"""What a .msh file holds, read by Gmsh in a process of its own."""

from __future__ import annotations

import json
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pdeinv.errors import DataSchemaError, RunFailed
from pdeinv.fem.env import require_gmsh
from pdeinv.fem.gmsh import REFUSED, alone
from pdeinv.own_process import Ended, in_own_process
from pdeinv.typing import Array

__all__ = ["Cells", "Group", "MshContents", "read_contents"]

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Cells:
    """Cells of one kind.

    Attributes:
        kind: Gmsh's number of it.
        name: in words.
        nodes: rows of their places, -1 where the file lacks one, shape (n, nodes of a cell).
    """

    kind: int
    name: str
    nodes: Ints


@dataclass(frozen=True)
class Group:
    """A physical group.

    Attributes:
        number: Gmsh's.
        name: empty where it has none.
        cells: of all of its entities.
    """

    number: int
    name: str
    cells: tuple[Cells, ...]


@dataclass(frozen=True)
class MshContents:
    """The nodes, cells and physical groups of a mesh.

    Attributes:
        coords: places of the nodes, shape (n, 3).
        cells: of dimension 2 and 3.
        groups: of dimension 1 and 2.
    """

    coords: Array
    cells: dict[int, list[Cells]]
    groups: dict[int, list[Group]]

    @classmethod
    def of(cls, arrays: Any) -> MshContents:
        """What :mod:`pdeinv.fem.msh_child` wrote."""
        listed = json.loads(str(arrays["listed"]))
        cells: dict[int, list[Cells]] = {2: [], 3: []}
        for k, (dim, kind, name) in enumerate(listed["cells"]):
            cells[dim].append(Cells(kind, name, arrays[f"cells.{k}"]))
        groups: dict[int, list[Group]] = {1: [], 2: []}
        for k, (dim, number, name, kinds) in enumerate(listed["groups"]):
            parts = [Cells(kind, "", arrays[f"groups.{k}.{j}"]) for j, kind in enumerate(kinds)]
            groups[dim].append(Group(number, name, tuple(parts)))
        return cls(arrays["coords"], cells, groups)


def read_contents(path: Path) -> MshContents:
    """Read a .msh file; whatever it does to Gmsh, this process goes on.

    Raises:
        DataSchemaError: missing, or not a mesh.
        RunFailed: the process that reads it could not be started.
        MissingDependency: Gmsh is not installed.
    """
    require_gmsh()
    with alone(path) as copy:
        target = copy.with_suffix(".npz")
        words = str(copy), str(target)
        done = in_own_process("pdeinv.fem.msh_child", *words, what="read a mesh")
        if done.returncode:
            said = _failure(done).replace(str(copy), str(path))
            raise DataSchemaError(
                f"cannot read {path} as a Gmsh mesh ({said}); export it again as .msh with Gmsh 4"
            )
        with np.load(target, allow_pickle=False) as arrays:
            return MshContents.of(arrays)


def _failure(done: Ended) -> str:
    """How the process ended.

    Raises:
        RunFailed: not because of the file.
    """
    if done.returncode == REFUSED:
        return " ".join(done.stdout.split())
    if done.returncode in (-signal.SIGSEGV, -signal.SIGABRT, -signal.SIGBUS, -signal.SIGFPE):
        return f"Gmsh crashed on it, {signal.Signals(-done.returncode).name}"
    last = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
    raise RunFailed(f"the process that reads meshes failed: {last[0]}")
