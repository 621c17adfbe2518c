"""Why a file cannot be read: what the system says, a lock, or what is in it.

Libraries throw the reason away: HDF5 says "HDF error" of a locked file as of a truncated one.
"""

from __future__ import annotations

import errno
import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pdeinv.errors import DataSchemaError, PdeinvError, SystemFault
from pdeinv.foreign import Unreadable, check_regular
from pdeinv.system_errors import cannot, of_machine, system_error

__all__ = ["lock_on", "not_netcdf", "parsed", "refused", "unreadable"]

_HDF5, _CLASSIC = b"\x89HDF\r\n\x1a\n", b"CDF"
"""How HDF5 begins, which NetCDF-4 is, and older NetCDF."""

_OF_THE_USER = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM)
"""Refusals that another path or another permission ends; the rest is the machine's."""


def refused(path: Path, error: BaseException | None = None) -> PdeinvError | None:
    """What the system has against reading a file; None where it lets it be read.

    Args:
        path: of the file.
        error: what a library made of it; the file is opened in any case.
    """
    found = None if error is None else system_error(error)
    if found is None or not found.errno or found.errno < 0:  # NetCDF has negative ones of its own
        found = _opening(path)
    if found is None:
        return None
    fault = cannot("read", path, found)
    return DataSchemaError(str(fault)) if found.errno in _OF_THE_USER else fault


@contextmanager
def parsed(path: Path, refusal: Callable[[str], PdeinvError]) -> Iterator[None]:
    """Whatever another library raises on a file from elsewhere, as one line.

    The block holds calls of that library alone, so that no error of ours is taken for the file's.

    Args:
        path: of the file, which has to be a regular one.
        refusal: what to say of it, by the kind of damage.

    Raises:
        PdeinvError: why the system refuses the file, else what ``refusal`` says.
    """
    try:
        check_regular(path)
        yield
    except PdeinvError:
        raise
    except Unreadable as error:
        raise refusal(str(error)) from error
    except Exception as error:
        said = refused(path, error)
        if said is None and of_machine(error):  # memory that ran out, say
            raise
        raise said or refusal(type(error).__name__) from error


def _opening(path: Path) -> OSError | None:
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        return error
    return None


def unreadable(path: Path, error: Exception) -> PdeinvError:
    """The error of a NetCDF or HDF5 file that its library could not read."""
    return refused(path, error) or not_netcdf(path)


def not_netcdf(path: Path) -> PdeinvError:
    """The error of such a file that the system lets be read: a lock, or what is in it."""
    locked = lock_on(path)
    if locked:
        return SystemFault(
            f"cannot read {path}: {locked}; set HDF5_USE_FILE_LOCKING=FALSE where nobody writes it"
        )
    return DataSchemaError(f"cannot read {path} as NetCDF-4; {_content(path)}")


def lock_on(path: Path) -> str | None:
    """Why HDF5 gets no lock on a file, in words; None where it does."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return "it is locked, since another program has it open for writing"
        except OSError as error:
            return f"its file system has no locks ({error.strerror})"
    return None


def _content(path: Path) -> str:
    """What is wrong with the bytes of a file."""
    with path.open("rb") as file:
        head = file.read(len(_HDF5))
    if not head:
        return "it is empty; write it again, or check the download"
    if head == _HDF5 or head.startswith(_CLASSIC):
        return "it is truncated or damaged; write it again, or check the download"
    return "it is of another format; expected what 'pdeinv' or a NetCDF library writes"
