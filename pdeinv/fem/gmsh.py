"""Gmsh in a session of its own, and .msh files where nothing lies beside them."""

from __future__ import annotations

import re
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pdeinv.errors import DataSchemaError, RunFailed
from pdeinv.fem.env import require_gmsh
from pdeinv.foreign import Unreadable, check_regular

__all__ = ["REFUSED", "alone", "session"]

_NAMES = re.compile(rb"^\$PhysicalNames(.*?)^\$EndPhysicalNames", re.MULTILINE | re.DOTALL)

REFUSED = 3
"""How the process that reads a file ends where Gmsh refuses it."""


@contextmanager
def session() -> Iterator[Any]:
    """Gmsh with an empty model of its own, quiet and without its signal handlers."""
    gmsh = require_gmsh()
    nested = bool(gmsh.isInitialized())
    if not nested:
        gmsh.initialize(argv=["pdeinv"], readConfigFiles=False, interruptible=False)
        _keep_pipes()
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


def _keep_pipes() -> None:
    """Let a broken pipe be an error again, as Python has it; Gmsh makes it end the process."""
    if threading.current_thread() is threading.main_thread():  # no other may set it
        signal.signal(signal.SIGPIPE, signal.getsignal(signal.SIGPIPE))


@contextmanager
def alone(path: Path) -> Iterator[Path]:
    """A copy of a mesh in a folder of this process, with nothing beside it.

    Beside NAME.msh Gmsh looks for options in NAME.msh.opt, whose language can run commands.

    Raises:
        DataSchemaError: it is missing, cannot be read, or is no mesh.
        RunFailed: there is no room for the copy.
    """
    try:
        check_regular(path)
        source = path.open("rb")
    except FileNotFoundError:
        raise DataSchemaError(
            f"no such mesh file: {path}; give the path of a Gmsh .msh file"
        ) from None
    except OSError as error:
        raise DataSchemaError(f"cannot read {path}: {error.strerror}") from None
    except Unreadable as error:
        raise DataSchemaError(f"mesh file {path} {error}") from None
    if path.suffix != ".msh":
        source.close()
        raise DataSchemaError(f"{path} is not a .msh file; export the mesh from Gmsh as .msh")
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
