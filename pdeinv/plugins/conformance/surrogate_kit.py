"""The table of surrogates with all its clauses, and the function that tries them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, cast

from pdeinv.config import Config
from pdeinv.errors import ConfigError
from pdeinv.io.datasets import TrainingSet
from pdeinv.plugins import registry
from pdeinv.plugins.problem import Problem
from pdeinv.plugins.surrogate import check_installed

from . import surrogate_bound as bound
from . import surrogate_says as says
from . import surrogate_stored as stored
from .clauses import Report, Table
from .configs import options_from, shortened
from .surrogate_case import PROTOCOL, Case
from .surrogate_lessons import lesson

__all__ = ["CLAUSES", "SHORT", "check_surrogate", "trial_problem"]

CLAUSES = Table.joined(PROTOCOL, (m.CLAUSES for m in (says, bound, stored)))
"""All of them, in the order in which they are tried."""

SHORT = {
    **{"epochs": 40, "iterations": 40, "members": 2, "widths": [48, 48], "basis": 24},
    **{"width": 8, "layers": 4, "modes": 8},
}
"""Whatever of these a surrogate's options know makes its training short."""

TRIAL = {"cells": [8, 8], "unknown": {"kind": "piecewise", "cells": [2, 2], "std": 0.5}}
"""The problem ``darcy`` at a size at which some hundred solves take a second."""

SAMPLES = 120


def trial_problem() -> Problem:
    """What surrogates learn where nobody says otherwise.

    Raises:
        UnknownPlugin: ``darcy`` is not installed.
    """
    return cast(Problem, registry.build("problems", "darcy", TRIAL))


def check_surrogate(
    surrogate: str | type[Any],
    options: Config | Mapping[str, Any] | None = None,
    *,
    problem: Problem | None = None,
    dataset: TrainingSet | None = None,
    allowed: float = 0.2,
    without: Collection[str] = (),
) -> Report:
    """Try every clause of :class:`pdeinv.plugins.surrogate.Surrogate`.

    Args:
        surrogate: a registered name, or a class.
        options: what is not given gets a small value where its name is known (:data:`SHORT`), else
            its default.
        problem: what to learn; a small ``darcy`` where not given.
        dataset: samples of that problem; solved here where not given.
        allowed: the largest held-out relative error.
        without: clauses that are not tried.

    Raises:
        UnknownPlugin: no such name.
        ConfigError: a wrong key or value, or a problem that it cannot learn from.
        MissingDependency: a package that training needs is not installed.
    """
    by_name = isinstance(surrogate, str)
    kind = registry.load("surrogates", surrogate) if isinstance(surrogate, str) else surrogate
    config = options_from(kind, shortened(kind, options, SHORT))
    check_installed(kind, config.model_dump(), training=True)
    what = problem or trial_problem()
    data = dataset or lesson(what, what.sensors(what.default_sensors), SAMPLES)
    if getattr(kind, "learns_fields", False) and data.field is None:
        raise ConfigError(
            f"surrogate '{kind.name}' learns fields, and problem '{what.name}' has none on a plane "
            "grid; name another one, with --set problem.name=..."
        )
    case = Case(kind, config, what, data, allowed, str(surrogate) if by_name else None)
    return CLAUSES.report(f"surrogate '{getattr(kind, 'name', kind.__name__)}'", case, without)
