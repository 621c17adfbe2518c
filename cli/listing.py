"""``pdeinv list``: every problem, surrogate and engine that is installed."""

from __future__ import annotations

import sys
from dataclasses import asdict, is_dataclass
from typing import Annotated, Any

import typer

from pdeinv.plugins.registry import Kind

from .options import verb
from .terminal import Terminal

__all__ = ["describe", "list_plugins"]

KINDS: tuple[Kind, ...] = ("problems", "surrogates", "engines")
COLUMNS = {
    "problems": ("name", "title", "unknown", "state", "equation"),
    "surrogates": ("name", "role", "summary"),
    "engines": ("name", "summary", "produces", "requires", "needs"),
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
    found = {str(k): describe(k) for k in KINDS if kind in (None, k)}
    tables = [
        terminal.table(k, COLUMNS[k], [[_text(entry.get(c)) for c in COLUMNS[k]] for entry in rows])
        for k, rows in found.items()
    ]
    terminal.result(found, *tables)


def describe(kind: Kind) -> list[dict[str, Any]]:
    """What is known of each plug-in of one kind, without solving or loading anything heavy."""
    from pdeinv.plugins import registry

    return [_entry(kind, name) for name in registry.names(kind)]


def _entry(kind: Kind, name: str) -> dict[str, Any]:
    from pdeinv.plugins import registry

    try:
        cls = registry.load(kind, name)
    except (ImportError, AttributeError) as error:
        return {"name": name, "available": False, "summary": f"not importable: {error}"}
    entry: dict[str, Any] = {"name": name, "available": True, "summary": _summary(cls)}
    card = getattr(cls, "card", None)
    if is_dataclass(card) and not isinstance(card, type):
        entry |= asdict(card)
    for key in ("role", "produces", "requires", "needs", "capabilities", "kind"):
        value = getattr(cls, key, None)
        if isinstance(value, str):
            entry[key] = str(value)
        elif isinstance(value, frozenset):
            entry[key] = sorted(map(str, value))
    return entry


def _summary(cls: type) -> str:
    """The first line of the plug-in's module, which says what it is in words."""
    return (sys.modules[cls.__module__].__doc__ or cls.__doc__ or "").strip().partition("\n")[0]


def _text(value: Any) -> Any:
    return ", ".join(value) if isinstance(value, list) else value
