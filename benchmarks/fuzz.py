"""Spoiled and made-up files for every reader: accepted or refused in one line, and nothing else.

    python benchmarks/fuzz.py                       all readers, 5,000 inputs each, 500 for meshes
    python benchmarks/fuzz.py --reader result -n 50
    python benchmarks/fuzz.py --table               the results so far into docs/safety.md
    python benchmarks/fuzz.py --reader result --show 17   the traceback of one input

Each input is read by a process that may grow by 1 GiB, and a crash of a C library ends that process
alone and is counted. An input that takes more than five seconds of the processor, or whose process
says nothing for 30 seconds, is read once more by a process of its own when all others are done: on
a busy machine the time of any process may jump. It is a hang if it is as slow then.
Seconds and memory are those of the reading process: a mesh is read by another one beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
HELPERS, LOG = HERE.parent / "tests/helpers", HERE.parent / "out/fuzz.log"
sys.path += [str(HELPERS), str(HERE / "fuzz_parts")]

Worker = subprocess.Popen[bytes]

LONGEST, SILENT, STARTING = 5.0, 30.0, 180.0
"""Seconds: of processor time that an input may take; of silence until it is read once more; and
until a worker has begun."""
PART = 500
"""Inputs between two times that the results are kept."""
MANY, FEW = 5000, {"mesh, plane (MSH)": 500, "mesh, solid (MSH)": 500, "figure": 500}


@dataclass
class Tally:
    """How the inputs of one reader ended."""

    inputs: int = 0
    accepted: int = 0
    refused: int = 0
    faults: int = 0
    crashes: int = 0
    hangs: int = 0
    seconds_longest: float = 0.0
    megabytes_most: float = 0.0
    seen: dict[str, int] = field(default_factory=dict)
    first: dict[str, int] = field(default_factory=dict)
    slow: dict[int, float] = field(default_factory=dict)
    """Seconds of the inputs that were read once more."""

    def note(self, what: str, k: int) -> None:
        """A fault, by what was raised."""
        self.seen[what] = self.seen.get(what, 0) + 1
        self.first.setdefault(what, k)

    def crashed(self, k: int, what: str) -> None:
        """The worker ended at an input."""
        self.inputs += 1
        self.crashes += 1
        self.note(what, k)

    def ended(self, words: list[str]) -> None:
        """Take in a line of the worker."""
        k, outcome, seconds, peak = int(words[0]), words[1], float(words[2]), float(words[3])
        if seconds > LONGEST:
            self.slow[k] = seconds
            return
        self.inputs += 1
        self.accepted += outcome == "accepted"
        self.refused += outcome == "refused"
        self.seconds_longest = max(self.seconds_longest, seconds)
        self.megabytes_most = max(self.megabytes_most, peak / 1024)
        if outcome == "fault":
            self.faults += 1
            self.note(words[4], k)

    def settled(self, k: int, again: Tally) -> None:
        """Take in the second reading of an input that was slow."""
        for name in ("inputs", "accepted", "refused", "faults", "crashes"):
            setattr(self, name, getattr(self, name) + getattr(again, name))
        for name in ("seconds_longest", "megabytes_most"):
            setattr(self, name, max(getattr(self, name), getattr(again, name)))
        for what in again.seen:
            self.note(what, k)
        if k in again.slow:
            self.inputs += 1
            self.hangs += 1
            self.seconds_longest = max(self.seconds_longest, again.slow[k])
            self.note("slow", k)


def _start(name: str, seed: int, part: range, examples: Path) -> tuple[Worker, int]:
    """A worker, and the end of the pipe on which it tells (its file descriptor 3)."""
    end, begin = os.pipe()
    numbers = map(str, (seed, part.start, part.stop))
    words = [sys.executable, str(HERE / "fuzz_parts/worker.py"), name, *numbers, str(examples)]
    path = os.pathsep.join([str(HELPERS), os.environ.get("PYTHONPATH", "")])
    with LOG.open("ab") as log:
        worker = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3>&{begin} {begin}>&-', "worker", *words],
            pass_fds=(begin,), env={**os.environ, "PYTHONPATH": path}, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=log,
        )  # fmt: skip
    os.close(begin)
    return worker, end


def fuzz(name: str, seed: int, part: range, examples: Path, tally: Tally | None = None) -> Tally:
    """Read the inputs ``part``; a process that dies or hangs is followed by another."""
    tally, k = tally or Tally(), part.start
    while k < part.stop:
        worker, pipe = _start(name, seed, range(k, part.stop), examples)
        done, reading, hung = _listen(pipe, tally, k)
        if hung:
            worker.kill()
        code = worker.wait()
        os.close(pipe)
        k = done
        if k < part.stop:
            at = k if reading is None else reading
            if hung:
                tally.slow[at] = SILENT
            else:
                tally.crashed(at, f"exit {code}")
            k = at + 1
    return tally


def settled(name: str, seed: int, whole: range, examples: Path) -> Iterator[Tally]:
    """Read the inputs, and those that were slow once more; the tally after each part of them."""
    tally = Tally()
    for first in range(whole.start, whole.stop, PART):
        part = range(first, min(first + PART, whole.stop))
        fuzz(name, seed, part, examples, tally)
        for k in (k for k in part if k in tally.slow):
            tally.settled(k, fuzz(name, seed, range(k, k + 1), examples))
        yield tally


def _listen(pipe: int, tally: Tally, k: int) -> tuple[int, int | None, bool]:
    """Hear a worker out: the next input, the one that it is at, and whether it has gone silent."""
    held, reading, limit = b"", None, time.monotonic() + STARTING
    while select.select([pipe], [], [], max(0.0, limit - time.monotonic()))[0]:
        new = os.read(pipe, 1 << 16)
        if not new:
            return k, reading, False
        *lines, held = (held + new).split(b"\n")
        for line in lines:
            word, *rest = line.decode("utf-8", errors="replace").split(" ", 5)
            if word == "begin":
                reading, limit = int(rest[0]), time.monotonic() + SILENT
            else:
                tally.ended(rest)
                k, reading, limit = int(rest[0]) + 1, None, time.monotonic() + STARTING
    return k, reading, True


def _row(name: str, tally: Tally) -> str:
    return (
        f"{name}: {tally.inputs} inputs, {tally.accepted} accepted, {tally.refused} refused, "
        f"{tally.faults} faults, {tally.crashes} crashes, {tally.hangs} hangs, longest "
        f"{tally.seconds_longest:.2f} s, peak {tally.megabytes_most:.0f} MB"
    )


COLUMNS = ("inputs", "accepted", "refused", "faults", "crashes", "hangs")
PAGE = HERE.parent / "docs/safety.md"
BEGIN, END = "<!-- fuzz: begin -->\n", "<!-- fuzz: end -->\n"


def _write_table(found: dict[str, Any]) -> None:
    """Put the results between the marks of the page."""
    rows = [["reader", *COLUMNS, "longest (s)", "most memory (MB)"], ["---"] * 9]
    for name, tally in found.items():
        counts = [f"{tally[c]:,}" for c in COLUMNS]
        most = [f"{tally['seconds_longest']:.2f}", f"{tally['megabytes_most']:.0f}"]
        rows.append([name, *counts, *most])
    text = PAGE.read_text()
    head, rest = text.split(BEGIN)
    table = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    PAGE.write_text(f"{head}{BEGIN}{table}{END}{rest.split(END)[1]}")


def _given() -> argparse.Namespace:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--reader", action="append", help="only this one; repeatable")
    options.add_argument("-n", type=int, help="inputs of each reader")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--first", type=int, default=0, help="number of the first input")
    options.add_argument("--show", type=int, help="read one input and show what is raised")
    options.add_argument("--table", action="store_true", help="write the table into docs/safety.md")
    options.add_argument("--out", type=Path, default=HERE / "results/fuzz.json")
    return options.parse_args()


def _show(name: str, seed: int, k: int, examples: Path) -> None:
    """Read one input in this process, and leave it where it can be looked at."""
    import worker

    os.dup2(1, 3)
    with tempfile.TemporaryDirectory(delete=False) as kept:
        worker.one(name, seed, k, examples, Path(kept))


def main() -> None:
    """Fuzz the readers, one after the other, and keep the table."""
    from foreign_readers import READERS, make_examples

    given, examples = _given(), HERE.parent / "out/fuzz_examples"
    if not (examples / "latent.surrogate").exists():
        shutil.rmtree(examples, ignore_errors=True)  # what a run that was stopped has left
        make_examples(examples)
    if given.table:
        _write_table(json.loads(given.out.read_text()))
        return
    if given.show is not None:
        _show(given.reader[0], given.seed, given.show, examples)
        return
    for name in given.reader or READERS:
        n = given.n or FEW.get(name, MANY)
        for tally in settled(name, given.seed, range(given.first, given.first + n), examples):
            before = json.loads(given.out.read_text()) if given.out.exists() else {}
            given.out.write_text(json.dumps({**before, name: asdict(tally)}, indent=1) + "\n")
        print(_row(name, tally), flush=True)
        for what, count in tally.seen.items():
            print(f"    {count} x {what} (first {tally.first[what]})", flush=True)


if __name__ == "__main__":
    main()
