"""Fields of a data set in the coordinates of a learned prior, and how near others come to them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist

from pdeinv.bayes.prior import Prior, whiten
from pdeinv.errors import DataSchemaError
from pdeinv.io.unknown_samples import check_unknowns, unknowns_of
from pdeinv.jobs.training_set import open_training_set
from pdeinv.model.learned import Role
from pdeinv.plugins.agreed import check_problem
from pdeinv.plugins.problem import Problem
from pdeinv.plugins.recipe import make_problem
from pdeinv.typing import Array

__all__ = ["given_fields", "nearest"]

FEWEST = 8
"""Fields of a data set that leave some to denoise and some to compare with."""


def given_fields(path: Path, problem: Problem, own: Prior) -> tuple[Array, str]:
    """All fields of a data set in the coordinates of ``own``, (n, dim), and its digest.

    Args:
        path: of ``generate``, whatever its law, or what another program wrote.
        problem: that the learned prior was trained for.
        own: the prior whose coordinates are wanted.

    Raises:
        DataSchemaError: of another problem or grid, too few fields, or some that ``own`` cannot be.
    """
    table: Mapping[str, Any] = {"name": problem.name, **problem.config.model_dump(mode="json")}
    data = open_training_set(path, table, Role.DENOISER, any_law=True)
    check_problem(path, data.problem, problem.name, "data set")
    prior = make_problem(data.problem, data.problem_config).prior()
    wanted, found = own.space.variables[0].shape, prior.space.variables[0].shape
    if found != wanted:
        raise DataSchemaError(
            f"{path}: its fields are on {'x'.join(map(str, found))} nodes, those of the learned "
            f"prior on {'x'.join(map(str, wanted))}; generate them on that grid"
        )
    if data.size < FEWEST:
        raise DataSchemaError(f"{path}: expected at least {FEWEST} fields, got {data.size}")
    m = unknowns_of(data, prior)
    check_unknowns(m, own, f"{path}: ")
    if not np.ptp(m, axis=0).any():
        raise DataSchemaError(f"{path}: all fields are the same; expected draws of a law")
    return whiten(own, m), data.digest


def nearest(fields: Array, others: Array) -> Array:
    """The rms difference of each field (n, p) to the nearest of the others (k, p), shape (n,)."""
    return np.asarray(cdist(fields, others).min(axis=1) / np.sqrt(fields.shape[1]))
