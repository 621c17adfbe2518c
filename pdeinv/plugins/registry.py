"""Find problems, surrogates and engines by name through entry points, imported when used.

A third party adds one by shipping an entry point in the group ``pdeinv.problems``,
``pdeinv.surrogates`` or ``pdeinv.engines``. The object found is the class that implements the
protocol of the group (see :mod:`pdeinv.plugins.problem`).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

from pdeinv.errors import UnknownPlugin

__all__ = ["Kind", "kind_of", "load", "names"]

Kind = Literal["problems", "surrogates", "engines"]
KINDS: tuple[Kind, ...] = ("problems", "engines", "surrogates")


def _found(kind: Kind) -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=f"pdeinv.{kind}")}


def names(kind: Kind) -> list[str]:
    """The registered names of one kind, sorted; nothing is imported."""
    return sorted(_found(kind))


def load(kind: Kind, name: str) -> Any:
    """The class registered under ``name``.

    Raises:
        UnknownPlugin: no such name; the message gives the nearest match.
    """
    found = _found(kind)
    if name in found:
        return found[name].load()
    raise _unknown(kind[:-1], name, found)


def kind_of(name: str) -> Kind:
    """What is registered under ``name``; a problem, engine or surrogate in this order.

    Raises:
        UnknownPlugin: no such name; the message gives the nearest match.
    """
    found = {kind: _found(kind) for kind in KINDS}
    for kind in KINDS:
        if name in found[kind]:
            return kind
    raise _unknown("plug-in", name, [n for kind in KINDS for n in found[kind]])


def _unknown(what: str, name: str, known: Iterable[str]) -> UnknownPlugin:
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known) or 'none'}"
    return UnknownPlugin(f"unknown {what} '{name}'; {hint} ('pdeinv list' shows all)")
