"""Check whatever is registered under a name, with the tables of a run configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pdeinv.bayes.noise import Noise
from pdeinv.bayes.posterior import Posterior, WhitenedModel
from pdeinv.errors import ConfigError
from pdeinv.plugins import registry
from pdeinv.plugins.hooks import HasStrongForm, default_sensors
from pdeinv.plugins.problem import Problem
from pdeinv.rng import stream

from .common.clauses import Report
from .common.configs import options_from
from .engine.kit import check_engine
from .problem.kit import check_problem

__all__ = ["check_plugin"]


def check_plugin(
    name: str, tables: Mapping[str, Any] | None = None, *, sensors: str | None = None
) -> Report:
    """Try every clause of the protocol on a registered problem, engine or surrogate.

    Args:
        name: as it is registered.
        tables: a run configuration, of which ``problem`` and ``engine`` are used; an engine is
            tried on the problem, where one is named.
        sensors: text for the problem's ``sensors``.

    Raises:
        UnknownPlugin: no such name; the message gives the nearest match.
        ConfigError: a wrong key or value.
    """
    kind, given = registry.kind_of(name), dict(tables or {})
    if kind == "problems":
        return check_problem(name, _of(given.get("problem", {}), name), sensors=sensors)
    build = _posterior_of(given.get("problem", {}), sensors)
    return check_engine(name, _of(given.get("engine", {}), name), posterior=build)


def _posterior_of(table: Mapping[str, Any], sensors: str | None) -> Callable[[], Posterior] | None:
    """Builds the posterior of made-up data of the problem that a table names; None for none."""
    keys = dict(table)
    name = keys.pop("name", None)
    if name is None:
        return None
    kind = registry.load("problems", name)
    config = options_from(kind, keys)
    return lambda: _made_up(kind(config), sensors)


def _made_up(problem: Problem, spec: str | None) -> Posterior:
    """Data of a prior draw with 1 % noise."""
    places = problem.sensors(default_sensors(problem) if spec is None else spec)
    prior, model, rng = problem.prior(), problem.forward_model(places), stream(0, "conformance")
    values = model(prior.unwhiten(0.5 * rng.standard_normal(prior.dim)))
    noise = Noise(np.full(len(values), 0.01 * float(np.abs(values).max())))
    strong = (
        (lambda: (problem.strong_form(), places)) if isinstance(problem, HasStrongForm) else None
    )
    return Posterior(prior, WhitenedModel(prior, model, strong), values + noise.sample(rng), noise)


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
