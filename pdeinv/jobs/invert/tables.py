"""Tables of a run file that an inversion may not need: their keys are right all the same.

A run file may serve several verbs, so that a table stands in it for another one. A key that no verb
knows is a mistake in any case, and is refused before anything is solved.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from typing import Any, get_args

from pydantic import BaseModel

from pdeinv.config import named, parse
from pdeinv.errors import ConfigError
from pdeinv.jobs.two_level.admission import GivenSurrogate
from pdeinv.jobs.two_level.rounds import RoundsConfig
from pdeinv.plugins import registry

__all__ = [
    "check_keys",
    "check_solver",
    "check_surrogate_table",
    "models",
    "paths",
    "rounds_config",
]

SOLVERS = ("fenicsx", "pinn")


def check_surrogate_table(table: Mapping[str, Any]) -> None:
    """Refuse a table ``[surrogate]`` that neither ``invert`` nor ``train-surrogate`` knows.

    Raises:
        ConfigError: the first wrong key or value.
        UnknownPlugin: no such surrogate.
    """
    name, options = named(table)
    if "path" in table:
        parse(GivenSurrogate, table, "surrogate")
    elif name is None or options.keys() <= RoundsConfig.model_fields.keys():
        rounds_config(table)
    else:
        registry.configured("surrogates", str(name), options)


def rounds_config(table: Mapping[str, Any]) -> RoundsConfig:
    """The table ``[surrogate]`` where a surrogate is trained on the way.

    Raises:
        ConfigError: the first wrong key or value; of an option of the surrogate, where it goes.
        UnknownPlugin: no such surrogate.
    """
    try:
        return parse(RoundsConfig, table, "surrogate")
    except ConfigError as error:
        name = str(table.get("name", RoundsConfig().name))
        if error.unknown not in registry.load("surrogates", name).Config.model_fields:
            raise
        key = error.unknown
        raise ConfigError(
            f"unknown key 'surrogate.{key}': it is an option of surrogate '{name}'; write "
            f"surrogate.options.{key}"
        ) from None


def check_solver(table: Mapping[str, Any]) -> None:
    """Refuse a table ``[solver]`` that ``solve`` does not know.

    Raises:
        ConfigError: the first wrong key or value.
    """
    name, options = named({"name": SOLVERS[0], **table})
    if name not in SOLVERS:
        raise ConfigError(f"solver.name: unknown solver '{name}'; expected {' or '.join(SOLVERS)}")
    if options:
        parse(registry.load("engines", "pinn").solver_options, options, "solver")


def check_keys(tables: Mapping[str, Any], known: Collection[str]) -> None:
    """Refuse a key that is no table and tell in which table it belongs, where one knows it.

    Args:
        tables: of the run file.
        known: the keys that there are.

    Raises:
        ConfigError: for the first such key; others are left to the check of the tables.
    """
    for key in tables:
        near = [] if key in known else _homes(key)
        if near:
            raise ConfigError(f"unknown key '{key}'; did you mean {' or '.join(near)}?")


def _homes(key: str) -> list[str]:
    """Where a key belongs, as 'TABLE.KEY', in engines, problems and trainings."""
    found = _everywhere(key)
    shortest = min((home.count(".") for home in found), default=0)
    return sorted(f"'{home}'" for home in found if home.count(".") == shortest)


def _everywhere(key: str) -> set[str]:
    """Where a key stands, as TABLE.KEY, in all plug-ins that are installed."""
    found = set(paths(key, RoundsConfig, "surrogate"))
    for kind in registry.KINDS:
        for name in registry.names(kind):
            with suppress(Exception):  # a package that is missing, or somebody else's bug
                found |= {*paths(key, registry.load(kind, name).Config, kind[:-1])}
    return found


def paths(key: str, config: type[BaseModel], table: str) -> Iterator[str]:
    """Where a configuration, or one of those in it, has the key."""
    if key in config.model_fields:
        yield f"{table}.{key}"
    for name, entry in config.model_fields.items():
        for inner in models(entry.annotation):
            yield from paths(key, inner, f"{table}.{name}")


def models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The configurations that an annotation names."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from models(part)
