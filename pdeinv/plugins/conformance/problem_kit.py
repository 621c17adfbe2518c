"""The table of problems with all its clauses, and the function that tries them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pdeinv.config import Config
from pdeinv.plugins import registry

from . import problem_derivatives as derivatives
from . import problem_fields as fields
from . import problem_grid as grid
from . import problem_offers as offers
from . import problem_rows as rows
from . import problem_says as says
from . import problem_sensors as sensors
from . import problem_values as values
from .clauses import Report, Table
from .configs import options_from
from .problem_case import PROTOCOL, Case

__all__ = ["CLAUSES", "check_problem"]

CLAUSES = Table.joined(
    PROTOCOL,
    (m.CLAUSES for m in (says, sensors, values, derivatives, rows, fields, grid, offers)),
)
"""All of them, in the order in which they are tried."""


def check_problem(
    problem: str | type[Any],
    config: Config | Mapping[str, Any] | None = None,
    *,
    sensors: str | None = None,
    without: Collection[str] = (),
) -> Report:
    """Try every clause of :class:`pdeinv.plugins.problem.Problem`.

    It solves some dozens of times on three meshes; choose a configuration with a small one.

    Args:
        problem: a registered name, or a class.
        config: the problem's configuration; its defaults where not given.
        sensors: text for the problem's ``sensors``; its own default where not given.
        without: clauses that are not tried.

    Raises:
        UnknownPlugin: no such name.
        ConfigError: a wrong key or value.
    """
    kind = registry.load("problems", problem) if isinstance(problem, str) else problem
    name = problem if isinstance(problem, str) else None
    case = Case(kind, options_from(kind, config), name, sensors)
    return CLAUSES.report(f"problem '{getattr(kind, 'name', kind.__name__)}'", case, without)
