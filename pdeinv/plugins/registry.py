"""Find problems, surrogates and engines by name through entry points, imported when used.

A third party adds one by shipping an entry point in the group ``pdeinv.problems``,
``pdeinv.surrogates`` or ``pdeinv.engines``. The object found is the class that implements the
protocol of the group (see :mod:`pdeinv.plugins.problem`).
"""

from __future__ import annotations

import difflib
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

from pdeinv.errors import UnknownPlugin

__all__ = ["Kind", "load", "names"]

Kind = Literal["problems", "surrogates", "engines"]

OWN = EntryPoint("own", "pdeinv.plugins.own_problem:OwnProblem", "pdeinv.problems")
"""The problem that a user's function is; it is not listed, since it is nothing without one."""


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
    if kind == "problems" and name == OWN.name:
        return OWN.load()
    near = difflib.get_close_matches(name, found, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(sorted(found)) or 'none'}"
    raise UnknownPlugin(f"unknown {kind[:-1]} '{name}'; {hint} ('pdeinv list' shows all)")
