"""Fields alone, from arrays of numpy and NetCDF files: one file, or a folder of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pdeinv.bayes.prior import Prior
from pdeinv.errors import DataSchemaError
from pdeinv.io.datasets import TrainingSet, prior_probe
from pdeinv.io.npy import read_npy
from pdeinv.io.unknown_samples import unknowns_of
from pdeinv.jobs.foreign_set import read_foreign
from pdeinv.model.learned import Role
from pdeinv.plugins.problem import Problem
from pdeinv.provenance import sha256
from pdeinv.typing import Array

__all__ = ["holds_fields", "read_fields"]

SUFFIXES = (".npy", ".nc")


def holds_fields(path: Path) -> bool:
    """Whether it is a folder, or an array of numpy."""
    return path.is_dir() or path.suffix == ".npy"


def read_fields(path: Path, problem: Problem) -> TrainingSet:
    """The unknowns of ``problem`` in ``path``, without ξ and without data.

    Args:
        path: an array ``.npy``, (n, *grid) or one field (*grid) with the axes of the unknown in
            their order and in its units, or a folder of such arrays and of NetCDF files that
            :func:`read_foreign` takes; they are read in the order of their names.
        problem: whose unknown is one variable on a grid.

    Raises:
        DataSchemaError: no file, or one whose fields are none on that grid.
    """
    prior = problem.prior()
    if len(prior.space.variables) > 1:
        raise DataSchemaError(
            f"{path} holds one field a sample, and the unknown of this problem is "
            f"{', '.join(prior.space.names)}; write a NetCDF data set with all of them"
        )
    fields = np.concatenate([_fields(file, problem, prior) for file in _files(path)])
    return TrainingSet(
        problem=problem.name,
        problem_config=problem.config.model_dump(mode="json"),
        observed=problem.observed,
        sensors={c: np.zeros(0) for c in problem.observed.coords},
        xi=np.full((len(fields), prior.dim), np.nan),
        values=np.zeros((len(fields), 0)),
        prior_probe=prior_probe(prior),
        level=0,
        digest=sha256(path),
        coefficient=fields,
        field=None,
        axes={},
        n_failed=0,
    )


def _files(path: Path) -> list[Path]:
    """The files that are read.

    Raises:
        DataSchemaError: a folder without any.
    """
    if not path.is_dir():
        return [path]
    found = sorted(p for p in path.iterdir() if p.suffix in SUFFIXES)
    if not found:
        raise DataSchemaError(
            f"{path} is a folder without {' or '.join(SUFFIXES)}; expected fields, as numpy.save "
            "or xarray write them"
        )
    return found


def _fields(path: Path, problem: Problem, prior: Prior) -> Array:
    """Those of one file, (n, *grid)."""
    shape = prior.space.variables[0].shape
    if path.suffix == ".nc":
        found = unknowns_of(read_foreign(path, problem, role=Role.DENOISER), prior)
        return found.reshape(len(found), *shape)
    array = read_npy(path, "fields")
    if array.shape[array.ndim - len(shape) :] != shape or array.ndim not in (
        len(shape),
        len(shape) + 1,
    ):
        wanted = ", ".join(map(str, shape))
        raise DataSchemaError(
            f"{path}: expected fields on the grid of the unknown, (n, {wanted}) or ({wanted}), got "
            f"({', '.join(map(str, array.shape))}); set problem.unknown.grid to that of the data"
        )
    return np.array(array, dtype=np.float64).reshape(-1, *shape)
