"""What every plug-in promises of its name and its configuration."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from pdeinv.config import Config, dump_toml, parse, parse_toml
from pdeinv.errors import ConfigError

from .clauses import Table, hold, refused

__all__ = ["add_config_clauses", "add_name_clause", "options_from", "shortened", "undescribed"]

WHERE = "pdeinv.config.Config"


def options_from(kind: Any, options: Any) -> Any:
    """An instance of ``kind.Config`` from one, from a mapping of keys, or from None.

    Raises:
        ConfigError: a wrong key or value.
    """
    if isinstance(options, BaseModel):
        return options
    return parse(kind.Config, dict(options or {}), kind.name)


def shortened(kind: Any, options: Any, small: Mapping[str, Any]) -> Any:
    """``options``, and what ``kind.Config`` knows and takes of ``small`` where they say nothing."""
    if isinstance(options, BaseModel):
        return options
    found = dict(options or {})
    free = {k: v for k, v in small.items() if k in kind.Config.model_fields and k not in found}
    if _valid(kind, {**found, **free}):
        return {**found, **free}
    # one by one, where some of them mean something else here
    for key, value in free.items():
        if _valid(kind, {**found, key: value}):
            found[key] = value
    return found


def _valid(kind: Any, options: Mapping[str, Any]) -> bool:
    try:
        kind.Config(**options)
    except ValidationError:
        return False
    return True


def undescribed(kind: type[BaseModel]) -> list[str]:
    """The keys without description; the tag ``kind`` of a table needs none."""
    found = [k for k, f in kind.model_fields.items() if not f.description]
    for table, schema in kind.model_json_schema().get("$defs", {}).items():
        keys = schema.get("properties", {}).items()
        found += [f"{table}.{k}" for k, s in keys if "const" not in s and "description" not in s]
    return found


def add_name_clause(table: Table[Any]) -> None:
    """Enter the clause on ``case.kind.name`` and ``case.registered``, the name in the registry."""

    @table.clause(
        "name", "`name` is lower-case letters, digits and hyphens, and what it is registered under"
    )
    def name(case: Any) -> None:
        found = case.kind.name
        hold(re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", found), f"`name` is {found!r}")
        same = case.registered in (None, found)
        hold(same, f"`name` is '{found}', registered under '{case.registered}'")


def add_config_clauses(table: Table[Any]) -> None:
    """Enter the clauses on ``case.kind.Config`` and ``case.config``."""

    @table.clause(
        "config-described",
        "every key of `Config`, those of its tables included, has a description",
        where=WHERE,
    )
    def described(case: Any) -> None:
        good = issubclass(case.kind.Config, Config)
        hold(good, "`Config` is no subclass of pdeinv.config.Config")
        dumb = undescribed(case.kind.Config)
        hold(not dumb, f"no description for {', '.join(dumb)}")

    @table.clause(
        "config-defaults", "`Config()` works: every key has a default", where=WHERE,
    )  # fmt: skip
    def defaults(case: Any) -> None:
        case.kind.Config()

    @table.clause(
        "config-strict", "`Config` refuses keys that it does not know, in one line", where=WHERE
    )
    def strict(case: Any) -> None:
        data = {**case.config.model_dump(mode="json"), "no_such_key": 1}
        error = refused(lambda: parse(case.kind.Config, data, "x"), "an unknown key", ConfigError)
        hold("no_such_key" in str(error), f"the message does not name the key: {error}")

    @table.clause("config-frozen", "an instance of `Config` cannot be changed", where=WHERE)
    def frozen(case: Any) -> str | None:
        names = list(case.kind.Config.model_fields)
        if not names:
            return "it has no key"
        try:
            setattr(case.config, names[0], getattr(case.config, names[0]))
        except ValidationError:
            return None
        hold(False, f"'{names[0]}' could be set")
        return None

    @table.clause(
        "config-round-trip", "a configuration is the same after JSON and after TOML", where=WHERE
    )
    def round_trip(case: Any) -> None:
        kind, data = case.kind.Config, case.config.model_dump(mode="json")
        hold(parse(kind, json.loads(json.dumps(data)), "x") == case.config, "JSON changes it")
        hold(parse(kind, parse_toml(dump_toml(data), "x"), "x") == case.config, "TOML changes it")
