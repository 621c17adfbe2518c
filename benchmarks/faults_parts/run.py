"""Running one verb under one fault, and judging what became of it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from pdeinv.io.marks import written_by_pdeinv

from .fault import Fault, NotHere, Place, Surroundings, Verb
from .verbs import READY, RUN_FILE, TABLE

__all__ = ["Ended", "make_ready", "tried"]

MOST_SECONDS = 300
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
USUAL = Surroundings()
LINE = re.compile(r"^error: .*$", re.MULTILINE)


@dataclass(frozen=True)
class Ended:
    """What became of a verb under a fault.

    Attributes:
        code: its exit code; None where the fault cannot be made here.
        line: its one line, or why the fault cannot be made.
        again: the exit code of the same command after the fault; None where that was not asked.
        wrong: what is not as it should be; empty where all is.
    """

    code: int | None
    line: str
    again: int | None = None
    wrong: tuple[str, ...] = ()

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True)
class _Done:
    code: int
    err: str


def _start(pdeinv: Path, words: list[str], folder: Path, around: Surroundings = USUAL) -> _Done:
    """Run a command to its end."""
    usual = {k: v for k, v in os.environ.items() if not k.startswith("PDEINV_")}
    found = {**usual, **THREADS, **around.env}
    env = {k: v for k, v in found.items() if v is not None}
    err_file = around.stderr or folder / "stderr"
    with _opened(around.stdout or folder / "stdout") as out, _opened(err_file) as err:
        try:
            done = subprocess.run(
                [*around.under, str(pdeinv), *words, *around.more],
                cwd=folder, env=env, stdout=out, stderr=err, timeout=MOST_SECONDS, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return _Done(124, f"still running after {MOST_SECONDS} s")
    return _Done(done.returncode, "" if around.stderr else err_file.read_text(errors="replace"))


def _opened(path: Path) -> IO[bytes]:
    return path.open("wb")


def make_ready(pdeinv: Path, folder: Path) -> None:
    """Make the inputs of all verbs, where that was not done before."""
    if (folder / "done").exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "run.toml").write_text(RUN_FILE)
    (folder / "tank.csv").write_text(TABLE)
    for line in READY:
        done = _start(pdeinv, [*shlex.split(line), "-q"], folder)
        if done.code:
            raise SystemExit(f"pdeinv {line}: exit code {done.code}\n{done.err}")
    (folder / "done").touch()


def tried(pdeinv: Path, ready: Path, folder: Path, fault: Fault, verb: Verb) -> Ended:
    """Run a verb under a fault, and once more without it."""
    shutil.rmtree(folder, ignore_errors=True)
    place = Place(folder, folder / "out")
    place.out.mkdir(parents=True)
    words = [*shlex.split(verb.line.format(ready=ready, out=place.out)), "-q"]
    try:
        with fault.around(place) as around:
            done = _start(pdeinv, words, folder, around)
            wrong = _wrong(fault, done, _left(place.out))
            # a disk that is full is the same disk when there is space again
            _carry_over(place.out)
    except NotHere as why:
        return Ended(None, str(why))
    _bring_back(place.out)
    again = None
    if fault.again and done.code:
        resumed = ["--resume"] if verb.resumes else []
        second = _start(pdeinv, [*words, *resumed], folder)
        again = second.code
        if again:
            wrong.append(f"again: exit code {again}: {' '.join(LINE.findall(second.err))[:300]}")
    shutil.rmtree(folder, ignore_errors=not wrong)
    return Ended(done.code, _line(done), again, tuple(wrong))


def _carry_over(out: Path) -> None:
    """Keep what is in a folder that goes with the fault."""
    if out.is_mount():
        shutil.copytree(out, out.parent / "kept", symlinks=True)


def _bring_back(out: Path) -> None:
    kept = out.parent / "kept"
    if kept.exists():
        shutil.copytree(kept, out, symlinks=True, dirs_exist_ok=True)


def _line(done: _Done) -> str:
    found = LINE.findall(done.err)
    lines = done.err.strip().splitlines()
    return found[0].removeprefix("error: ") if found else lines[-1] if lines else ""


def _wrong(fault: Fault, done: _Done, left: list[str]) -> list[str]:
    """What is not as the fault expects it."""
    wrong = []
    if done.code not in fault.codes:
        wrong.append(f"exit code {done.code}, expected {sorted(fault.codes)}")
    if "Traceback" in done.err:
        wrong.append("traceback")
    if fault.shown and done.code:
        lines = done.err.strip().splitlines()
        if len(LINE.findall(done.err)) != 1 or not lines[-1].startswith("error: "):
            wrong.append(f"{len(lines)} lines, expected one that begins with 'error:'")
        elif not any(re.search(pattern, _line(done)) for pattern in fault.says):
            wrong.append(f"the line says none of {fault.says}")
    return wrong + [f"left behind: {name}" for name in left]


def _left(out: Path) -> list[str]:
    """What is half-written: scratch, and outputs without their mark."""
    found = sorted(out.iterdir()) if out.is_dir() else []
    return [
        path.name
        for path in found
        if path.name.startswith(".")
        or not (path.suffix == ".run" or path.name == "events" or written_by_pdeinv(path))
    ]
