"""Outputs that are complete or absent: write beside the target, then rename."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Literal

from pdeinv.errors import OutputExists, PdeinvError
from pdeinv.io.marks import check_mark
from pdeinv.io.named_files import needed_by
from pdeinv.system_errors import cannot, refusal, system_error

__all__ = [
    "SCRATCH",
    "atomic",
    "check_folder",
    "check_output",
    "remove",
    "sweep",
    "together",
    "write_text",
]


SCRATCH = len("..") + 8
_SCRATCH = re.compile(r"\..+\.[a-z0-9_]{8}")
"""Names that :func:`atomic` gives to its folders."""

ROOM = len(".toml") + SCRATCH
"""Bytes that scratch adds to a name, and the most that is added to that of an output: scratch of
the configuration beside it."""


def remove(path: Path) -> None:
    """Delete a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def check_output(
    path: Path,
    *,
    overwrite: bool = False,
    resume: bool | None = None,
    option: str = "--out",
    inputs: Iterable[Path] = (),
    kind: Literal["file", "folder"] = "file",
    room: int = ROOM,
) -> None:
    """Refuse an output that exists, or cannot be written, before any work is done.

    Args:
        path: where the output goes.
        overwrite: whether what pdeinv wrote there is replaced.
        resume: whether it is gone on with; None for a verb that cannot.
        option: which names the output on the command line.
        inputs: what is read, files and folders; what these need is not replaced either.
        kind: of the output.
        room: bytes that are added to its name for what is written beside it.

    Raises:
        OutputExists: it is one of the inputs, lies in one, or holds one that would go with it.
        OutputExists: it is there, and neither ``overwrite`` nor ``resume`` is set.
        OutputExists: it is there, one of them is set, and pdeinv did not write it, or it is of the
            other kind.
        OutputExists: its folder does not exist or is not writable, or its name is too long.
    """
    _check_name(path, option, room)
    sources, there = list(inputs), os.path.lexists(path)
    if there:
        sources += [file for source in sources for file in needed_by(source)]
    for source in sources:
        _check_input(path, source, option, kept=bool(resume))
    if there:
        if not (overwrite or resume):
            ways = "--overwrite" if resume is None else "--overwrite or --resume"
            raise OutputExists(f"{path} already exists; add {ways}, or choose another {option}")
        check_mark(path, option)
        found = "folder" if path.is_dir() else "file"
        if found != kind:
            raise OutputExists(
                f"{path} is a {found}, and a {kind} is written there; move or delete it yourself, "
                f"or choose another {option}"
            )
    folder = path.absolute().parent
    if not folder.is_dir():
        raise OutputExists(
            f"folder {folder} for output {path.name} does not exist; create it first"
        )
    if not os.access(folder, os.W_OK):
        raise OutputExists(f"folder {folder} is not writable; choose another {option}")


def check_folder(path: Path, option: str, apart: Path) -> None:
    """Refuse a folder that files are to be added to, where that cannot be.

    Args:
        path: it need not exist.
        option: which names it.
        apart: an output, with which it would be replaced.

    Raises:
        OutputExists: it is a file, cannot be written, or lies in ``apart``.
    """
    real, out = Path(os.path.realpath(path)), Path(os.path.realpath(apart))
    if out == real or out in real.parents:
        raise OutputExists(f"{path} lies in {apart}, which is replaced; choose another {option}")
    there = next(p for p in (real, *real.parents) if os.path.lexists(p))
    if not there.is_dir():
        raise OutputExists(f"{there} is no folder; choose another {option}")
    if not os.access(there, os.W_OK | os.X_OK):
        raise OutputExists(f"folder {there} is not writable; choose another {option}")


def _check_name(path: Path, option: str, room: int) -> None:
    """Refuse what names no file, and a name that leaves no room for what is written beside it."""
    if path.name in ("", ".", ".."):
        raise OutputExists(f"'{path}' names no file; choose another {option}")
    try:
        most = os.pathconf(path.absolute().parent, "PC_NAME_MAX") - room
    except (OSError, ValueError, AttributeError):  # no such folder, or a system that does not tell
        return
    size = len(os.fsencode(path.name))
    if size > most:
        raise OutputExists(
            f"the name {path.name[:40]}... has {size} bytes, expected at most {most}; choose a "
            f"shorter {option}"
        )


def _check_input(path: Path, source: Path, option: str, *, kept: bool) -> None:
    """Refuse to write over what is read, under whatever name."""
    out, real = Path(os.path.realpath(path)), Path(os.path.realpath(source))
    if out == real or (not kept and out in real.parents and out.is_dir()):
        raise OutputExists(f"{path} would replace {source}, which is read; choose another {option}")
    if real in out.parents:  # whose content counts as the input
        raise OutputExists(
            f"{path} lies in the folder {source}, which is read and would change by it; choose "
            f"another {option}"
        )


def _exchange(target: Path, path: Path, aside: Path) -> None:
    """Put ``target`` in the place of ``path``; what is there stays there if that fails."""
    if not path.is_dir() or path.is_symlink():
        os.replace(target, path)
        return
    os.replace(path, aside)  # A rename cannot replace a folder that holds something.
    try:
        os.replace(target, path)
    except OSError:
        os.replace(aside, path)
        raise


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary path to write (a file or a folder); renamed to ``path`` when the block succeeds.

    Whatever library writes there, and whatever it says of it, a disk that refuses is told as such.

    Raises:
        SystemFault: the disk is full or not writable; nothing is left behind.
    """
    scratch = path.absolute().parent / f".{path.name}.{token_hex(4)}"
    target = scratch / path.name
    try:  # from before it is there: a signal may raise in any line
        _make(scratch, path)
        yield target
        _exchange(target, path, scratch / f"{path.name}.old")
    except PdeinvError:
        raise
    except Exception as error:
        found = system_error(error) or refusal(scratch, target)
        if found is None:
            raise
        raise cannot("write", _named(path), found) from error
    finally:
        _clear(scratch)


def _make(scratch: Path, path: Path) -> None:
    try:
        os.mkdir(scratch, 0o700)
    except OSError as error:
        raise cannot("write", _named(path), error) from error


def _clear(scratch: Path) -> None:
    """Remove it, also where a signal comes meanwhile."""
    try:
        shutil.rmtree(scratch, ignore_errors=True)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


def _named(path: Path) -> Path:
    """What a path in scratch will be."""
    folder = path.parent
    return folder.parent / path.name if _SCRATCH.fullmatch(folder.name) else path


@contextmanager
def together(*paths: Path) -> Iterator[list[Path]]:
    """As :func:`atomic` for some paths, none of which is there before all are written.

    Else a stop between two of them would leave the first in the way of a repeat.

    Raises:
        SystemFault: as there.
    """
    with ExitStack() as held:
        yield [held.enter_context(atomic(path)) for path in paths]


def sweep(folder: Path, name: str = "") -> None:
    """Remove scratch that killed processes have left for what begins with ``name`` in a folder.

    Nobody else may be writing there.
    """
    for entry in list(os.scandir(folder)):
        ours = _SCRATCH.fullmatch(entry.name) and entry.name.startswith(f".{name}")
        if ours and entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file in one step.

    Raises:
        SystemFault: the disk is full or not writable; nothing is left behind.
    """
    with atomic(path) as target:
        target.write_text(text, encoding="utf-8")
