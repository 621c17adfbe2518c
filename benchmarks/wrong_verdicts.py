"""How often an engine says "converged" and is wrong, on runs that are known to fail.

    python benchmarks/wrong_verdicts.py                 # all of it; stop and repeat as you like
    python benchmarks/wrong_verdicts.py --engines eki   # some
    python benchmarks/wrong_verdicts.py --quick         # two seeds, another file

Each run has a truth and noise of its own. Its answer is right where it is near a reference:

- draws (emcee, pcn): every mean within 0.3 posterior standard deviations, every spread within a
  factor 1.5;
- approximations (eki, laplace): every mean within 1, every spread within a factor 2;
- modes (map, pinn): within 1, and Φ + R at most 0.5 above the lowest of eight minimizations, or
  another mode as low as that one;
- gauss-newton: 2 Φ at most twice the number of data.

Controls should converge and be right. Where all chains, or the one start, are in one of two modes,
nothing in the run can show it; these runs are marked.

References are quadrature for two unknowns, else four chains of 1000 draws of ``hmc`` that have
converged; seeds of which they have not are left out. Results are kept in
``results/wrong_verdicts.json`` run by run, and what is there is not run again.
"""

from __future__ import annotations

import argparse
import json
import os
import warnings
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

from wrong_verdicts_parts.problems import PROBLEMS  # noqa: E402
from wrong_verdicts_parts.references import mode_of, posterior_of  # noqa: E402
from wrong_verdicts_parts.runs import CASES, Asked, judged  # noqa: E402

import pdeinv  # noqa: E402
from pdeinv.errors import PdeinvError  # noqa: E402
from pdeinv.io.atomic import write_text  # noqa: E402

RESULTS = Path(__file__).parent / "results"


class Store:
    """References and runs by name and seed, written after each."""

    def __init__(self, path: Path) -> None:
        self.path = path
        found = json.loads(path.read_text()) if path.exists() else {}
        self.references: dict[str, Any] = found.get("references", {})
        self.runs: dict[str, Any] = found.get("runs", {})

    def keep(self, table: dict[str, Any], key: str, value: Any) -> Any:
        """Keep a result; returns it."""
        table[key] = value
        whole = {"references": self.references, "runs": self.runs}
        write_text(self.path, json.dumps(whole, indent=1) + "\n")
        return value


def reference(store: Store, asked: Asked, seed: int) -> dict[str, Any]:
    """What the answer is compared with; {} where nothing is."""
    if asked.kind == "fit":
        return {}
    kind, make = ("mode", mode_of) if asked.kind == "mode" else ("posterior", posterior_of)
    key = f"{kind} | {asked.problem} | {seed}"
    known = store.references.get(key)
    return known or store.keep(store.references, key, make(PROBLEMS[asked.problem], seed))


def outcome(asked: Asked, seed: int, against: dict[str, Any]) -> dict[str, Any]:
    """One run: its verdict, and whether it is right."""
    if not against.get("converged", 1):
        return {"left_out": "the reference has not converged"}
    try:
        found = pdeinv.invert(
            **PROBLEMS[asked.problem].arguments(seed),
            engine=asked.engine,
            seed=seed,
            **asked.options,
        )
    except PdeinvError as error:
        return {"converged": False, "right": False, "message": f"{type(error).__name__}: {error}"}
    return {
        "converged": bool(found.attrs["pdeinv_converged"]),
        **judged(asked.kind, found, against),
        "message": str(found.attrs["pdeinv_message"]),
    }


def rows(store: Store, cases: list[Asked], seeds: range) -> list[tuple[str, ...]]:
    """One row for each case, from what is stored."""
    found = []
    for asked in cases:
        runs = [store.runs.get(f"{asked.key} | {seed}") for seed in seeds]
        done = [r for r in runs if r and "left_out" not in r]
        yes = [r for r in done if r["converged"]]
        counts = (len(done), len(yes), sum(r["right"] for r in done),
                  sum(not r["right"] for r in yes))  # fmt: skip
        name = asked.key.split(" | ")
        name[1] += " (control)" if asked.control else " (unseen mode)" if asked.blind else ""
        found.append((*name, *map(str, counts)))
    return found


def table(found: list[tuple[str, ...]]) -> str:
    """The rows in Markdown."""
    head = ("engine", "problem", "options", "runs", "converged", "right", "converged and wrong")
    lines = [head, ("---",) * len(head), *(("`" + r[0] + "`", *r[1:]) for r in found)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engines", nargs="+", help="those alone")
    parser.add_argument("--seeds", type=int, default=5, help="truths and noises of each case")
    parser.add_argument("--quick", action="store_true", help="two seeds, another file")
    options = parser.parse_args()
    seeds = range(1, 1 + (2 if options.quick else options.seeds))
    store = Store(RESULTS / f"wrong_verdicts{'_quick' if options.quick else ''}.json")
    cases = [c for c in CASES if options.engines is None or c.engine in options.engines]
    warnings.simplefilter("ignore", UserWarning)
    for asked in cases:
        for seed in seeds:
            key = f"{asked.key} | {seed}"
            if key not in store.runs:
                told = outcome(asked, seed, reference(store, asked, seed))
                store.keep(store.runs, key, told)
                print(key, json.dumps(told)[:160], flush=True)
    print(table(rows(store, cases, seeds)))


if __name__ == "__main__":
    main()
