"""The tables of docs/safety.md."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .trial import SIGNALS

COUNTED = ("lost", "different", "wrong_code", "traceback", "files", "processes")


def kills(found: Mapping[str, Any]) -> str:
    """One row for each verb: kills by signal, and what was amiss."""
    head = ("verb", *SIGNALS, *(name.replace("_", " ") for name in COUNTED))
    done = {key: trial for key, trial in found.items() if "missed" not in trial}
    verbs = dict.fromkeys(key.split(" | ")[0] for key in done)
    rows = [_row(verb, {k: t for k, t in done.items() if k.startswith(f"{verb} | ")})
            for verb in verbs]  # fmt: skip
    total = ("all", *(sum(int(row[i]) for row in rows) for i in range(1, len(head))))
    return _markdown(head, [*rows, total])


def _row(verb: str, trials: Mapping[str, Any]) -> tuple[Any, ...]:
    by_signal = (sum(key.split(" | ")[2] == name for key in trials) for name in SIGNALS)
    amiss = (sum(bool(t.get(name)) for t in trials.values()) for name in COUNTED)
    return (f"`{verb}`", *by_signal, *amiss)


def pairs(found: Mapping[str, Any]) -> str:
    """One row for each way to start the second run."""
    ways = dict.fromkeys(key.split(" | ")[1] for key in found)
    rows = []
    for way in ways:
        some = [pair for key, pair in found.items() if key.split(" | ")[1] == way]
        both = sum(all(code == 0 for code in pair["codes"]) for pair in some)
        rows.append((f"`{way}`", len(some), len(some) - both, both,
                     sum(bool(pair["amiss"]) for pair in some)))  # fmt: skip
    head = ("second run", "pairs", "one refused", "both finished, one after the other", "amiss")
    return _markdown(head, rows)


def _markdown(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    titles = tuple(head)
    lines = [titles, ("---",) * len(titles), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
