"""A problem with measurements of it, as an observation file and a configuration say together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from pdeinv.config import merge, named
from pdeinv.errors import ConfigError, DataSchemaError, PdeinvError
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
        carried: the problem's table in the file, which the level belongs to.
    """

    problem: Problem
    observations: Observations
    made_on: int | None
    carried: Mapping[str, Any] = field(default_factory=dict)

    def made_no_finer(self, level: int) -> str | None:
        """What to tell of data that were made on no finer a mesh than an inversion on ``level``.

        Meshes are compared by their levels where file and inversion describe the same body and
        mesh, else by their numbers of nodes; None where the data are finer, or where the mesh that
        they were made on cannot be had any more.
        """
        if self.made_on is None:
            return None
        mine = self.problem.config.model_dump(mode="json")
        if _meshed({**mine, **self.carried}) == _meshed(mine):
            text = f"on mesh level {self.made_on}, no finer than the inversion's ({level})"
            return text if self.made_on <= level else None
        try:
            made = make_problem(self.problem.name, self.carried).dofs(self.made_on)
        except PdeinvError:
            return None
        nodes = self.problem.dofs(level)
        text = f"on a mesh of {made} nodes, no finer than the inversion's ({nodes})"
        return text if made <= nodes else None


def _meshed(table: Mapping[str, Any]) -> dict[str, Any]:
    """A problem's table without its unknown, which no mesh of a solution depends on."""
    return {k: v for k, v in table.items() if k != "unknown"}


def _check_places(path: Path, problem: Problem, dataset: xr.Dataset) -> None:
    """Refuse places of the data's axes that a file tells otherwise than the problem has them.

    Raises:
        DataSchemaError: one differs.
    """
    observed, dims = problem.observed, set(problem.observed.dims)
    numbered = all(d in dataset and np.isfinite(dataset[d]).all() for d in dims)
    if observed.name not in dataset or not dims or not numbered:
        return  # as the reader of the data will say
    ours = hooks.annotated(problem, dataset[[observed.name]])
    for name, at in ours.data_vars.items():
        told = dataset.get(str(name))
        if told is None or told.dims != at.dims or at.ndim != 1 or not set(at.dims) <= dims:
            continue
        off = ~np.isclose(told, at, rtol=1e-6, atol=1e-9 * float(np.abs(at).max()))
        if off.any():
            k = int(np.flatnonzero(off)[0])
            raise DataSchemaError(
                f"{path}: '{name}' number {k} is {float(told[k]):g}, and [problem] makes it "
                f"{float(at[k]):g}; leave out of [problem] what the file tells"
            )


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
    _check_places(path, problem, dataset)
    level = dataset.attrs.get("pdeinv_level")
    observations = read(path, problem.observed, noise, hooks.likelihood(problem))
    return Case(problem, observations, None if level is None else int(level), carried)
