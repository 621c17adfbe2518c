"""What the system refuses, as one line: what, where, and what to do about it.

Libraries hide the reason: HDF5 says "HDF error" of a full disk, others put the number of the error
into a text. It is then looked for in the chain of errors, in their texts and on the disk itself.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pdeinv.errors import PdeinvError, SystemFault, reason
from pdeinv.memory import capacity, ran_out, size_of

__all__ = [
    "SHARED",
    "cannot",
    "explained",
    "file_limit",
    "free_bytes",
    "limit_of",
    "of_machine",
    "refusal",
    "short_of_files",
    "system_error",
]

PROBE_BYTES = 1 << 20
"""Written to find out why a library could not."""

SHORT_BYTES = 1 << 20
"""A disk with less than this is full."""

FEW_FILES = 256
"""With fewer files that may be open, libraries cannot all be loaded in a worker."""

SHARED = Path("/dev/shm")
"""Where processes of Linux share memory."""

_NUMBER = re.compile(r"\(os error (\d+)\)|errno = (\d+)|\[Errno (\d+)\]")
"""How Rust, HDF5 and Python write the number of an error."""

_OURS = frozenset(
    {
        *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.EMFILE),
        *(errno.ENFILE, errno.ESTALE),
    }
)
"""Numbers that always mean the machine, wherever they are found."""

_TEXTS = {os.strerror(number): number for number in _OURS}
"""What C libraries write instead of a number."""


def system_error(error: BaseException) -> OSError | None:
    """What the system refused where that is what an error comes from, else None.

    What stands in a text, or further back in the chain, counts where it can only mean the machine:
    a bug may well follow upon a file that was not there.
    """
    if isinstance(error, OSError) and error.errno:
        return error
    for one in _chain(error):
        if isinstance(one, PdeinvError):
            return None  # it says already what is wrong
        number = _number(one)
        if number in _OURS:
            return OSError(number, os.strerror(number), getattr(one, "filename", None))
    return error if isinstance(error, OSError) else None


def of_machine(error: BaseException) -> bool:
    """Whether an error comes from a disk or a limit, and not from what is asked for."""
    found = system_error(error)
    return _out_of_memory(error) is not None or (found is not None and found.errno in _OURS)


def _out_of_memory(error: BaseException) -> BaseException | None:
    """What says that memory ran out, of an error and those that it was raised from."""
    for one in _chain(error):
        if isinstance(one, PdeinvError):
            return None
        if ran_out(one):
            return one
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those that it was raised from; two may name each other."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _number(error: BaseException) -> int | None:
    if isinstance(error, OSError) and error.errno:
        return error.errno
    text = str(error)
    found = _NUMBER.search(text)
    if found:
        return int(next(group for group in found.groups() if group))
    return next((number for said, number in _TEXTS.items() if said in text), None)


def refusal(folder: Path, written: Path | None = None) -> OSError | None:
    """Why a folder takes no data now; None where it does.

    Args:
        folder: it has to exist.
        written: what a library was writing there, which may have reached the largest size.
    """
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error
    limit = limit_of("RLIMIT_FSIZE")
    if written is not None and limit is not None and _size(written) >= limit:
        return OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    return None


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def short_of_files() -> str:
    """What may have ended a worker besides a lack of memory: few files that may be open, or ""."""
    limit = limit_of("RLIMIT_NOFILE")
    few = limit is not None and limit < FEW_FILES
    return f", or of files that may be open: {limit}, raise 'ulimit -n'" if few else ""


def explained(error: BaseException) -> SystemFault | None:
    """An error of the system as one line; None where the error is another."""
    if isinstance(error, SystemFault):
        return error
    short = _out_of_memory(error)
    if short is not None:
        there = f"this process may have {size_of(capacity())}"
        return SystemFault(f"out of memory ({reason(short)}); {there}; ask for less at once")
    found = system_error(error)
    if found is None:
        return None
    name = found.filename
    return cannot("use", Path(os.fsdecode(name)) if isinstance(name, str | bytes) else None, found)


def cannot(do: str, path: Path | None, error: OSError) -> SystemFault:
    """The line of an error of the system.

    Args:
        do: what was tried, "write" say.
        path: with which file or folder, if that is known.
        error: what the system said.
    """
    begin = "the system refuses" if path is None else f"cannot {do} {path}"
    if do == "read" and error.errno in (errno.EACCES, errno.EPERM):
        return SystemFault(f"{begin}: {_said(error)}; ask its owner for the right to read it")
    return SystemFault(f"{begin}: {_why(error, path)}")


def _why(error: OSError, path: Path | None) -> str:
    said = _said(error)
    match error.errno:
        case errno.ENOSPC:
            return f"no space left {_full(path)}; free some there, or choose another folder"
        case errno.EDQUOT:
            return "the disk quota is used up; delete files, or ask for a larger quota"
        case errno.EFBIG:
            return f"the file would be larger than {file_limit()}"
        case errno.EMFILE:
            limit = limit_of("RLIMIT_NOFILE")
            return f"{said}, {limit} are allowed; raise the limit with 'ulimit -n 1024'"
        case number:
            more = _REMEDIES.get(number or 0, "")
            return f"{said}{more}"


_REMEDIES = {
    **dict.fromkeys(
        (errno.EROFS, errno.EACCES, errno.EPERM),
        "; choose a folder that you may write to, or change the permissions",
    ),
    **dict.fromkeys(
        (errno.EIO, errno.ESTALE, errno.ENXIO, errno.ENODEV, errno.ETIMEDOUT),
        ": the disk or its file system fails; look at the system's log, or choose another disk",
    ),
    errno.ENFILE: " on this machine; end other programs",
    errno.EAGAIN: ": no more processes may be started; raise 'ulimit -u'",
}


def _said(error: OSError) -> str:
    text = error.strerror or reason(error)
    return text[:1].lower() + text[1:]


def file_limit() -> str:
    """How large a file may be here, in words, with what to do."""
    limit = limit_of("RLIMIT_FSIZE")
    if limit is None:
        return "this file system allows; choose another folder"
    return f"the {limit} bytes that are allowed; raise the limit with 'ulimit -f unlimited'"


def limit_of(name: str) -> int | None:
    """A limit of this process; None where there is none."""
    try:
        import resource
    except ImportError:  # a system without limits
        return None
    soft = resource.getrlimit(getattr(resource, name))[0]
    return None if soft == resource.RLIM_INFINITY else soft


def _full(path: Path | None) -> str:
    """Where there is no space: beside a file, else in the places that are full."""
    if path is not None:
        folder = next(p for p in (path.absolute(), *path.absolute().parents) if p.is_dir())
        return f"in {folder} ({free_bytes(folder)} bytes free)"
    places = (Path(tempfile.gettempdir()), SHARED, Path.cwd())
    full = [str(p) for p in dict.fromkeys(places) if p.is_dir() and free_bytes(p) < SHORT_BYTES]
    return f"in {' and '.join(full)}" if full else "on a disk"


def free_bytes(folder: Path) -> int:
    """Bytes that are free on the disk of a folder."""
    return shutil.disk_usage(folder).free
