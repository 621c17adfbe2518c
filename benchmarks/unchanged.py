"""Does a restructuring compute what the code before it did? Every number of some fifty small cases.

    python benchmarks/unchanged.py record --pdeinv ../old/.venv/bin/pdeinv --out old --jobs 2
    python benchmarks/unchanged.py record --pdeinv .venv/bin/pdeinv --out new --jobs 2
    python benchmarks/unchanged.py compare old new
    python benchmarks/unchanged.py compare benchmarks/results/unchanged.json new
    python benchmarks/unchanged.py digest old benchmarks/results/unchanged.json

`record` runs the command line of a given executable in a scratch folder: every problem, engine,
surrogate and kind of prior, on tiny meshes with few draws (`unchanged_parts/`), and keeps each
array and number of all outputs: variables and attributes of NetCDF files, weights and metadata of
surrogates, what `--json` prints. Times, versions, paths and texts are left out. `--only` takes a
regular expression of cases; what these need runs too, and the store keeps the others.

`compare` prints a line a case and ends with 1 where something differs that the table `INTENDED` in
`unchanged_parts/compare.py` does not name. Renamed options, engines and arrays have their two
spellings in `unchanged_parts/spelling.py`. The store holds digests (`unchanged.json`) and arrays;
digests alone tell whether something changed, arrays also by how much. Bits hold for one machine
and one set of libraries, so that both versions have to be recorded on it.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from pathlib import Path

from unchanged_parts import darcy, eit, heat, helmholtz, learned
from unchanged_parts.case import Case
from unchanged_parts.compare import compare
from unchanged_parts.run import Executable, Ran, ordered, run_all
from unchanged_parts.store import Store

CASES = (*darcy.CASES, *learned.CASES, *heat.CASES, *helmholtz.CASES, *eit.CASES)


def chosen(pattern: str | None) -> list[Case]:
    """The cases that match, and all that they need."""
    names = {one.name for one in CASES if re.search(pattern or "", one.name)}
    while more := {n for c in CASES if c.name in names for n in c.after} - names:
        names |= more
    return ordered([one for one in CASES if one.name in names])


def record(options: argparse.Namespace) -> int:
    store, start, failed = Store(options.out), time.perf_counter(), list[str]()

    def report(one: Case, ran: Ran) -> None:
        store.add(one.name, ran)
        failed.extend([one.name] if ran.failure else [])
        said = ran.failure or f"{len(ran.arrays)} arrays"
        print(f"{one.name:26} {ran.seconds:6.1f} s  {said}", flush=True)

    with tempfile.TemporaryDirectory() as scratch:
        folder = options.scratch or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        executable = Executable(options.pdeinv.absolute(), folder.absolute())
        cases = chosen(options.only)
        if options.resume:
            cases = [c for c in cases if c.name not in store.cases or not executable.has(c)]
        run_all(executable, cases, options.jobs, report)
    print(f"{time.perf_counter() - start:.0f} s; failed: {', '.join(failed) or 'none'}")
    return bool(failed)


def compared(options: argparse.Namespace) -> int:
    stores = [Store(path) for path in (options.a, options.b)]
    for path, store in zip((options.a, options.b), stores, strict=True):
        if not store.cases:
            sys.exit(f"no digests in {path}")
    known = {name for s in stores for name in (*s.cases, *s.failures)}
    order = [c.name for c in CASES if c.name in known]
    names = [*order, *sorted(known - set(order))]
    return not compare(*stores, [n for n in names if re.search(options.only or "", n)])


def digested(options: argparse.Namespace) -> int:
    Store(options.store).write(options.out)
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(required=True)
    one = verbs.add_parser("record", help="run the cases and keep what they compute")
    one.add_argument("--pdeinv", type=Path, required=True, help="executable")
    one.add_argument("--out", type=Path, required=True, help="store, a folder")
    one.add_argument("--jobs", type=int, default=1, help="cases side by side")
    one.add_argument("--only", help="regular expression of cases")
    one.add_argument("--scratch", type=Path, help="folder that keeps the outputs")
    one.add_argument(
        "--resume", action="store_true",
        help="leave out what store and --scratch hold; only where the code is still the same",
    )  # fmt: skip
    one.set_defaults(run=record)
    two = verbs.add_parser("compare", help="tell what differs between two stores")
    two.add_argument("a", type=Path)
    two.add_argument("b", type=Path)
    two.add_argument("--only", help="regular expression of cases")
    two.set_defaults(run=compared)
    three = verbs.add_parser("digest", help="write the digests of a store, without times")
    three.add_argument("store", type=Path)
    three.add_argument("out", type=Path)
    three.set_defaults(run=digested)
    options = parser.parse_args()
    return int(options.run(options))


if __name__ == "__main__":
    sys.exit(main())
