"""Which problem a dataset of fields belongs to, as every problem's ``solve`` writes it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xarray as xr
from pydantic import BaseModel

from pdeinv.config import Config, dump_toml, parse, parse_toml
from pdeinv.errors import DataSchemaError

__all__ = [
    "CONFIG",
    "INSIDE",
    "LEVEL",
    "PROBLEM",
    "UNKNOWN",
    "config_of",
    "described",
    "description",
    "problem_attributes",
]

UNKNOWN = "pdeinv_unknown"
"""Attribute of a field: the variable of an unknown that it shows, however that is parametrised."""

INSIDE = "_inside"
"""What is appended to the name of a field for its mask: the variable that says which nodes lie in
the body."""

PROBLEM, CONFIG, LEVEL = "pdeinv_problem", "pdeinv_problem_config", "pdeinv_level"


def description(problem: str, config: Config, level: int) -> dict[str, str | int]:
    """The attributes of a dataset of fields on an unstructured mesh."""
    return {
        "Conventions": "CF-1.11 UGRID-1.0",
        **problem_attributes(problem, config),
        LEVEL: level,
    }


def problem_attributes(problem: str, config: BaseModel) -> dict[str, str]:
    """The attributes of any file that belongs to a problem."""
    return {PROBLEM: problem, CONFIG: dump_toml(config.model_dump(mode="json"))}


def config_of(attrs: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The problem's configuration that the attributes of a file hold, empty without any.

    Raises:
        ConfigError: it is damaged.
    """
    return parse_toml(str(attrs.get(CONFIG, "")), f"{path}: attribute {CONFIG}")


def described[C: Config](
    fields: xr.Dataset, problem: str, config_type: type[C], *variables: frozenset[str]
) -> tuple[C, int]:
    """The configuration and mesh level of a dataset with the attributes of :func:`description`.

    Args:
        fields: what ``solve`` made.
        problem: the registered name that it must have.
        config_type: of that problem.
        variables: alternatives; the dataset must hold all of at least one.

    Raises:
        DataSchemaError: an attribute or a variable is missing, or it is another problem's.
    """
    got = fields.attrs.get(PROBLEM)
    missing = [k for k in (CONFIG, LEVEL) if k not in fields.attrs]
    known = any(names <= set(map(str, fields)) for names in variables)
    if got != problem or missing or not known:
        wanted = " or ".join(", ".join(sorted(names)) for names in variables)
        raise DataSchemaError(
            f"expected the fields of 'pdeinv solve {problem}' (variables {wanted}; attributes "
            f"{CONFIG} and {LEVEL}), got problem {got!r} with variables {list(map(str, fields))}"
        )
    table = parse_toml(str(fields.attrs[CONFIG]), f"attribute {CONFIG}")
    return parse(config_type, table, CONFIG), int(fields.attrs[LEVEL])
