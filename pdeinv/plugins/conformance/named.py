"""Check whatever is registered under a name, with the tables of a run configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast

import numpy as np

from pdeinv.bayes.noise import Noise
from pdeinv.bayes.posterior import Posterior, WhitenedModel
from pdeinv.errors import ConfigError
from pdeinv.plugins import registry
from pdeinv.plugins.hooks import strong_form
from pdeinv.plugins.problem import Problem
from pdeinv.rng import stream

from .clauses import Report
from .configs import options_from
from .engine_kit import check_engine
from .problem_kit import check_problem
from .surrogate_kit import check_surrogate

__all__ = ["check_plugin"]


def check_plugin(
    name: str, tables: Mapping[str, Any] | None = None, *, sensors: str | None = None
) -> Report:
    """Try every clause of the protocol on a registered problem, engine or surrogate.

    Args:
        name: as it is registered.
        tables: a run configuration, of which ``problem``, ``engine`` and ``surrogate`` are used;
            an engine or surrogate is tried on the problem, where one is named.
        sensors: text for the problem's ``sensors``.

    Raises:
        UnknownPlugin: no such name; the message gives the nearest match.
        ConfigError: a wrong key or value.
    """
    kind, given = registry.kind_of(name), dict(tables or {})
    if kind == "problems":
        return check_problem(name, _of(given.get("problem", {}), name), sensors=sensors)
    build = _builder(given.get("problem", {}))
    if kind == "surrogates":
        problem = None if build is None else build()
        return check_surrogate(name, _of(given.get("surrogate", {}), name), problem=problem)
    on = None if build is None else partial(_made_up, build, sensors)
    return check_engine(name, _of(given.get("engine", {}), name), posterior=on)


def _of(table: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The keys of a table that names this plug-in, or none.

    Raises:
        ConfigError: it names another one.
    """
    keys = dict(table)
    other = keys.pop("name", name)
    if other != name:
        raise ConfigError(f"--plugin {name}: the configuration names '{other}'; name it in one way")
    return keys


def _builder(table: Mapping[str, Any]) -> Callable[[], Problem] | None:
    """Builds the problem that a table names; None where it names none."""
    keys = dict(table)
    name = keys.pop("name", None)
    if name is None:
        return None
    kind = registry.load("problems", name)
    config = options_from(kind, keys)
    return lambda: cast(Problem, kind(config))


def _made_up(build: Callable[[], Problem], spec: str | None) -> Posterior:
    """The posterior of data of a prior draw with 1 % noise."""
    problem = build()
    places = problem.sensors(problem.default_sensors if spec is None else spec)
    prior, model, rng = problem.prior(), problem.forward_model(places), stream(0, "conformance")
    values = model(prior.unwhiten(0.5 * rng.standard_normal(prior.dim)))
    noise = Noise(np.full(len(values), 0.01 * float(np.abs(values).max())))
    on = WhitenedModel(prior, model, strong_form(problem, places))
    return Posterior(prior, on, values + noise.sample(rng), noise)
