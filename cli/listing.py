"""``pdeinv list``: every problem, surrogate and engine that is installed."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from pdeinv.plugins.cards import described
from pdeinv.plugins.listing import KINDS

from .options import verb
from .terminal import Terminal

__all__ = ["list_plugins"]

COLUMNS = {
    "problems": ("name", "title", "unknown", "state", "equation"),
    "surrogates": ("name", "role", "summary"),
    "engines": ("name", "summary", "produces", "takes", "requires", "needs"),
}


@verb
def list_plugins(
    terminal: Terminal,
    kind: Annotated[
        str | None, typer.Argument(metavar="[problems|surrogates|engines]", help="Only one kind.")
    ] = None,
) -> None:
    """List problems, surrogates and engines with what they need and offer."""
    if kind is not None and kind not in KINDS:
        raise typer.BadParameter(f"unknown kind '{kind}'; choose {', '.join(KINDS)}")
    found = {str(k): described(k) for k in KINDS if kind in (None, k)}
    tables = [
        terminal.table(k, COLUMNS[k], [[_text(entry.get(c)) for c in COLUMNS[k]] for entry in rows])
        for k, rows in found.items()
    ]
    terminal.result(found, *tables)


def _text(value: Any) -> Any:
    return ", ".join(value) if isinstance(value, list) else value
