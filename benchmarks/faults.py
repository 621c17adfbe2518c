"""What every verb does when something around it fails: exit code, one line, and whether it resumes.

    python benchmarks/faults.py                         # all of it; stop and repeat as you like
    python benchmarks/faults.py --only "disk of 4 KiB"  # some faults
    python benchmarks/faults.py --verbs solve invert    # some verbs
    python benchmarks/faults.py --again --only home     # though they are there already

Each verb runs in a process of its own under each fault, and once more when the fault is gone.
Results are kept in ``results/faults.json`` and shown in ``docs/safety.md``; exit 1 if one of them
is not as it should be. Some faults need root.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from faults_parts import process, storage
from faults_parts.fault import Fault, Verb
from faults_parts.run import make_ready, tried
from faults_parts.table import put, tables
from faults_parts.verbs import VERBS

from pdeinv.io.atomic import write_text

RESULTS = Path(__file__).parent / "results" / "faults.json"
LOCK = Path(tempfile.gettempdir(), "pdeinv-faults.lock")
PAGE = Path(__file__).parents[1] / "docs" / "safety.md"
FAULTS = (*storage.FAULTS, *process.FAULTS)


def main() -> None:
    """Run what was asked for."""
    asked = _asked()
    runs = _stored()
    make_ready(asked.pdeinv, asked.scratch / "ready")
    wrong = 0
    for fault, verb in _chosen(asked):
        key = f"{fault.name} | {verb.name}"
        if key in runs and not asked.again and not runs[key]["wrong"]:
            continue
        folder = asked.scratch / "run"
        ended = tried(asked.pdeinv, asked.scratch / "ready", folder, fault, verb)
        wrong += bool(ended.wrong)
        print(f"{key}: {ended.code} {ended.line}", *ended.wrong, sep="\n    ", flush=True)
        runs = _kept(key, ended.plain())
    put(PAGE, tables(runs, FAULTS, VERBS))
    sys.exit(min(wrong, 1))


def _stored() -> dict[str, Any]:
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def _kept(key: str, run: dict[str, Any]) -> dict[str, Any]:
    """All runs with a new one, stored; several of these scripts may share the file."""
    known = {f"{f.name} | {v.name}" for f in FAULTS for v in VERBS}
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        runs = {k: v for k, v in sorted({**_stored(), key: run}.items()) if k in known}
        write_text(RESULTS, json.dumps(runs, indent=1) + "\n")
    return runs


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", metavar="FAULT", help="some faults")
    parser.add_argument(
        "--verbs", nargs="+", metavar="VERB", help="some verbs, by their first word"
    )
    parser.add_argument("--again", action="store_true", help="also what is there already")
    parser.add_argument(
        "--scratch", type=Path, default=Path(tempfile.gettempdir(), "pdeinv-faults")
    )
    parser.add_argument("--pdeinv", type=Path, default=Path(sys.executable).with_name("pdeinv"))
    return parser.parse_args()


def _chosen(asked: argparse.Namespace) -> Iterator[tuple[Fault, Verb]]:
    for fault in FAULTS:
        for verb in VERBS:
            named = (
                not asked.verbs or verb.name in asked.verbs or verb.name.split()[0] in asked.verbs
            )
            if fault.on(verb) and named and (not asked.only or fault.name in asked.only):
                yield fault, verb


if __name__ == "__main__":
    main()
