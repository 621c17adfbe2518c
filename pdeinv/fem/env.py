"""The one place that imports dolfinx, so that order and absence are dealt with once."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pdeinv import extras
from pdeinv.before_mpi import starting

__all__ = ["Fenicsx", "fenicsx", "require_gmsh"]


@dataclass(frozen=True)
class Fenicsx:
    """The modules of the FEniCSx stack, imported in a safe order.

    Attributes:
        fem: ``dolfinx.fem``.
        la: ``dolfinx.la``.
        mesh: ``dolfinx.mesh``.
        geometry: ``dolfinx.geometry``.
        petsc: ``dolfinx.fem.petsc``.
        la_petsc: ``dolfinx.la.petsc``.
        ufl: the form language.
        basix: the finite elements.
        basix_ufl: ``basix.ufl``.
        PETSc: ``petsc4py.PETSc``.
        MPI: ``mpi4py.MPI``.
    """

    fem: Any
    la: Any
    mesh: Any
    geometry: Any
    petsc: Any
    la_petsc: Any
    ufl: Any
    basix: Any
    basix_ufl: Any
    PETSc: Any
    MPI: Any


_MODULES = (
    "dolfinx.fem",
    "dolfinx.la",
    "dolfinx.mesh",
    "dolfinx.geometry",
    "dolfinx.fem.petsc",
    "dolfinx.la.petsc",
    "ufl",
    "basix",
    "basix.ufl",
    "petsc4py.PETSc",
    "mpi4py.MPI",
)
"""In the order of the attributes of :class:`Fenicsx`."""


def _world() -> Any:
    """The ranks that share PETSc: all, unless each works by itself on tasks of mpi4py.futures.

    PETSc starts on all of its ranks together, and ranks with tasks of their own never meet.
    """
    if "mpi4py.futures" not in sys.modules:
        return None
    return importlib.import_module("mpi4py.MPI").COMM_SELF


@contextmanager
def _no_arguments() -> Iterator[None]:
    """Hide the command line: dolfinx reads it too, and refuses file names that are no text."""
    before, sys.argv = sys.argv, ["pdeinv"]
    try:
        yield
    finally:
        sys.argv = before


def _with_a_home() -> None:
    """Let dolfinx look for its options: it ends where there is no home, or none to look into.

    Containers and compute nodes start programs of users that have none.
    """
    try:
        home = Path.home()
    except RuntimeError:
        home = Path(tempfile.gettempdir())
        os.environ["HOME"] = str(home)
    options = Path(os.environ.get("XDG_CONFIG_HOME", default=home / ".config"), "dolfinx", "x.json")
    try:
        options.stat()
    except FileNotFoundError:
        return
    except OSError:
        os.environ["XDG_CONFIG_HOME"] = tempfile.gettempdir()


@cache
def fenicsx() -> Fenicsx:
    """The FEniCSx modules; the wheel's loader first, since it orders MPI ahead of PETSc.

    Raises:
        MissingDependency: dolfinx is not installed, or cannot be loaded.
        SystemFault: there is too little shared memory, or too few files, to start MPI.
    """
    try:
        if find_spec("dolfinx") is None:
            raise ModuleNotFoundError("No module named 'dolfinx'", name="dolfinx")
        with starting("the finite-element solver needs"):
            return _imported()
    except extras.UNLOADABLE as error:
        raise extras.missing("dolfinx", "the finite-element solver needs", error) from None


def _imported() -> Fenicsx:
    _with_a_home()
    if find_spec("dolfinx_solver") is not None:
        importlib.import_module("dolfinx_solver")
    # PETSc would end the process on SIGTERM, before a run could save
    importlib.import_module("petsc4py").init(["pdeinv", "-no_signal_handler"], comm=_world())
    with _no_arguments():
        return Fenicsx(*(importlib.import_module(name) for name in _MODULES))


def require_gmsh() -> Any:
    """The gmsh module.

    Raises:
        MissingDependency: gmsh is not installed.
    """
    return extras.load("gmsh", "meshing, or reading a .msh file, needs")
