"""Every problem, surrogate and engine that is installed, with what it needs and offers."""

from __future__ import annotations

import sys
from dataclasses import asdict, is_dataclass
from typing import Any

from pdeinv.plugins import registry
from pdeinv.plugins.registry import Kind

__all__ = ["KINDS", "describe"]

KINDS: tuple[Kind, ...] = ("problems", "surrogates", "engines")


def describe(kind: Kind) -> list[dict[str, Any]]:
    """What is known of each plug-in of one kind, without solving or loading anything heavy."""
    return [_entry(kind, name) for name in registry.names(kind)]


def _entry(kind: Kind, name: str) -> dict[str, Any]:
    try:
        cls = registry.load(kind, name)
    except (ImportError, AttributeError) as error:
        return {"name": name, "available": False, "summary": f"not importable: {error}"}
    entry: dict[str, Any] = {"name": name, "available": True, "summary": _summary(cls)}
    card = getattr(cls, "card", None)
    if is_dataclass(card) and not isinstance(card, type):
        entry |= asdict(card)
    for key in ("role", "produces", "takes", "requires", "needs", "uses", "capabilities", "kind"):
        value = getattr(cls, key, None)
        if isinstance(value, str):
            entry[key] = str(value)
        elif isinstance(value, frozenset):
            entry[key] = sorted(map(str, value))
    return entry


def _summary(cls: type) -> str:
    """The first line of the plug-in's module, which says what it is in words."""
    return (sys.modules[cls.__module__].__doc__ or cls.__doc__ or "").strip().partition("\n")[0]
