"""A problem with measurements of it, as an observation file and a configuration say together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pdeinv.config import merge, named
from pdeinv.errors import ConfigError
from pdeinv.io.observations import NoiseSpec, Observations, header, read
from pdeinv.plugins import hooks, registry
from pdeinv.plugins.problem import Problem
from pdeinv.plugins.recipe import make_problem

__all__ = ["Case", "read_case"]


@dataclass(frozen=True)
class Case:
    """A problem and data of it.

    Attributes:
        problem: the problem, built.
        observations: the data.
        made_on: mesh level that made-up data come from, if the file says so.
    """

    problem: Problem
    observations: Observations
    made_on: int | None


def read_case(path: Path, table: Mapping[str, Any], noise: NoiseSpec) -> Case:
    """The problem of an observation file, with the table ``[problem]`` on top, and its data.

    Args:
        path: the observation file.
        table: name and keys; what it leaves out the file may say.
        noise: replaces the file's noise where given.

    Raises:
        PdeinvError: the first thing found wrong, in one line.
    """
    dataset, held, carried = header(path)
    asked, keys = named(table)
    if asked is None and held is None:
        raise ConfigError(f"{path} names no problem; pass --problem NAME or set name in [problem]")
    if asked is not None and held is not None and asked != held:
        raise ConfigError(
            f"{path} holds data of problem '{held}', the configuration asks for '{asked}'"
        )
    chosen = str(asked or held)
    # a file that pdeinv did not write may describe its experiment by variables of its own
    described = carried or hooks.tables_of(registry.load("problems", chosen), dataset)
    problem = make_problem(chosen, merge(described, keys))
    level = dataset.attrs.get("pdeinv_level")
    observations = read(path, problem.observed, noise)
    return Case(problem, observations, None if level is None else int(level))
