"""A process of its own that reads one .msh file: ``python -m pdeinv.fem.msh_child FILE OUT``.

On some damaged files Gmsh does not raise an error but ends its process, which must not be that of
a run. OUT is an .npz of the arrays, with the rest as JSON; an error of Gmsh is printed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pdeinv.fem.gmsh import REFUSED, session
from pdeinv.foreign import memory

__all__: list[str] = []

BASE = 1 << 30
"""Bytes of address space that Gmsh itself takes, at most."""


def _limit() -> None:
    """Take no more memory than a file may, and leave no core behind."""
    try:
        import resource
    except ModuleNotFoundError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = memory() + BASE
    if soft == resource.RLIM_INFINITY or soft > most:
        resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def _cells(mesh: Any, dim: int, entity: int = -1) -> Iterator[tuple[int, str, Any]]:
    """Kind, name and nodes of the cells of a dimension, by kind."""
    kinds, _, nodes = mesh.getElements(dim, entity)
    for kind, members in zip(kinds, nodes, strict=True):
        name, _, _, corners, *_ = mesh.getElementProperties(kind)
        yield int(kind), str(name), np.asarray(members, dtype=np.int64).reshape(-1, int(corners))


def _groups(model: Any, dim: int) -> Iterator[tuple[int, str, list[tuple[int, str, Any]]]]:
    """Number, name and cells of the physical groups of a dimension."""
    for _, number in model.getPhysicalGroups(dim):
        entities = model.getEntitiesForPhysicalGroup(dim, number)
        cells = [c for entity in entities for c in _cells(model.mesh, dim, int(entity))]
        yield int(number), str(model.getPhysicalName(dim, number)), cells


def _numbering(ids: Any) -> Callable[[Any], Any]:
    """From Gmsh's numbers of nodes, which may leave gaps, to their rows; -1 for none."""
    order = np.argsort(ids, kind="stable")
    known = ids[order]

    def rows(nodes: Any) -> Any:
        at = np.searchsorted(known, nodes).clip(max=max(len(known) - 1, 0))
        found = known[at] == nodes if len(known) else np.zeros(nodes.shape, dtype=bool)
        return np.where(found, order[at] if len(known) else -1, -1)

    return rows


def _read(source: Path) -> dict[str, Any]:
    """The arrays by name, those of kinds and groups numbered as the JSON lists them."""
    with session() as gmsh:
        gmsh.merge(str(source))
        model = gmsh.model
        ids, coords, _ = model.mesh.getNodes()
        number = _numbering(np.asarray(ids, dtype=np.int64))
        arrays = {"coords": np.asarray(coords, dtype=np.float64).reshape(-1, 3)}
        listed: dict[str, list[Any]] = {"cells": [], "groups": []}
        for dim in (2, 3):
            for kind, name, nodes in _cells(model.mesh, dim):
                arrays[f"cells.{len(listed['cells'])}"] = number(nodes)
                listed["cells"].append([dim, kind, name])
        for dim in (1, 2):
            for tag, name, cells in _groups(model, dim):
                at = f"groups.{len(listed['groups'])}"
                arrays |= {f"{at}.{k}": number(cell[2]) for k, cell in enumerate(cells)}
                listed["groups"].append([dim, tag, name, [cell[0] for cell in cells]])
    return {**arrays, "listed": np.array(json.dumps(listed))}


def main(source: Path, target: Path) -> int:
    """Read ``source`` and write ``target``; the exit code says whether Gmsh refused it."""
    _limit()
    try:
        arrays = _read(source)
    except Exception as error:
        sys.stdout.write(str(error).strip() or type(error).__name__)
        return REFUSED
    with target.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
