"""What a NetCDF file declares, looked at before any of its values are read.

The types of attributes that readers rely on, and the sizes of variables: a header of a few bytes
can declare more than any memory holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pdeinv.errors import DataSchemaError
from pdeinv.foreign import INFLATION, memory
from pdeinv.memory import size_of

__all__ = ["as_text", "check_attributes", "groups_of", "unread"]

MOST_GROUPS, MOST_VARIABLES = 1000, 20_000
SMALL = 1 << 26
"""Bytes that any variable may declare, whatever the size of its file."""
TEXT_BYTES = 64
"""What one string of variable length takes in memory, at least."""


@dataclass(frozen=True)
class Kind:
    """What an attribute has to be."""

    text: str
    fits: Callable[[Any], bool]


def _is_number(value: Any) -> bool:
    return np.ndim(value) == 0 and np.asarray(value).dtype.kind in "fiu"


def _is_finite(value: Any) -> bool:
    return _is_number(value) and bool(np.isfinite(value))


def _are_numbers(value: Any) -> bool:
    return _plain(value) is not None


def _plain(value: Any) -> Any:
    """An array of numbers; None where it is something else."""
    try:
        array = np.asarray(value)
    except ValueError:  # lists of unlike things
        return None
    return array if array.dtype.kind in "fiu" else None


TEXT = Kind("text", lambda v: isinstance(v, str))
LABEL = Kind("text", lambda v: isinstance(v, str) or _is_number(v))
"""Units and the like, which some programs write as a number: 1 for what has none."""
FINITE = Kind("a finite number", _is_finite)
WHOLE = Kind("a whole number", lambda v: _is_finite(v) and float(v).is_integer())
NUMBERS = Kind("numbers", _are_numbers)

ROOT: Mapping[str, Kind] = {
    **dict.fromkeys(
        (
            "pdeinv_kind", "pdeinv_problem", "pdeinv_problem_config", "pdeinv_config",
            "pdeinv_engine", "pdeinv_produces", "pdeinv_message", "pdeinv_summary",
            "pdeinv_version", "pdeinv_versions", "pdeinv_inputs", "pdeinv_command",
            "pdeinv_solver", "pdeinv_solver_config", "featureType", "coordinates",
        ),
        TEXT,
    ),
    **dict.fromkeys(("pdeinv_level", "pdeinv_seed", "pdeinv_converged"), WHOLE),
    "pdeinv_prior_probe": NUMBERS,
}  # fmt: skip
"""Attributes of a group that are read, and what they have to be; others are their readers' care."""

VARIABLE: Mapping[str, Kind] = {
    **dict.fromkeys(("units", "long_name", "standard_name"), LABEL),
    **dict.fromkeys(
        (
            "coordinates", "ancillary_variables", "flag_meanings", "location", "pdeinv_unknown",
            "bounds", "grid_mapping", "calendar", "dtype", "_Encoding", "_Unsigned", "mesh",
            "likelihood", "likelihood_link",
        ),
        TEXT,
    ),
    **dict.fromkeys(("scale_factor", "add_offset"), FINITE),
    **dict.fromkeys(("flag_values", "flag_masks"), NUMBERS),
}  # fmt: skip
FILLS = ("_FillValue", "missing_value")
"""Of the type of their variable; numbers where it holds numbers."""


def groups_of(root: Any) -> Iterator[Any]:
    """All groups of an open file, the outer ones first.

    Raises:
        DataSchemaError: more groups or variables than any file of measurements has.
    """
    waiting, groups, variables = [root], 0, 0
    while waiting:
        group = waiting.pop(0)
        groups, variables = groups + 1, variables + len(group.variables)
        if groups > MOST_GROUPS or variables > MOST_VARIABLES:
            raise DataSchemaError(
                f"it declares more than {MOST_GROUPS} groups or {MOST_VARIABLES} variables; "
                "take out what is needed"
            )
        yield group
        waiting.extend(group.groups.values())


def check_attributes(group: Any) -> None:
    """Refuse attributes that are of another type than readers expect.

    Raises:
        DataSchemaError: the first one, with what it must be and what it is.
    """
    _check(group, ROOT, "")
    for name, variable in group.variables.items():
        where = f" of '{name}'"
        _check(variable, VARIABLE, where)
        if _numeric(variable):
            _check(variable, dict.fromkeys(FILLS, NUMBERS), where)
        coding = "" if variable.dtype is str else str(variable.__dict__.get("_Encoding", ""))
        if coding and not _is_coding(coding):
            raise DataSchemaError(f"attribute _Encoding{where} names no encoding ('{coding}')")


def _check(holder: Any, kinds: Mapping[str, Kind], where: str) -> None:
    for name in set(holder.ncattrs()) & set(kinds):
        value = holder.getncattr(name)
        if not kinds[name].fits(value):
            raise DataSchemaError(
                f"attribute {name}{where} must be {kinds[name].text}, got {_short(value)}; "
                "correct or remove it"
            )


def _short(value: Any, limit: int = 60) -> str:
    text = repr(value.tolist() if isinstance(value, np.generic | np.ndarray) else value)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _numeric(variable: Any) -> bool:
    return variable.dtype is not str and np.dtype(variable.dtype).kind in "fiu"


def _is_coding(name: str) -> bool:
    import codecs

    try:
        codecs.lookup(name)
    except (LookupError, ValueError):
        return False
    return True


def as_text(attrs: dict[Any, Any]) -> None:
    """Labels that are numbers as text, in place."""
    for name in set(attrs) & set(VARIABLE):
        if VARIABLE[name] is LABEL and not isinstance(attrs[name], str):
            attrs[name] = str(attrs[name])


def _bytes(variable: Any) -> int:
    item = TEXT_BYTES if variable.dtype is str else max(np.dtype(variable.dtype).itemsize, 1)
    return item * int(np.prod([int(n) for n in variable.shape], dtype=object))


def unread(groups: list[Any], stored: int, *, lazily: bool) -> dict[tuple[str, str], str]:
    """The variables whose values are not to be read, by group and name, with the reason.

    Those that declare more than the file can hold, and, where values are read at once, the largest
    ones beyond what there is memory for.

    Args:
        groups: of an open file.
        stored: bytes of the file.
        lazily: whether values are read when they are asked for, a part at a time.
    """
    sizes = {(g.path, n): _bytes(v) for g in groups for n, v in g.variables.items()}
    out, room = {}, memory()
    for key, size in sorted(sizes.items(), key=lambda item: item[1]):
        says = f"variable '{key[1]}' declares {size_of(size)}"
        if size > SMALL and size > INFLATION * stored:
            out[key] = f"{says}, which a file of {size_of(stored)} cannot hold; write it again"
        elif size > room and not lazily:
            out[key] = f"{says}, more than there is memory for ({size_of(room)} left for it)"
        else:
            room -= 0 if lazily else size
    return out
