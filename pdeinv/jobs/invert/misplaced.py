"""A key that one table of a run file does not know and another one does: which one that is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from pdeinv.errors import ConfigError
from pdeinv.jobs.invert.request import RunConfig
from pdeinv.jobs.invert.tables import homes
from pdeinv.plugins import registry

__all__ = ["naming_tables"]


@contextmanager
def naming_tables() -> Iterator[None]:
    """Errors about an unknown key of a table name the other tables that have it."""
    try:
        yield
    except ConfigError as error:
        table, _, key = error.key.rpartition(".")
        told, mark, remedy = str(error).rpartition("; ")
        if told.startswith(f"unknown key '{error.key}'") and table and "." not in table:
            others = [f"[{name}]" for name in _tables_with(key) if name != table]
            if others:
                error.args = (f"{told}{mark}{_advice(others, remedy)}",)
        raise


def _advice(others: list[str], remedy: str) -> str:
    """Where the key may belong, beside or instead of its removal."""
    has = f"table {others[0]} has" if len(others) == 1 else f"tables {', '.join(others)} have"
    instead = f", or {remedy}" if remedy == "remove it" else f"; {remedy}"
    return f"{has} a key of that name: move it there{instead}"


def _tables_with(key: str) -> list[str]:
    """The tables that have the key, of whatever problem, engine or surrogate."""
    found = {home.partition(".")[0] for home in homes(key, RunConfig) if home.count(".") == 1}
    with suppress(Exception):  # somebody else's bug, or a package that is missing
        if key in registry.load("engines", "pinn").solver_options.model_fields:
            found.add("solver")
    return sorted(found)
