"""Faults of disks, folders, caches, compilers and descriptors."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from .fault import Fault, NotHere, Place, Surroundings, Verb, every, names, with_limits

__all__ = ["FAULTS"]

Around = Callable[[Place], AbstractContextManager[Surroundings]]
SHIM = Path(__file__).with_name("refuse.c")
GOES_ON, STOPS, EITHER, REFUSES = (frozenset(c) for c in ({0}, {1}, {0, 1}, {2}))

FULL = (r"no space left in ", r"the disk of .* holds ")
"""Told by a write, or by an estimate before."""
QUOTA = (r"the disk quota is used up; delete files",)
BROKEN = (r"input/output error: the disk or its file system fails",)
LIMIT = (r"larger than the \d+ bytes that are allowed; raise the limit with 'ulimit -f",)
FILES = (
    r"too many open files, \d+ are allowed; raise the limit with 'ulimit -n",
    r"files that may be open: \d+, raise 'ulimit -n'",
)
COMPILER = (r"needs? a C compiler: .*; apt install gcc",)
SHARED = (r"MB of shared memory, and /dev/shm ",)


def _writes(verb: Verb) -> bool:
    return verb.writes


_COMPILES = names(
    "solve", "generate --workers 2", "train-surrogate latent", "invert pcn", "check", "import"
)
"""Verbs that need compiled forms and kernels in each of the ways there are."""


def _with(**env: str | None) -> Around:
    """Environment variables; "{place}" is the folder of the run."""

    @contextmanager
    def around(place: Place) -> Iterator[Surroundings]:
        yield Surroundings(
            {k: v if v is None else v.format(place=place.folder) for k, v in env.items()}
        )

    return around


def _limited(*limits: str) -> Around:
    """Limits of the shell."""

    @contextmanager
    def around(_: Place) -> Iterator[Surroundings]:
        yield Surroundings(under=with_limits(*limits))

    return around


@contextmanager
def _mounted(folder: Path, options: str) -> Iterator[None]:
    """A file system of its own on a folder."""
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        raise NotHere("needs the right to mount")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _disk(options: str) -> Around:
    """Outputs on a disk of its own."""

    @contextmanager
    def around(place: Place) -> Iterator[Surroundings]:
        with _mounted(place.out, options):
            yield Surroundings()

    return around


def _cache(options: str) -> Around:
    """Caches, and the home, on a disk of their own."""

    @contextmanager
    def around(place: Place) -> Iterator[Surroundings]:
        home = place.folder / "home"
        home.mkdir()
        with _mounted(home, options):
            yield Surroundings({"HOME": str(home), "XDG_CACHE_HOME": None})

    return around


@contextmanager
def _cut_off(place: Place) -> Iterator[Surroundings]:
    """A cache whose libraries a full disk has cut off."""
    kept = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pdeinv"
    copy = place.folder / "cache" / "pdeinv"
    shutil.copytree(kept, copy, ignore=lambda *_: ["cards"])
    for folder in (copy, *copy.glob("forms/*/")):
        folder.chmod(0o700)
    for library in copy.rglob("*.so"):
        os.truncate(library, 5000)
    yield Surroundings({"XDG_CACHE_HOME": str(copy.parent)})


def _refusing(number: int, after: int) -> Around:
    """Writes into the folder of outputs fail after some bytes."""

    @contextmanager
    def around(place: Place) -> Iterator[Surroundings]:
        shim = place.folder / "refuse.so"
        line = ["cc", "-shared", "-fPIC", "-O1", str(SHIM), "-o", str(shim), "-ldl"]
        if subprocess.run(line, capture_output=True, check=False).returncode:
            raise NotHere("needs a C compiler")
        told = {"UNDER": str(place.out), "AFTER": str(after), "WITH": str(number)}
        yield Surroundings({"LD_PRELOAD": str(shim), **{f"REFUSE_{k}": v for k, v in told.items()}})

    return around


def _shared_memory(options: str) -> Around:
    """/dev/shm is another, for the processes of the verb alone."""

    @contextmanager
    def around(_: Place) -> Iterator[Surroundings]:
        mount = f'mount -t tmpfs -o {options} tmpfs /dev/shm; exec "$@"'
        under = ("unshare", "-m", "bash", "-ec", mount, "bash")
        if subprocess.run([*under, "true"], capture_output=True, check=False).returncode:
            raise NotHere("needs the right to mount")
        yield Surroundings(under=under)

    return around


def _fault(
    name: str,
    around: Around,
    codes: frozenset[int],
    says: tuple[str, ...] = (),
    on: Callable[[Verb], bool] = every,
) -> Fault:
    return Fault(name, "storage", around, codes, says, on)


FAULTS = (
    _fault("disk of 4 KiB", _disk("size=4k"), STOPS | REFUSES, FULL, _writes),
    _fault("disk of 100 KiB", _disk("size=100k"), EITHER | REFUSES, FULL, _writes),
    _fault("quota", _refusing(errno.EDQUOT, 6000), STOPS, QUOTA, _writes),
    _fault("broken disk", _refusing(errno.EIO, 20000), EITHER, BROKEN, _writes),
    _fault("`ulimit -f 2`", _limited("-f 2"), STOPS, LIMIT, _writes),
    _fault("read-only folder", _disk("ro"), REFUSES, (r"is not writable; choose",), _writes),
    _fault("`ulimit -n 24`", _limited("-n 24"), EITHER, FILES),
    _fault("read-only home", _cache("ro"), GOES_ON, on=_COMPILES),
    _fault("full home", _cache("size=12k"), GOES_ON, on=_COMPILES),
    _fault("no home", _with(HOME="/proc/none", XDG_CACHE_HOME=None), GOES_ON, on=_COMPILES),
    _fault("cache is a file", _with(XDG_CACHE_HOME="/dev/null"), GOES_ON, on=_COMPILES),
    _fault("cache cut off", _cut_off, GOES_ON, on=_COMPILES),
    _fault("no compiler", _with(CC="/nonexistent/cc", XDG_CACHE_HOME="{place}/cache"),
           EITHER, COMPILER, _COMPILES),
    _fault("compiler fails", _with(CC="false", XDG_CACHE_HOME="{place}/cache"),
           EITHER, COMPILER, _COMPILES),
    _fault("/dev/shm full", _shared_memory("size=4k"), EITHER, SHARED, _COMPILES),
    _fault("/dev/shm of 16 MiB", _shared_memory("size=16384k"), GOES_ON, on=_COMPILES),
    _fault("/dev/shm read-only", _shared_memory("ro"), EITHER, SHARED, _COMPILES),
)  # fmt: skip
"""Codes 0 and 1 where it depends on the size of an output, or on what a verb opens."""
