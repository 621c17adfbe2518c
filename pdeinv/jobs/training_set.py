"""Training sets from files of either kind: those of ``generate`` and those made elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pdeinv.bayes.prior import Prior
from pdeinv.config import named
from pdeinv.errors import DataSchemaError
from pdeinv.io import datasets, netcdf
from pdeinv.io.datasets import TrainingSet, same_prior
from pdeinv.jobs.field_files import holds_fields, read_fields
from pdeinv.jobs.foreign_set import read_foreign
from pdeinv.model.learned import Role
from pdeinv.plugins.agreed import apart, check_problem
from pdeinv.plugins.recipe import make_problem
from pdeinv.plugins.surrogate import role_of

__all__ = ["check_inputs", "check_prior", "open_training_set"]


def open_training_set(
    path: Path, table: Mapping[str, Any], role: Role = Role.FORWARD, *, any_law: bool = False
) -> TrainingSet:
    """The data set in ``path``.

    Args:
        path: NetCDF file; where fields alone are learned also what :func:`read_fields` takes.
        table: ``[problem]`` of the run file; says what a foreign file belongs to.
        role: of what learns from it; a denoiser takes a foreign file without data.
        any_law: whether a data set of ``generate`` may have another configuration than the table.

    Raises:
        DataSchemaError: neither a data set of ``generate`` nor one that follows the schema, or of
            another problem or configuration than the table asks for.
        ConfigError: the table is wrong.
    """
    name, keys = named(table)
    fields = role is Role.DENOISER and holds_fields(path)
    if not (fields or _is_foreign(path)):
        return _of_problem(datasets.read(path), name, {} if any_law else keys, path)
    if name is None:
        raise DataSchemaError(
            f"{path} was not written by 'pdeinv generate'; say what it belongs to with a table "
            "[problem] in --config (docs/surrogates.md has the layout)"
        )
    problem = make_problem(str(name), keys)
    return read_fields(path, problem) if fields else read_foreign(path, problem, role=role)


def _is_foreign(path: Path) -> bool:
    """Whether another program wrote a NetCDF file."""
    with netcdf.opened_tree(path) as tree:
        return "pdeinv_kind" not in tree.attrs


def _of_problem(
    found: TrainingSet, name: object, keys: Mapping[str, Any], path: Path
) -> TrainingSet:
    """What was read, where its problem is the one that a table describes, if it says anything."""
    check_problem(path, found.problem, name, "data set")
    other = apart(found.problem, found.problem_config, keys)
    if other is not None:
        raise DataSchemaError(
            f"{path} was generated with problem.{other}; generate a data set with that, or leave "
            "the key out"
        )
    return found


def check_inputs(training: TrainingSet, kind: Any) -> None:
    """Refuse a surrogate on xi where xi are not known.

    Args:
        training: the data.
        kind: the surrogate's class; ``learns_fields`` is true where it needs no xi.

    Raises:
        DataSchemaError: xi are needed and not there.
    """
    if not training.values.size and role_of(kind) is not Role.DENOISER:
        raise DataSchemaError(
            f"surrogate '{kind.name}' learns from data, and this data set holds draws of the prior "
            "alone; generate one without --prior-only"
        )
    if not (kind.learns_fields or np.isfinite(training.xi).all()):
        raise DataSchemaError(
            f"surrogate '{kind.name}' learns from xi, which this data set does not determine; "
            "use a surrogate of fields such as 'fno', or add xi(sample, xi_dim)"
        )


def check_prior(training: TrainingSet, prior: Prior, kind: Any) -> None:
    """Refuse xi that mean other unknowns today, as those of an older version on a square may.

    Args:
        training: the data.
        prior: of the problem that the data name.
        kind: the surrogate's class; one that learns from fields does not mind.

    Raises:
        DataSchemaError: the prior makes other unknowns of xi.
    """
    if not (kind.learns_fields or same_prior(prior, training.prior_probe)):
        raise DataSchemaError(
            "the data set's xi belong to another prior than that of its configuration, perhaps in "
            "the basis of an older version; generate it again"
        )
