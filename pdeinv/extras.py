"""Optional packages: which extra brings each, and one line with the remedy where one is missing."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from pdeinv.errors import MissingDependency, PdeinvError, SystemFault, reason
from pdeinv.memory import address_space, size_of
from pdeinv.system_errors import explained, of_machine

__all__ = ["EXTRAS", "UNLOADABLE", "installed", "load", "missing", "remedy", "require"]

EXTRAS = {
    "fem": ("dolfinx", "petsc4py", "mpi4py", "gmsh", "h5py"),
    "surrogate": ("torch", "neuralop"),
    "hpc": ("submitit", "tensorboard"),
    "dask": ("distributed",),
    "cma": ("cma",),
    "tumor": ("nibabel",),
    "flame": ("cantera",),
    "seismic": ("deepwave",),
    "segy": ("segyio",),
}
"""What each extra brings, by the name to import it by; the first is what it is there for."""

UNLOADABLE = (ImportError, OSError, RuntimeError)
"""What importing a broken package raises: a missing library is the second, or mpi4py's third."""


def remedy(package: str) -> str:
    """What to do to get a package."""
    extra = next(name for name, packages in EXTRAS.items() if package in packages)
    other = " (or take FEniCSx 0.11 from conda-forge)" if extra == "fem" else ""
    return f"run pip install -e '.[{extra}]' in your clone of pdeinv{other}"


def missing(package: str, needs: str, why: Exception | None = None) -> PdeinvError:
    """The error of what ``needs`` a package, such as "networks need", that cannot be had."""
    if why is not None and of_machine(why):
        return SystemFault(f"{package} cannot be loaded; {explained(why)}")
    if isinstance(why, ModuleNotFoundError) and (why.name or "").partition(".")[0] == package:
        why = None
    limit = address_space()
    if why is not None and limit is not None:  # not every library tells that it met the limit
        return SystemFault(
            f"{package} cannot be loaded ({reason(why)}); it may not fit into the "
            f"{size_of(limit)} of addresses that this process may have: raise 'ulimit -v'"
        )
    trouble = "is not installed" if why is None else f"cannot be loaded ({reason(why)})"
    return MissingDependency(f"{needs} the package {package}, which {trouble}; {remedy(package)}")


def load(package: str, needs: str) -> Any:
    """The module of an optional package.

    Raises:
        MissingDependency: it cannot be imported; the message has the command that installs it.
    """
    try:
        return import_module(package)
    except UNLOADABLE as error:
        raise missing(package, needs, error) from None


def require(package: str, needs: str) -> None:
    """Refuse to begin where a package is not installed; nothing is imported.

    Args:
        package: the name to import it by.
        needs: who needs it, for the message.

    Raises:
        MissingDependency: it is not there; the message has the command that installs it.
    """
    if not installed(package):
        raise missing(package, needs)


def installed(package: str) -> bool:
    """Whether a package is there; nothing is imported."""
    try:
        return find_spec(package) is not None
    except (ImportError, ValueError):
        return False
