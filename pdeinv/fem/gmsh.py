"""Read Gmsh .msh files as plain meshes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from pdeinv.errors import DataSchemaError, RunFailed
from pdeinv.fem.env import require_gmsh
from pdeinv.fem.mesh import PlainMesh

__all__ = ["opened", "read_msh", "session"]

_TRIANGLE, _QUADRILATERAL, _LINE = 2, 3, 1
_CORNERS = {_TRIANGLE: 3, _QUADRILATERAL: 4, _LINE: 2}


@contextmanager
def session() -> Iterator[Any]:
    """Gmsh with an empty model of its own, quiet and without its signal handlers."""
    gmsh = require_gmsh()
    nested = bool(gmsh.isInitialized())
    if not nested:
        gmsh.initialize(argv=["pdeinv"], readConfigFiles=False, interruptible=False)
    terminal = gmsh.option.getNumber("General.Terminal")
    gmsh.option.setNumber("General.Terminal", 0)
    gmsh.model.add("pdeinv")
    try:
        yield gmsh
    finally:
        gmsh.model.remove()
        gmsh.option.setNumber("General.Terminal", terminal)
        if not nested:
            gmsh.finalize()


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """The model of a .msh file, of which Gmsh sees a copy that is alone in its folder.

    Beside NAME.msh Gmsh looks for options in NAME.msh.opt, whose language can run commands.

    Raises:
        DataSchemaError: missing, or not a mesh.
    """
    if not path.is_file():
        raise DataSchemaError(f"no such mesh file: {path}; give the path of a Gmsh .msh file")
    if path.suffix != ".msh":
        raise DataSchemaError(f"{path} is not a .msh file; export the mesh from Gmsh as .msh")
    with _alone(path) as copy, session() as gmsh:
        try:
            gmsh.merge(str(copy))
            yield gmsh.model
        except Exception as error:
            if isinstance(error, DataSchemaError):
                raise
            said = str(error).strip().replace(str(copy), str(path)) or type(error).__name__
            raise DataSchemaError(
                f"cannot read {path} as a Gmsh mesh ({said}); export it again as .msh with Gmsh 4"
            ) from None


@contextmanager
def _alone(path: Path) -> Iterator[Path]:
    """A copy of a mesh in a folder of this process, with nothing beside it.

    Raises:
        DataSchemaError: it cannot be read, or is no mesh.
        RunFailed: there is no room for the copy.
    """
    try:
        source = path.open("rb")
    except OSError as error:
        raise DataSchemaError(f"cannot read {path}: {error.strerror}") from None
    with source, TemporaryDirectory(prefix="pdeinv-") as folder:
        copy = Path(folder) / "mesh.msh"
        try:
            with copy.open("wb") as target:
                shutil.copyfileobj(source, target)
        except OSError as error:
            raise RunFailed(
                f"cannot copy {path} to {folder}: {error.strerror}; set TMPDIR to another folder"
            ) from None
        _check_header(copy, path)
        yield copy


def read_msh(path: Path) -> PlainMesh:
    """The triangles or quadrilaterals of a .msh file; physical curves name the boundary sides.

    A curve with a physical name is a side of that name; one with a bare tag, of the tag's digits.

    Raises:
        DataSchemaError: missing, not a mesh, empty, not plane, or of mixed or curved cells.
    """
    with opened(path) as model:
        ids, coords, _ = model.mesh.getNodes()
        points = np.asarray(coords, dtype=np.float64).reshape(-1, 3)
        cells = _cells(model, path)
        lines, tags, sides = _named_lines(model)
    if len(points) and np.abs(points[:, 2]).max() > 1e-9 * max(np.ptp(points[:, :2]), 1e-300):
        raise DataSchemaError(f"{path}: the mesh is not plane; nodes must have z = 0")
    index = np.zeros(int(ids.max()) + 1, dtype=np.int64)
    used = np.unique(cells)
    index[used] = np.arange(len(used))
    row = np.zeros(int(ids.max()) + 1, dtype=np.int64)
    row[ids.astype(np.int64)] = np.arange(len(ids))
    xy = points[row[used], :2]
    lines = index[lines[np.isin(lines, used).all(axis=1)]] if len(lines) else lines
    return _assemble(xy, _counter_clockwise(xy, index[cells]), lines, tags, sides)


def _check_header(copy: Path, path: Path) -> None:
    """Refuse what is no mesh by its first bytes: Gmsh would run other text as a script.

    Args:
        copy: the very file that Gmsh reads.
        path: what the user calls it.
    """
    with copy.open("rb") as stream:
        head = stream.read(16)
    if not head.startswith((b"$MeshFormat", b"$Comments", b"$NOD")):
        raise DataSchemaError(
            f"{path} does not begin as a Gmsh mesh ($MeshFormat); export it again as .msh"
        )


def _cells(model: Any, path: Path) -> Any:
    kinds, _, nodes = model.mesh.getElements(2)
    if len(kinds) == 0:
        raise DataSchemaError(
            f"{path} holds no triangles or quadrilaterals; mesh the surface and export it "
            "(with a physical surface, if there are physical groups)"
        )
    if len(kinds) > 1 or int(kinds[0]) not in _CORNERS:
        names = ", ".join(model.mesh.getElementProperties(k)[0] for k in kinds)
        raise DataSchemaError(
            f"{path} holds cells of kind {names}; expected straight triangles only or "
            "straight quadrilaterals only (element order 1)"
        )
    return np.asarray(nodes[0], dtype=np.int64).reshape(-1, _CORNERS[int(kinds[0])])


def _named_lines(model: Any) -> tuple[Any, Any, dict[str, int]]:
    """Node pairs of all lines in physical groups, their tags, and the tag by name."""
    lines, tags, sides = [np.zeros((0, 2), dtype=np.int64)], [np.zeros(0, dtype=np.int64)], {}
    for dim, tag in model.getPhysicalGroups(1):
        sides[model.getPhysicalName(dim, tag) or str(tag)] = int(tag)
        for entity in model.getEntitiesForPhysicalGroup(dim, tag):
            kinds, _, nodes = model.mesh.getElements(1, entity)
            for kind, members in zip(kinds, nodes, strict=True):
                if int(kind) == _LINE:
                    lines.append(np.asarray(members, dtype=np.int64).reshape(-1, 2))
                    tags.append(np.full(len(lines[-1]), int(tag), dtype=np.int64))
    return np.concatenate(lines), np.concatenate(tags), sides


def _counter_clockwise(xy: Any, cells: Any) -> Any:
    p = xy[cells]
    ahead = np.roll(p, -1, axis=1)
    area = np.sum(p[..., 0] * ahead[..., 1] - p[..., 1] * ahead[..., 0], axis=1)
    return np.where((area < 0)[:, None], cells[:, ::-1], cells)


def _assemble(xy: Any, cells: Any, lines: Any, tags: Any, sides: dict[str, int]) -> PlainMesh:
    """Boundary edges are those of one cell only; each gets the tag of the line on it, if any."""
    pairs = np.stack([cells, np.roll(cells, -1, axis=1)], axis=2).reshape(-1, 2)
    edges, uses = np.unique(np.sort(pairs, axis=1), axis=0, return_counts=True)
    edges = edges[uses == 1]
    named = {(int(min(p)), int(max(p))): int(t) for p, t in zip(lines, tags, strict=True)}
    edge_tags = np.array([named.get((int(a), int(b)), 0) for a, b in edges], dtype=np.int64)
    return PlainMesh.ordered(xy, cells, edges, edge_tags, sides)
