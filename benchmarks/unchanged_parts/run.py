"""Running cases: each in its folder, several side by side, one thread each."""

from __future__ import annotations

import csv
import json
import os
import shlex
import shutil
import subprocess
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile

import netCDF4
import numpy as np

from .arrays import Arrays, numbers, outputs
from .case import Case
from .spelling import Spelling

STOPPED = 75
"""Exit code of a command that saved its state."""

DONE = "done.txt"
"""In the folder of a case that ran to its end: what it was."""

MOST_SECONDS = 600
"""Of one command."""

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass
class Ran:
    """What a case left behind.

    Attributes:
        arrays: by name.
        seconds: of processor time that it took.
        failure: the line that failed and its last words.
    """

    arrays: Arrays = field(default_factory=dict)
    seconds: float = 0.0
    failure: str = ""


@dataclass(frozen=True)
class Done:
    """A command that has ended: its exit code, what it printed, its processor time."""

    code: int
    out: str
    err: str
    seconds: float


class Failed(Exception):
    """A line that did not end as it should."""


class Executable:
    """A pdeinv to run lines with, in one scratch folder."""

    def __init__(self, path: Path, scratch: Path):
        """Look up how it spells things."""
        self.path, self.scratch = path, scratch
        kept = {k: v for k, v in os.environ.items() if not k.startswith("PDEINV_")}
        self.environment = {**kept, **dict.fromkeys(THREADS, "1"), "COLUMNS": "200"}
        self.spelling = Spelling(lambda words: self.call(words, scratch).out)

    def call(self, words: Sequence[str], folder: Path) -> Done:
        """Run words to their end, at most `MOST_SECONDS` of wall time."""
        with TemporaryFile("w+") as out, TemporaryFile("w+") as err:
            process = subprocess.Popen(
                [str(self.path), *words], cwd=folder, env=self.environment, stdout=out, stderr=err
            )
            limit = threading.Timer(MOST_SECONDS, process.kill)
            limit.start()
            _, status, used = os.wait4(process.pid, 0)  # with the processor time of this one alone
            limit.cancel()
            process.returncode = os.waitstatus_to_exitcode(status)
            out.seek(0)
            err.seek(0)
            return Done(process.returncode, out.read(), err.read(), used.ru_utime + used.ru_stime)

    def run(self, one: Case) -> Ran:
        """All lines of a case, and what they wrote."""
        folder = self.scratch / one.name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "run.toml").write_text(self.spelling(one.toml))
        found = Ran()
        try:
            for i, line in enumerate(one.lines):
                self.line(line, folder, i, found)
            found.arrays |= outputs(folder)
            (folder / DONE).write_text(one.text)
        except Failed as error:
            found.failure = " ".join(str(error).split())
        return found

    def has(self, one: Case) -> bool:
        """Whether the scratch folder holds all that this very case wrote."""
        mark = self.scratch / one.name / DONE
        return mark.exists() and mark.read_text() == one.text

    def line(self, line: str, folder: Path, number: int, found: Ran) -> None:
        """Run one line, and keep what it printed as JSON."""
        head, colon, rest = line.partition(": ")
        if colon and head == "csv":
            voltages(*(folder / name for name in rest.split()))
            return
        stops = bool(colon) and head == "stops"
        words = shlex.split(self.spelling(rest if stops else line))
        done = self.call([*words, "--quiet"], folder)
        found.seconds += done.seconds
        if done.code not in ((0, STOPPED) if stops else (0,)):
            last = (done.err.strip() or done.out.strip()).splitlines()[-1:]
            raise Failed(f"exit code {done.code} of `{line}`: {' '.join(last)}")
        if "--json" in words:
            found.arrays |= numbers(json.loads(done.out), f"printed-{number}.json")


def voltages(source: Path, target: Path) -> None:
    """The voltages of an observation file of electrode pairs as an instrument lists them."""
    with netCDF4.Dataset(source) as data:
        drives, pairs, measured = (
            np.ma.filled(data[name][:], np.nan)
            for name in ("current", "measurement_pattern", "voltage")
        )
    with target.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["drive_plus", "drive_minus", "meas_plus", "meas_minus", "value"])
        for i, m in zip(*np.nonzero(np.isfinite(measured)), strict=True):
            ends = drives[i].argmax(), drives[i].argmin(), pairs[m].argmax(), pairs[m].argmin()
            table.writerow([*(int(e) + 1 for e in ends), f"{measured[i, m]:.9e}"])


def run_all(
    executable: Executable, cases: Sequence[Case], jobs: int, report: Callable[[Case, Ran], None]
) -> None:
    """Run cases `jobs` at a time, each after those whose files it reads."""
    lock, futures = threading.Lock(), dict[str, Future[Ran]]()

    def work(one: Case) -> Ran:
        needed = {name: futures[name].result() for name in one.after if name in futures}
        broken = [name for name, ran in needed.items() if ran.failure]
        ran = Ran(failure=f"needs {', '.join(broken)}") if broken else executable.run(one)
        with lock:
            report(one, ran)
        return ran

    with ThreadPoolExecutor(jobs) as pool:
        for one in ordered(cases):
            futures[one.name] = pool.submit(work, one)
        for future in futures.values():
            future.result()


def ordered(cases: Sequence[Case]) -> list[Case]:
    """Each case behind those that it needs; a thread that waits then waits for one that runs."""
    by_name, done = {one.name: one for one in cases}, dict[str, Case]()

    def add(one: Case) -> None:
        for name in one.after:
            if name in by_name:
                add(by_name[name])
        done.setdefault(one.name, one)

    for one in cases:
        add(one)
    return list(done.values())
