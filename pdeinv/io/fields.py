"""Which problem a dataset of fields belongs to, as every problem's ``solve`` writes it."""

from __future__ import annotations

import xarray as xr

from pdeinv.config import Config, dump_toml, parse, parse_toml
from pdeinv.errors import DataSchemaError

__all__ = ["CONFIG", "LEVEL", "PROBLEM", "UNKNOWN", "described", "description"]

UNKNOWN = "pdeinv_unknown"
"""Attribute of a field: the variable of an unknown that it shows, however that is parametrised."""

PROBLEM, CONFIG, LEVEL = "pdeinv_problem", "pdeinv_problem_config", "pdeinv_level"


def description(problem: str, config: Config, level: int) -> dict[str, str | int]:
    """The attributes of a dataset of fields on an unstructured mesh."""
    return {
        "Conventions": "CF-1.11 UGRID-1.0",
        PROBLEM: problem,
        CONFIG: dump_toml(config.model_dump(mode="json")),
        LEVEL: level,
    }


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
