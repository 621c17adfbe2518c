"""Read Gmsh .msh files as plain meshes."""

from __future__ import annotations

import re
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
from pdeinv.fem.mesh_checks import check_mesh, without_repeats
from pdeinv.fem.named_facets import Chosen, NamedFacets, none_chosen

__all__ = ["nodes_in_use", "opened", "read_msh", "session"]

_NAMES = re.compile(rb"^\$PhysicalNames(.*?)^\$EndPhysicalNames", re.MULTILINE | re.DOTALL)

_CORNERS = {2: 3, 3: 4}
"""Of the kinds of cells that are read (triangles, quadrilaterals), by Gmsh's number."""


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
        _check_names(copy, path)
        yield copy


def read_msh(path: Path, chosen: Chosen = none_chosen) -> PlainMesh:
    """The triangles or quadrilaterals of a .msh file; physical curves name the boundary sides.

    A curve with a physical name is a side of that name; one with a bare tag, of the tag's digits.

    Args:
        path: of the file.
        chosen: of the sides, those that carry conditions; none by default.

    Raises:
        DataSchemaError: missing, not a mesh, empty, not plane, of mixed or curved cells, no
            conforming mesh, or with a chosen side that is not the boundary's.
    """
    with opened(path) as model:
        ids, coords, _ = model.mesh.getNodes()
        cells = without_repeats(_cells(model, path))
        named = NamedFacets.of(model, 2)
    points, index = nodes_in_use(ids, coords, cells)
    if np.abs(points[:, 2]).max() > 1e-9 * max(np.ptp(points[:, :2]), 1e-300):
        raise DataSchemaError(f"{path}: the mesh is not plane; nodes must have z = 0")
    xy = points[:, :2]
    cells = _counter_clockwise(xy, index[cells])
    check_mesh(xy, cells, path)
    edges = _boundary_edges(cells)
    named = named.numbered(index)
    tags = named.tags_of(edges, chosen, xy, path)
    return PlainMesh.ordered(xy, cells, edges, tags, named.sides)


def nodes_in_use(ids: Any, coords: Any, cells: Any) -> tuple[Any, Any]:
    """The nodes of cells, shape (n, 3), and their numbers by Gmsh's; negative where not in use."""
    row = np.full(int(ids.max()) + 1, -1, dtype=np.int64)
    row[ids.astype(np.int64)] = np.arange(len(ids))
    used = np.unique(cells)
    index = np.full(len(row), -1, dtype=np.int64)
    index[used] = np.arange(len(used))
    return np.asarray(coords, dtype=np.float64).reshape(-1, 3)[row[used]], index


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


def _check_names(copy: Path, path: Path) -> None:
    """Refuse a name that two physical groups share: Gmsh would drop it from the second."""
    section = _NAMES.search(copy.read_bytes())
    found = re.findall(rb'^\s*(\d+)\s+\d+\s+"(.*)"', section[1] if section else b"", re.MULTILINE)
    twice = [name for dim, name in found if found.count((dim, name)) > 1]
    if twice:
        raise DataSchemaError(
            f"{path}: two physical groups are named '{twice[0].decode(errors='replace')}'; make "
            "them one group, or give them names of their own"
        )


def _cells(model: Any, path: Path) -> Any:
    if len(model.mesh.getElements(3)[0]):
        raise DataSchemaError(
            f"{path} holds solid cells; expected a plane mesh; mesh in two dimensions and export it"
        )
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


def _counter_clockwise(xy: Any, cells: Any) -> Any:
    p = xy[cells]
    ahead = np.roll(p, -1, axis=1)
    area = np.sum(p[..., 0] * ahead[..., 1] - p[..., 1] * ahead[..., 0], axis=1)
    return np.where((area < 0)[:, None], cells[:, ::-1], cells)


def _boundary_edges(cells: Any) -> Any:
    """Nodes, sorted, of the edges of one cell only."""
    pairs = np.stack([cells, np.roll(cells, -1, axis=1)], axis=2).reshape(-1, 2)
    edges, uses = np.unique(np.sort(pairs, axis=1), axis=0, return_counts=True)
    return edges[uses == 1]
