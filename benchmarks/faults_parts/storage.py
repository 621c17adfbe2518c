"""Faults of disks, folders, caches, compilers and descriptors."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from .fault import Fault, NotHere, Place, Surroundings, Verb, with_limits

__all__ = ["FAULTS"]

FULL = (r"no space left",)


def _writes(verb: Verb) -> bool:
    return verb.writes


def _disk(options: str) -> Callable[[Place], AbstractContextManager[Surroundings]]:
    """A file system of its own for the outputs."""

    @contextmanager
    def around(place: Place) -> Iterator[Surroundings]:
        mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place.out)]
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NotHere("needs the right to mount")
        try:
            yield Surroundings()
        finally:
            subprocess.run(["umount", "-l", str(place.out)], check=True)

    return around


def _limited(*limits: str) -> Callable[[Place], AbstractContextManager[Surroundings]]:
    """Limits of the shell."""

    @contextmanager
    def around(_: Place) -> Iterator[Surroundings]:
        yield Surroundings(under=with_limits(*limits))

    return around


FAULTS = (
    Fault("disk of 4 KiB", "storage", _disk("size=4k"), frozenset({0, 1}), FULL, _writes),
    Fault("disk of 100 KiB", "storage", _disk("size=100k"), frozenset({0, 1}), FULL, _writes),
    Fault(
        "descriptors", "storage", _limited("-n 24"), frozenset({0, 1}), (r"too many open files",)
    ),
)
