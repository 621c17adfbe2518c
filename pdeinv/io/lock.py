"""One run owns an output, from before it touches anything to its end.

The lock is a file ``.NAME.lock`` beside the output, held by ``flock``, which the system drops when
the process ends, however it ends. Where the file system has no locks, a file ``.NAME.owner`` that
only one process can create says whose the output is; it is taken over when that process is gone.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from pdeinv.errors import OutputBusy
from pdeinv.foreign import read_json
from pdeinv.io.atomic import sweep
from pdeinv.system_errors import cannot

__all__ = ["check_free", "owned"]

_held: list[Path] = []
"""Outputs that this process owns."""


@contextmanager
def owned(out: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold an output while the block runs, cleared of scratch before it and after it.

    Args:
        out: the output; it need not exist.
        shared: with others that share it, as the parts of one data set do.

    Raises:
        OutputBusy: another run holds it; nothing was changed.
        SystemFault: no lock can be made there.
    """
    path = out.parent / f".{out.name}.lock"
    with ExitStack() as held:
        held.callback(_sweep, path)
        try:
            locked = _lock(path, out, shared, held)
        except OSError as error:
            raise cannot("lock", out, error) from error
        if not locked:
            held.enter_context(_named(out.parent / f".{out.name}.owner", out, shared))
        if not shared:
            _clear(out)
            held.callback(_clear, out)  # a signal may come where no block has taken scratch over
        yield


def _clear(out: Path) -> None:
    """Remove scratch of an output that nobody else writes."""
    sweep(out.absolute().parent, f"{out.name}.")


def check_free(out: Path) -> None:
    """Refuse an output that another run owns, without a claim to it.

    Raises:
        OutputBusy: another run holds it.
    """
    path = out.parent / f".{out.name}.lock"
    if path.resolve() in _held:
        return
    try:
        stream = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:  # nobody has one, or none that this user may ask
        return
    try:
        fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _busy(out) from None
    except OSError:
        pass  # a file system without locks
    finally:
        os.close(stream)


def _busy(out: Path) -> OutputBusy:
    return OutputBusy(f"another run is writing {out}; wait for it, or choose another --out")


def _lock(path: Path, out: Path, shared: bool, held: ExitStack) -> bool:
    """Lock the file until ``held`` is closed; False on a file system without locks."""
    while True:
        stream = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        with ExitStack() as opened:
            opened.callback(os.close, stream)
            try:
                fcntl.flock(stream, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            except BlockingIOError:
                raise _busy(out) from None
            except OSError:
                path.unlink(missing_ok=True)
                return False
            if _is(stream, path):  # else its last owner has removed it meanwhile
                held.push(opened.pop_all())
                _held.append(path.resolve())
                held.callback(_held.remove, path.resolve())
                return True


def _is(stream: int, path: Path) -> bool:
    """Whether an open file still stands under its name."""
    try:
        return os.path.samestat(os.fstat(stream), path.stat())
    except FileNotFoundError:
        return False


def _sweep(path: Path) -> None:
    """Remove the file of a lock that nobody holds, also where a signal came while it was made."""
    try:
        stream = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return
    with suppress(OSError):
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is(stream, path):
            path.unlink(missing_ok=True)
    os.close(stream)


@contextmanager
def _named(path: Path, out: Path, shared: bool) -> Iterator[None]:
    """The same by a file that says who holds it; those who share only look whether one does."""
    while path.exists():
        owner = _read(path)
        if owner is None or _lives(owner):
            raise _busy(out)
        _take_away(path, owner)
    if shared:
        yield
        return
    try:
        stream = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:
        raise _busy(out) from None
    try:
        with os.fdopen(stream, "w") as file:
            pid = os.getpid()
            json.dump({"host": socket.gethostname(), "pid": pid, "start": _start(pid)}, file)
        yield
    finally:
        path.unlink(missing_ok=True)


def _read(path: Path) -> dict[str, Any] | None:
    """Who holds it; None while that is being written, or where it says nothing."""
    try:
        found = read_json(path)
        return found if {"host", "pid", "start"} <= found.keys() else None
    except (OSError, ValueError, AttributeError):
        return None


def _lives(owner: dict[str, Any]) -> bool:
    """Whether the process is there; those of other hosts cannot be asked and count as living."""
    if owner["host"] != socket.gethostname():
        return True
    try:
        os.kill(int(owner["pid"]), 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # somebody else's
    return bool(owner["start"] == _start(int(owner["pid"])))


def _start(pid: int) -> int:
    """When a process began, in ticks since the system did; 0 where the system does not tell."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return 0


def _take_away(path: Path, owner: dict[str, Any]) -> None:
    """Remove the file of a process that is gone, but not that of one who was faster."""
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    with suppress(FileNotFoundError):
        os.rename(path, aside)
        if _read(aside) == owner:
            aside.unlink()
        else:
            os.rename(aside, path)
