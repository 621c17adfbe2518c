"""Optional packages: which extra brings each, and one line with the remedy where one is missing."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from pdeinv.errors import MissingDependency

__all__ = ["EXTRAS", "load", "missing", "remedy", "require"]

EXTRAS = {
    "fem": ("dolfinx", "petsc4py", "mpi4py", "gmsh", "h5py"),
    "surrogate": ("torch", "neuralop"),
    "hpc": ("submitit", "tensorboard"),
    "dask": ("distributed",),
}
"""What each extra brings, by the name to import it by; the first is what it is there for."""


def remedy(package: str) -> str:
    """What to do to get a package."""
    extra = next(name for name, packages in EXTRAS.items() if package in packages)
    other = " (or FEniCSx 0.11 from conda-forge)" if extra == "fem" else ""
    return f"pdeinv[{extra}] brings it: run pip install -e '.[{extra}]' in the clone{other}"


def missing(package: str, user: str, why: object = "not installed") -> MissingDependency:
    """The error of ``user``, which needs a package that cannot be had."""
    return MissingDependency(f"{user} needs {package} ({why}); {remedy(package)}")


def load(package: str, user: str) -> Any:
    """The module of an optional package.

    Raises:
        MissingDependency: it cannot be imported; the message has the command that installs it.
    """
    try:
        return import_module(package)
    except (ImportError, OSError) as error:
        raise missing(package, user, error) from None


def require(package: str, user: str) -> None:
    """Refuse to begin where a package is not installed; nothing is imported.

    Args:
        package: the name to import it by.
        user: what needs it, for the message.

    Raises:
        MissingDependency: it is not there; the message has the command that installs it.
    """
    try:
        found = find_spec(package) is not None
    except ModuleNotFoundError:
        found = False
    if not found:
        raise missing(package, user)
