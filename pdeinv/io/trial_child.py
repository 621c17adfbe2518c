"""A process of its own that reads a NetCDF file: ``python -m pdeinv.io.trial_child FILE SECONDS``.

What matters is whether it comes to an end; errors are the reader's to tell.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

__all__: list[str] = []

MOST = 1 << 26
"""Bytes of a variable up to which all of it is read; else its first and last row."""


def _limit(seconds: int) -> None:
    """Take no longer, and leave no core behind."""
    import resource

    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def _read(group: Any) -> None:
    for holder in (group, *group.variables.values()):
        for name in holder.ncattrs():
            with suppress(Exception):
                holder.getncattr(name)
    for variable in group.variables.values():
        variable.set_auto_maskandscale(False)
        for rows in _parts(variable):
            with suppress(Exception):
                variable[rows]
    for inner in group.groups.values():
        _read(inner)


def _parts(variable: Any) -> list[Any]:
    if variable.ndim == 0 or variable.size * 8 <= MOST:
        return [...]
    row = variable.size // variable.shape[0]
    return [0, -1] if row * 8 <= MOST else []


def _main(path: str, seconds: str) -> None:
    with suppress(ImportError, ValueError, OSError):
        _limit(int(seconds))
    with suppress(Exception):
        import netCDF4

        from pdeinv.io.names import spelled

        with spelled(Path(path)) as name, netCDF4.Dataset(str(name)) as file:
            _read(file)


if __name__ == "__main__":
    _main(*sys.argv[1:])
