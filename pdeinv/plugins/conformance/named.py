"""Check whatever is registered under a name, with the tables of a run configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pdeinv.errors import ConfigError
from pdeinv.plugins import registry

from .common.clauses import Report
from .problem.kit import check_problem

__all__ = ["check_plugin"]


def check_plugin(
    name: str, tables: Mapping[str, Any] | None = None, *, sensors: str | None = None
) -> Report:
    """Try every clause of the protocol on a registered problem, engine or surrogate.

    Args:
        name: as it is registered.
        tables: a run configuration, of which ``problem`` is used.
        sensors: text for the problem's ``sensors``.

    Raises:
        UnknownPlugin: no such name; the message gives the nearest match.
        ConfigError: a wrong key or value.
    """
    kind, given = registry.kind_of(name), dict(tables or {})
    if kind == "problems":
        return check_problem(name, _of(given.get("problem", {}), name), sensors=sensors)
    raise ConfigError(f"'{name}' is one of {kind}")


def _of(table: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The keys of a table that names this plug-in, or none.

    Raises:
        ConfigError: it names another one.
    """
    keys = dict(table)
    other = keys.pop("name", name)
    if other != name:
        raise ConfigError(f"--plugin {name}: the configuration names '{other}'; name it in one way")
    return keys
