"""Whether a run file's table of a problem agrees with the configuration that a file carries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pdeinv.config import differing, merge
from pdeinv.errors import DataSchemaError
from pdeinv.plugins import registry

__all__ = ["Apart", "apart", "check_problem"]


@dataclass(frozen=True)
class Apart:
    """A key of which a file and a run file say different things.

    Attributes:
        key: with dots after tables.
        held: the file's value.
        asked: the run file's value.
    """

    key: str
    held: Any
    asked: Any

    def __str__(self) -> str:
        """Both values by their key, as a message says them."""
        return f"{self.key} = {self.held!r}, and [problem] asks for {self.asked!r}"


def check_problem(path: Path, held: str, asked: object, what: str) -> None:
    """Refuse a file, a ``what``, of another problem than the run file names, if it names one.

    Raises:
        DataSchemaError: it is.
    """
    if asked not in (None, held):
        raise DataSchemaError(
            f"{path} is of problem '{held}', and [problem] names '{asked}'; take the {what} of "
            "that, or leave problem.name out"
        )


def apart(problem: str, held: Mapping[str, Any], keys: Mapping[str, Any]) -> Apart | None:
    """The first key that would be another one with a run file's table on top; None if all agree.

    Both are compared as the problem reads them, so that 1 and 1.0 agree and a default that is
    spelled out is no difference.

    Args:
        problem: registered name.
        held: the configuration that the file carries.
        keys: the run file's table without the name.

    Raises:
        ConfigError: a wrong key or value.
    """
    if not keys:
        return None
    own, other = (
        registry.configured("problems", problem, table).model_dump(mode="json")
        for table in (held, merge(held, keys))
    )
    # what both say comes first, then what the run file says, then the defaults that follow from it
    found = sorted(
        differing(own, other), key=lambda key: (_at(keys, key) is None, _at(own, key) is None)
    )
    return Apart(found[0], _at(own, found[0]), _at(other, found[0])) if found else None


def _at(table: Mapping[str, Any], key: str) -> Any:
    """The value of a dotted key, None where there is none."""
    value: Any = table
    for name in key.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
