"""``pdeinv info``: what a file or folder holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from .options import verb
from .terminal import Terminal

__all__ = ["info"]

SHOWN = ("path", "kind", "config")
MOST = 12
"""Components that are shown without being asked."""

LONG = 100
"""Attributes longer than this are for ``--json`` or ``--verbose``."""


@verb
def info(
    terminal: Terminal,
    path: Annotated[
        Path, typer.Argument(help="A NetCDF file, a surrogate folder or a live run folder.")
    ],
) -> None:
    """Show kind, sizes, units, provenance and summary of anything that pdeinv writes."""
    from pdeinv.jobs.info import describe

    found = describe(path)
    terminal.result(found, f"{path}: {found['kind']}", *_tables(terminal, found))


def _tables(terminal: Terminal, found: Mapping[str, Any]) -> Iterator[Table | str]:
    for group, variables in found.get("groups", {}).items():
        rows = [
            (name, _dims(v["dims"]), v["dtype"], v["units"], v["long_name"])
            for name, v in variables.items()
        ]
        if rows:
            columns = ("variable", "dims", "dtype", "units", "long name")
            yield terminal.table(f"group {group}", columns, rows)
    if chains := found.get("chains"):
        yield terminal.table(
            "chains at their last checkpoint", list(chains[0]), [list(c.values()) for c in chains]
        )
    if progress := found.get("progress"):
        yield terminal.table("training, last logged", ("figure", "value"), list(progress.items()))
    if components := found.get("components"):
        yield _components(terminal, components)
    if summary := found.get("summary"):
        yield terminal.table("summary", ("figure", "value"), list(summary.items()))
    plain = {
        k: v for k, v in found.items() if isinstance(v, str | int | float | bool) and k not in SHOWN
    }
    attributes = {**plain, **found.get("attributes", {})}
    pairs = [(k, v) for k, v in attributes.items() if terminal.verbose or len(str(v)) <= LONG]
    yield terminal.table("attributes", ("attribute", "value"), pairs)
    if found.get("config"):
        yield f"configuration:\n{found['config']}"


def _components(terminal: Terminal, rows: Sequence[Mapping[str, Any]]) -> Table:
    """The worst components; all of them where asked for."""
    shown = rows if terminal.verbose else rows[:MOST]
    left = f", the worst {MOST} of {len(rows)} (--verbose: all)" if len(shown) < len(rows) else ""
    return terminal.table(f"components{left}", list(rows[0]), [list(r.values()) for r in shown])


def _dims(dims: Mapping[str, int]) -> str:
    return ", ".join(f"{k} {n}" for k, n in dims.items()) or "scalar"
