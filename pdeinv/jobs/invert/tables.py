"""Tables of a run file that an inversion may not need: their keys are right all the same.

A run file may serve several verbs, so that a table stands in it for another one. A key that no verb
knows is a mistake in any case, and is refused before anything is solved.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pdeinv.config import named, parse
from pdeinv.errors import ConfigError
from pdeinv.jobs.two_level.admission import GivenSurrogate
from pdeinv.jobs.two_level.rounds import RoundsConfig
from pdeinv.plugins import registry

__all__ = ["check_solver", "check_surrogate_table"]

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
        parse(RoundsConfig, table, "surrogate")
    else:
        parse(registry.load("surrogates", str(name)).Config, options, "surrogate")


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
