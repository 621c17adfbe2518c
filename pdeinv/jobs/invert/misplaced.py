"""A key that a table does not know and the run file, or another table, does: where it belongs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from pydantic import BaseModel

from pdeinv.errors import ConfigError
from pdeinv.jobs.invert.request import RunConfig
from pdeinv.jobs.invert.tables import models, paths
from pdeinv.jobs.two_level.rounds import RoundsConfig
from pdeinv.plugins import registry

__all__ = ["naming_tables"]

NAMED = 3
"""Plug-ins that are named, at most, where others do not have the key."""


@contextmanager
def naming_tables() -> Iterator[None]:
    """Errors about an unknown key of a table tell where a key of that name is known."""
    try:
        yield
    except ConfigError as error:
        table, _, key = error.key.rpartition(".")
        told, mark, remedy = str(error).rpartition("; ")
        unknown = told.startswith(f"unknown key '{error.key}'") and ": kind '" not in told
        if unknown and table:
            error.args = (f"{told}{mark}{_advice(table, key, error.of, remedy)}",)
        raise


def _advice(table: str, key: str, config: type[BaseModel] | None, remedy: str) -> str:
    """Where it belongs: nearest to what was meant first, instead of a guess at its spelling."""
    if key in RunConfig.model_fields:
        if _is_table(key):
            return f"[{key}] is a table of its own: write it beside [{table.partition('.')[0]}]"
        return f"'{key}' is a key of the run file itself: write it above all tables"
    inner = _within(table, key, config)
    if inner:
        return f"did you mean {' or '.join(inner)}?"
    others = [place for name, place in _tables_with(key) if name != table.partition(".")[0]]
    if not others:
        return remedy
    has = f"table {others[0]} has" if len(others) == 1 else f"tables {', '.join(others)} have"
    instead = f", or {remedy}" if remedy == "remove it" else f"; {remedy}"
    return f"{has} a key of that name: move it there{instead}"


def _is_table(key: str) -> bool:
    entry = RunConfig.model_fields[key]
    return isinstance(entry.get_default(call_default_factory=True), dict | BaseModel)


def _within(table: str, key: str, config: type[BaseModel] | None) -> list[str]:
    """Where the same plug-in has the key, in quotes; of several places those least deep."""
    if config is None or config is RunConfig:
        return []
    found = {*paths(key, config, table.partition(".")[0])} - {f"{table}.{key}"}
    least = min((place.count(".") for place in found), default=0)
    return sorted(f"'{place}'" for place in found if place.count(".") == least)[:NAMED]


def _tables_with(key: str) -> list[tuple[str, str]]:
    """The tables that have the key, with the plug-ins for which that is so, as text."""
    found = {
        table: f"[{table}]"
        for table, entry in RunConfig.model_fields.items()
        if any(key in inner.model_fields for inner in models(entry.annotation))
    }
    for kind in registry.KINDS:
        owners, table = registry.owners(kind, key), kind[:-1]
        if owners:
            found[table] = f"[{table}]{_of(owners, len(registry.names(kind)))}"
    if key in RoundsConfig.model_fields:
        found["surrogate"] = "[surrogate]"
    with suppress(Exception):  # somebody else's bug, or a package that is missing
        if key in registry.load("engines", "pinn").solver_options.model_fields:
            found["solver"] = "[solver]"
    return sorted(found.items())


def _of(owners: Sequence[str], most: int) -> str:
    """The plug-ins that have a key, where not all of their kind do."""
    if len(owners) == most:
        return ""
    more = len(owners) - NAMED
    return f" (of {', '.join(owners[:NAMED])}" + f" and {more} more" * (more > 0) + ")"
