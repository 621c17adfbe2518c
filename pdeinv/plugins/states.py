"""The states behind a file: of a result's draws, solved again, and of a truth, as it holds them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from pdeinv.config import named
from pdeinv.errors import SolverDiverged
from pdeinv.io.fields import PROBLEM, config_of, run_tables_of
from pdeinv.io.unknowns import unknown_in
from pdeinv.plugins.problem import Problem
from pdeinv.plugins.recipe import make_problem
from pdeinv.typing import Array

__all__ = ["Solved", "draws_in", "problem_of_result", "problem_of_truth", "solved"]


def problem_of_result(tree: xr.DataTree, path: Path) -> tuple[Problem, int]:
    """The problem of a result and the level that was inverted on.

    Raises:
        PdeinvError: it cannot be built again, such as from an image that is gone.
    """
    table = run_tables_of(tree.attrs, path)
    name, config = named(table.get("problem", {}))
    return make_problem(str(name), config), int(table.get("level", 0))


def problem_of_truth(fields: xr.Dataset, path: Path) -> Problem:
    """The problem of a truth.

    Raises:
        PdeinvError: it cannot be built again.
    """
    return make_problem(str(fields.attrs.get(PROBLEM)), config_of(fields.attrs, path))


def draws_in(tree: xr.DataTree, problem: Problem) -> Array:
    """The draws of a result one below the other, (n, n_m).

    Raises:
        DataSchemaError: they are not of the problem's unknown.
    """
    draws = unknown_in(tree["posterior"].to_dataset(), problem.prior().space)
    return draws.reshape(-1, draws.shape[-1])


@dataclass(frozen=True)
class Solved:
    """Draws that could be solved.

    Attributes:
        unknowns: those, (k, n_m).
        states: theirs, (k, n).
        failed: how many could not be.
    """

    unknowns: Array
    states: Array
    failed: int

    @property
    def mean(self) -> Array:
        """Over the draws, (n,)."""
        return np.asarray(self.states.mean(axis=0))

    @property
    def sd(self) -> Array:
        """Standard deviation over the draws, zero of one, (n,)."""
        if len(self.states) == 1:
            return np.zeros(self.states.shape[1])
        return np.asarray(self.states.std(axis=0, ddof=1))


def solved(state: Callable[[Array], Array], draws: Array, most: int) -> Solved:
    """The states of evenly spaced draws (n, n_m), of ``most`` at most.

    Raises:
        SolverDiverged: none of them could be solved.
    """
    chosen = np.unique(np.linspace(0, len(draws) - 1, min(len(draws), most)).astype(int))
    unknowns, states, said = [], [], ""
    for m in draws[chosen]:
        try:
            states.append(state(m))
            unknowns.append(m)
        except SolverDiverged as error:
            said = str(error)
    if not states:
        raise SolverDiverged(f"none of {len(chosen)} draws can be solved: {said}")
    return Solved(np.array(unknowns), np.array(states), len(chosen) - len(states))
