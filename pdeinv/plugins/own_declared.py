"""The own models that the user of this process has named: no file can add one.

A file only says which model it belongs to, by name and hash. Whoever reads it looks here, and finds
nothing unless the user gave the model in Python or by ``--own-model``. A table of such a model that
is sent to another process, by the user's own process, names it there as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pdeinv.errors import ConfigError
from pdeinv.plugins.own_model import OwnModel
from pdeinv.plugins.own_reference import load_reference

__all__ = ["OWN", "OwnTable", "brought", "check_travels", "declare", "declared", "find", "stays"]

OWN = "own"
"""The name of the problem that an own model is."""

_declared: dict[tuple[str, str], OwnModel] = {}
"""By name and hash."""


class OwnTable(dict[str, Any]):
    """The configuration of an own model; pickled, it brings the model along."""

    def __reduce__(self) -> tuple[Any, ...]:
        """The model by its reference where it has one, else itself."""
        model = _declared[self["model"], self["sha256"]]
        return _arrived, (dict(self), model.origin if model.origin.module else model)


def _arrived(table: dict[str, Any], sent: Any) -> OwnTable:
    """Name a model in the process that it was sent to.

    Raises:
        ConfigError: its source has changed in the meantime.
    """
    if isinstance(sent, OwnModel):
        declare(sent)
    elif _found(table) is None:
        declare(load_reference(f"{sent.module}:{sent.name.rpartition(':')[2]}", sent.folder))
    find(table["model"], table["sha256"])
    return OwnTable(table)


def declare(model: OwnModel) -> OwnTable:
    """Name a model, which takes the place of one with the same name and source."""
    origin = model.origin
    _declared[origin.name, origin.sha256] = model
    return OwnTable(model=origin.name, sha256=origin.sha256)


def declared(text: str) -> OwnTable:
    """Import and name the model that a user typed as ``module:factory`` or ``file.py:factory``.

    Raises:
        ConfigError: it cannot be found or made.
    """
    return declare(load_reference(text))


def _found(table: Mapping[str, Any]) -> OwnModel | None:
    """The model of a table, if it was named."""
    return _declared.get((str(table.get("model")), str(table.get("sha256"))))


def find(name: str, digest: str) -> OwnModel:
    """The model of that name and source.

    Raises:
        ConfigError: nobody named it, or its source was another one.
    """
    if (name, digest) in _declared:
        return _declared[name, digest]
    other = next((sha for known, sha in _declared if known == name), None)
    if other is not None:
        raise ConfigError(
            f"own model '{name}' is not the one that this was made with: its source has sha256 "
            f"{other[:12]}, expected {digest[:12]}; restore the source, or make the file again"
        )
    known = ", ".join(f"'{known}'" for known, _ in _declared)
    raise ConfigError(
        f"this needs the own model '{name}', and no file may import code; if you trust it, "
        f"pass --own-model {name} (in Python: model=)" + (f"; given was {known}" if known else "")
    )


def brought(problem: str, table: Mapping[str, Any]) -> OwnTable | None:
    """What another process has to be sent before it can build the problem; None if nothing."""
    return OwnTable(table) if problem == OWN else None


def stays(problem: str, table: Mapping[str, Any]) -> bool:
    """Whether a problem is a model that was made in this process, which then solves best itself."""
    return problem == OWN and not find(table["model"], table["sha256"]).origin.module


def check_travels(problem: str, table: Mapping[str, Any], workers: int) -> None:
    """Refuse several processes for a model that cannot be sent to them.

    Raises:
        ConfigError: it is made of a lambda, a nested function or one typed at a prompt.
    """
    if workers == 1 or not stays(problem, table):
        return
    from multiprocessing.reduction import ForkingPickler

    try:
        ForkingPickler.dumps(OwnTable(table))
    except Exception as error:
        raise ConfigError(
            f"workers = {workers}: the own model '{table['model']}' cannot be sent to other "
            f"processes ({type(error).__name__}); give it as 'module:factory', or use workers = 1"
        ) from None
