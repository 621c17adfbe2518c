"""Find problems, surrogates and engines by name through entry points, imported when used.

A third party adds one by shipping an entry point in the group ``pdeinv.problems``,
``pdeinv.surrogates`` or ``pdeinv.engines``. The object found is the class that implements the
protocol of the group (:mod:`pdeinv.plugins.problem`, :mod:`pdeinv.plugins.surrogate`,
:mod:`pdeinv.engines.base`). Where the entry point names an extra of pdeinv, as in
``darcy = "pdeinv.problems.darcy:Darcy [fem]"``, the plug-in needs what that extra brings before it
can compute.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Any, Literal

from pdeinv import extras
from pdeinv.config import parse
from pdeinv.errors import ConfigError, UnknownPlugin, hint

__all__ = ["KINDS", "Kind", "build", "configured", "kind_of", "load", "names", "owners", "require"]

Kind = Literal["problems", "surrogates", "engines"]
KINDS: tuple[Kind, ...] = ("problems", "engines", "surrogates")

OWN = EntryPoint("own", "pdeinv.plugins.own_problem:OwnProblem", "pdeinv.problems")
"""The problem that a user's function is; it is not listed, since it is nothing without one."""


def _found(kind: Kind) -> Mapping[str, EntryPoint]:
    return _scanned(entry_points, f"pdeinv.{kind}", tuple(sys.path))


# a scan of a hundred installed packages takes milliseconds, and one verb asks many times
@lru_cache(maxsize=32)
def _scanned(
    scan: Callable[..., Iterable[EntryPoint]], group: str, _folders: tuple[str, ...]
) -> Mapping[str, EntryPoint]:
    """What is registered, read once for the folders that Python looks into."""
    return MappingProxyType({entry.name: entry for entry in scan(group=group)})


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


def build(kind: Kind, name: str, table: Mapping[str, Any]) -> Any:
    """The problem or engine registered under ``name`` with its configuration checked.

    Raises:
        UnknownPlugin: no such name.
        ConfigError: a wrong key or value.
    """
    return load(kind, name)(configured(kind, name, table))


def configured(kind: Kind, name: str, table: Mapping[str, Any], where: str = "") -> Any:
    """The configuration of the plug-in of that name, checked.

    Args:
        kind: of the plug-in.
        name: of it.
        table: its options.
        where: what messages call the table; the kind where not given.

    Raises:
        UnknownPlugin: no such name.
        ConfigError: a wrong key or value; of a key that others of its kind have, who these are.
    """
    try:
        return parse(load(kind, name).Config, table, where or kind[:-1])
    except ConfigError as error:
        others = owners(kind, error.unknown) if error.unknown else []
        if not others:
            raise
        key, _, remedy = str(error).partition("; ")
        does = f"{', '.join(others)} {'does' if len(others) == 1 else 'do'}"
        raise ConfigError(
            f"{key}: {kind[:-1]} '{name}' does not have it, {does}; {remedy}",
            unknown=error.unknown,
            key=error.key,
            of=error.of,
        ) from None


def owners(kind: Kind, key: str) -> list[str]:
    """The plug-ins of a kind that have an option of that name, in quotes."""
    found = []
    for name, entry in sorted(_found(kind).items()):
        # a package that is missing, or somebody else's bug: nobody asked for that plug-in
        with suppress(Exception):
            if key in entry.load().Config.model_fields:
                found.append(f"'{name}'")
    return found


def require(kind: Kind, name: str) -> None:
    """Refuse to begin where the main package of an extra that a plug-in needs is not installed.

    Raises:
        MissingDependency: it is not; the message has the command that installs it.
    """
    entry = _found(kind).get(name)
    for extra in entry.extras if entry else ():
        if extra in extras.EXTRAS:
            extras.require(extras.EXTRAS[extra][0], f"{kind[:-1]} '{name}' needs")


def _unknown(what: str, name: str, known: Iterable[str]) -> UnknownPlugin:
    near = hint(name, sorted(known))
    return UnknownPlugin(f"unknown {what} '{name}'; {near} ('pdeinv list' shows all)")
