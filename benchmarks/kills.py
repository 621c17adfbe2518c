"""What a signal does to every verb in every phase of its work, and what two runs on one output do.

    python benchmarks/kills.py                       # hours; stop and repeat as you like
    python benchmarks/kills.py --only generate pcn   # verbs whose names hold one of the words
    python benchmarks/kills.py --rounds 0 --each 3   # each long verb in each phase by each signal
    python benchmarks/kills.py --quick               # each signal once, another file

Each kill starts a command, waits for a phase of its work, and sends SIGINT, SIGTERM, SIGUSR1 or
SIGKILL. Then the command is given again as its message says (after SIGKILL with `--resume`; where
hardly anything was begun, with or without). Counted are

- lost: it does not go on;
- different: any number of the outputs is another one, bit for bit, than without the kill;
- wrong code: not 130 after SIGINT; after SIGTERM and SIGUSR1 not 75, or 1 without `--resume`;
- left: temporary files, or processes that live on.

Then each long verb is started twice on one output, at random moments, the second time as it was,
with `--overwrite` and with `--resume`: who comes second has to be refused in one line.

Results are kept in `results/kills.json` kill by kill, and what is there is not done again.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count, product
from pathlib import Path
from typing import Any

from kills_parts import pairs, table
from kills_parts.inputs import prepared
from kills_parts.trial import SIGNALS, reference, stopped
from kills_parts.verbs import VERBS, Verb

from pdeinv.io.atomic import write_text

RESULTS = Path(__file__).parent / "results"
MISSES = 4
"""Most tries to meet a phase that lacks one kill."""
PAGE = Path(__file__).parents[1] / "docs" / "safety.md"
LOCK = Path(tempfile.gettempdir(), "pdeinv-kills.lock")


class Store:
    """Kills and pairs by name, written after each; several of these scripts may share a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.kills: dict[str, Any] = {}
        self.pairs: dict[str, Any] = {}
        self._read()

    def _read(self) -> None:
        found = json.loads(self.path.read_text()) if self.path.exists() else {}
        for name in ("kills", "pairs"):
            table: dict[str, Any] = getattr(self, name)
            table.clear()
            table.update(found.get(name, {}))

    def keep(self, table: dict[str, Any], key: str, value: Any) -> None:
        """Keep a result."""
        with LOCK.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._read()
            table[key] = value
            whole = {"kills": self.kills, "pairs": self.pairs}
            write_text(self.path, json.dumps(whole, indent=1) + "\n")


@dataclass(frozen=True)
class Kill:
    """One of them."""

    verb: Verb
    phase: str
    signal: str
    number: int

    @property
    def key(self) -> str:
        """Its name in the file."""
        return f"{self.verb.name} | {self.phase} | {self.signal} | {self.number}"


def asked(verbs: Iterable[Verb], rounds: int) -> Iterator[Kill]:
    """All kills; in each round every verb gets every signal once, each in another phase."""
    for verb, r in product(verbs, range(rounds)):
        for i, name in enumerate(SIGNALS):
            phases = verb.phases
            yield Kill(verb, phases[(i + r) % len(phases)], name, r // len(phases))


def lacking(store: Store, verbs: Iterable[Verb], each: int) -> Iterator[Kill]:
    """What every long verb lacks until each signal came so often in each phase of its work.

    The command lines of a verb take turns. What was missed some times more is given up.
    """
    groups: dict[tuple[str, str], list[Verb]] = {}
    for verb in verbs:
        for phase in verb.phases if verb.long else ():
            groups.setdefault((verb.verb, phase), []).append(verb)
    for level, ((_, phase), lines), name in product(range(1, each + 1), groups.items(), SIGNALS):
        for _ in range(MISSES):
            hits = {v.name: list(kept(store, v, phase, name)) for v in lines}
            if sum(not found.get("missed") for some in hits.values() for found in some) >= level:
                break
            verb = min(lines, key=lambda v: len(hits[v.name]))
            yield Kill(verb, phase, name, len(hits[verb.name]))


def kept(store: Store, verb: Verb, phase: str, signal: str) -> Iterator[dict[str, Any]]:
    """The kills of a verb by a signal in a phase that there are, by their numbers."""
    for number in count():
        found = store.kills.get(Kill(verb, phase, signal, number).key)
        if found is None:
            return
        yield found


def carry_out(store: Store, kill: Kill, folder: Path) -> None:
    """Do it, keep what was found, and keep the files where something is amiss."""
    inputs = prepared(folder)
    known = reference(kill.verb, inputs, folder / "undisturbed" / slug(kill.verb.name))
    trial = stopped(kill.verb, kill.phase, kill.signal, inputs, folder / "trial", known, kill.key)
    found = {"missed": True} if trial is None else trial.as_dict()
    print(f"{kill.key}: {found}", flush=True)
    store.keep(store.kills, kill.key, found)
    if trial is not None and not trial.good:
        kept = folder / "amiss" / slug(kill.key)
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(folder / "trial", kept, symlinks=True)


def pair_up(store: Store, verb: Verb, folder: Path, repeats: int) -> None:
    """All pairs of one verb that are not done yet."""
    for k in range(repeats):
        for more in (*pairs.flags(verb), *(["--shard"] if verb.name == "generate" else [])):
            key = f"{verb.name} | {more or 'plain'} | {k}"
            if key in store.pairs:
                continue
            inputs = prepared(folder)
            known = reference(verb, inputs, folder / "undisturbed" / slug(verb.name))
            where = folder / "pair"
            if more == "--shard":
                found = pairs.shared(verb, inputs, where, known, key)
            else:
                found = pairs.together(verb, more, inputs, where, known, key)
            print(f"{key}: {vars(found)}", flush=True)
            store.keep(store.pairs, key, vars(found))


def slug(text: str) -> str:
    """A name that a file may have."""
    return re.sub(r"\W+", "-", text).strip("-")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", help="verbs whose names hold one of these words")
    parser.add_argument("--rounds", type=int, default=6, help="kills of each verb by each signal")
    parser.add_argument(
        "--each",
        type=int,
        default=0,
        metavar="N",
        help="then until each long verb had N kills by each signal in each phase",
    )
    parser.add_argument("--pairs", type=int, default=1, help="pairs of each verb by each flag")
    parser.add_argument("--table", action="store_true", help="the tables, into docs/safety.md")
    parser.add_argument("--quick", action="store_true", help="one round, another file")
    parser.add_argument("--folder", type=Path, help="where the commands run")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.gettempdir()) / "pdeinv-kills"
    store = Store(RESULTS / f"kills{'-quick' if given.quick else ''}.json")
    verbs = [v for v in VERBS if not given.only or any(word in v.name for word in given.only)]
    for r in range(0 if given.table else 1 if given.quick else given.rounds):
        for kill in asked(verbs, r + 1):
            if kill.key not in store.kills:
                carry_out(store, kill, folder)
    for kill in lacking(store, verbs, 0 if given.table else given.each):
        carry_out(store, kill, folder)
    for verb in verbs:
        if verb.long and not given.table:
            pair_up(store, verb, folder, given.pairs)
    shown = {"kills": table.kills(store.kills), "phases": table.phases(store.kills, VERBS),
             "pairs": table.pairs(store.pairs)}  # fmt: skip
    print(*shown.values(), sep="\n\n")
    if given.table and not given.quick:
        for name, text in shown.items():
            table.put(PAGE, name, text)


if __name__ == "__main__":
    main()
