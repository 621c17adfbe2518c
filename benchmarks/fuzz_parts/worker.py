"""One process that reads spoiled files, one after the other, and says how each one ended.

Lines on stdout: ``begin K``, then ``end K OUTCOME SECONDS PEAK [what was raised]``.
"""

from __future__ import annotations

import faulthandler
import json
import os
import random
import resource
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

from foreign_readers import READERS, Reader, attempt, spoiled_copy

ROOM = 1 << 30
"""Bytes that one input may make the process grow by."""


def _kilobytes(key: str) -> int:
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith(key))
    return int(line.split()[1])


def _limit() -> None:
    """From now on the process may grow by ROOM and write no file larger than that."""
    room = 1024 * _kilobytes("VmSize") + ROOM
    resource.setrlimit(resource.RLIMIT_AS, (room, room))
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, ROOM))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _say(*words: object) -> None:
    os.write(3, (" ".join(map(str, words)) + "\n").encode("utf-8", errors="backslashreplace"))


def _told(error: BaseException) -> str:
    """What was raised, and where in our own code."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if "site-packages" not in f.filename][-4:]
    where = " ".join(f"{Path(f.filename).name}:{f.lineno}" for f in ours)
    return json.dumps(f"{type(error).__name__}: {str(error)[:150]} | {where}")


def spoiled(reader: Reader, name: str, seed: int, k: int, examples: Path, folder: Path) -> Path:
    """Input ``k`` of a reader, the same in every process.

    A process of its own makes it: what the NetCDF library is made to write may leave it in a state
    in which it ends the process that goes on to read.
    """
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            spoiled_copy(random.Random(f"{seed} {name} {k}"), reader, examples, folder)
        os._exit(0)
    os.waitpid(child, 0)
    (path,) = folder.iterdir()
    return path


def one(name: str, seed: int, k: int, examples: Path, kept: Path | None = None) -> None:
    """Make and read one input."""
    reader = READERS[name]
    with tempfile.TemporaryDirectory() as folder:
        path = spoiled(reader, name, seed, k, examples, Path(folder))
        if kept is not None:
            print(kept / path.name)
            shutil.copytree(folder, kept, dirs_exist_ok=True, symlinks=True)
        before = _kilobytes("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")
        _say("begin", k)
        begun = time.process_time()
        fault: Any = ""
        try:
            outcome = attempt(reader, path)
        except BaseException as error:
            outcome = "fault"
            fault = _told(error)
            if kept is not None:
                traceback.print_exc()
        seconds = time.process_time() - begun
        _say("end", k, outcome, f"{seconds:.4f}", max(0, _kilobytes("VmHWM") - before), fault)


def main(name: str, seed: int, first: int, last: int, examples: Path) -> None:
    """Inputs ``first`` to ``last`` of a reader."""
    faulthandler.enable()
    warnings.simplefilter("ignore")
    reader = READERS[name]
    whole = [examples / e for e in reader.examples] if name != "formula" else []
    assert all(attempt(reader, path) == "accepted" for path in whole), f"{name} refuses examples"
    _limit()
    for k in range(first, last):
        one(name, seed, k, examples)


if __name__ == "__main__":
    arguments = sys.argv[1:]
    main(arguments[0], int(arguments[1]), int(arguments[2]), int(arguments[3]), Path(arguments[4]))
