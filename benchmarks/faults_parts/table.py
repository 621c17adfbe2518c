"""The tables in the docs, from what is stored."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .fault import Fault, Verb

__all__ = ["put", "tables"]

BEGIN, END = "<!-- faults: begin -->", "<!-- faults: end -->"
HEADS = {
    "storage": "Disks, folders, caches, compilers",
    "process": "Streams, locale, memory, sizes",
}

Runs = Mapping[str, Mapping[str, Any]]
"""What became of a verb, by "fault | verb"."""


def tables(runs: Runs, faults: Sequence[Fault], verbs: Sequence[Verb]) -> str:
    """All of it as Markdown: per part the exit codes and the lines."""
    parts = []
    for part, head in HEADS.items():
        chosen = [fault for fault in faults if fault.part == part]
        if chosen:
            parts += [f"### {head}", _codes(runs, chosen, verbs), _lines(runs, chosen, verbs)]
    return "\n\n".join(parts)


def _codes(runs: Runs, faults: Sequence[Fault], verbs: Sequence[Verb]) -> str:
    rows = [["verb", *(fault.name for fault in faults)], ["---"] * (len(faults) + 1)]
    rows += [
        [
            f"`{verb.name}`",
            *(_cell(runs.get(f"{fault.name} | {verb.name}"), fault, verb) for fault in faults),
        ]
        for verb in verbs
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cell(found: Mapping[str, Any] | None, fault: Fault, verb: Verb) -> str:
    if found is None or found["code"] is None:
        return "·" if fault.on(verb) else "–"
    if found["wrong"]:
        return f"**{found['code']}: {'; '.join(found['wrong'])[:80]}**"
    resumed = verb.resumes and found["again"] == 0
    return f"{found['code']}{' ↻' if resumed else ''}"


def _lines(runs: Runs, faults: Sequence[Fault], verbs: Sequence[Verb]) -> str:
    """One line of each fault, of the first verb that it stops."""
    rows = [["fault", "what it says"], ["---", "---"]]
    for fault in faults:
        found = (runs.get(f"{fault.name} | {verb.name}") for verb in verbs)
        line = next((f["line"] for f in found if f and f["code"]), "nothing, or a note")
        line = re.sub(r"/tmp/[\w./-]*/(out|home)\b", r"/\1", line)
        rows.append([fault.name, line.replace("|", "\\|")])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def put(page: Path, text: str) -> None:
    """Put the tables between their marks in a page."""
    head, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    tail = rest.partition(END)[2]
    page.write_text(f"{head}{BEGIN}\n\n{text}\n\n{END}{tail}", encoding="utf-8")
