"""The tables of docs/safety.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .trial import SIGNALS
from .verbs import Verb

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


def phases(found: Mapping[str, Any], verbs: Iterable[Verb]) -> str:
    """One row for each long verb: kills in each phase by INT, TERM, USR1 and KILL."""
    done = [key.split(" | ") for key, trial in found.items() if "missed" not in trial]
    met = Counter((name, phase, signal) for name, phase, signal, _ in done)
    groups: dict[str, list[Verb]] = {}
    for verb in verbs:
        if verb.long:
            groups.setdefault(verb.verb, []).append(verb)
    names = list(dict.fromkeys(p for some in groups.values() for v in some for p in v.phases))
    names.sort(key=lambda name: name in ("write", "again"))
    rows = [
        (f"`{group}`", *(_cell(met, [v for v in some if phase in v.phases], phase)
                         for phase in names))
        for group, some in groups.items()
    ]  # fmt: skip
    return _markdown(("verb", *names), rows)


def _cell(met: Mapping[tuple[str, str, str], int], verbs: Iterable[Verb], phase: str) -> str:
    """The kills of some command lines in a phase."""
    names = [verb.name for verb in verbs]
    counts = (sum(met.get((name, phase, signal), 0) for name in names) for signal in SIGNALS)
    return " ".join(map(str, counts)) if names else "–"


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


def put(page: Path, name: str, text: str) -> None:
    """Put a table between its marks in a page."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    head, _, rest = page.read_text(encoding="utf-8").partition(begin)
    tail = rest.partition(end)[2]
    page.write_text(f"{head}{begin}\n\n{text}\n\n{end}{tail}", encoding="utf-8")
