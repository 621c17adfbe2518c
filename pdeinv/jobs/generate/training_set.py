"""Training sets from files of either kind: those of ``generate`` and those made elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pdeinv.errors import DataSchemaError
from pdeinv.io import datasets, netcdf
from pdeinv.io.datasets import TrainingSet
from pdeinv.jobs.common.recipe import make_problem
from pdeinv.jobs.generate.foreign import read_foreign

__all__ = ["check_inputs", "open_training_set"]


def open_training_set(path: Path, table: Mapping[str, Any]) -> TrainingSet:
    """The data set in ``path``.

    Args:
        path: NetCDF file.
        table: ``[problem]`` of the run file; says what a foreign file belongs to.

    Raises:
        DataSchemaError: neither a data set of ``generate`` nor one that follows the schema.
        ConfigError: the table is wrong.
    """
    with netcdf.opened_tree(path) as tree:
        foreign = "pdeinv_kind" not in tree.attrs
    if not foreign:
        return datasets.read(path)
    keys = dict(table)
    name = keys.pop("name", None)
    if name is None:
        raise DataSchemaError(
            f"{path} was not written by 'pdeinv generate'; say what it belongs to with a table "
            "[problem] in --config (docs/surrogates.md has the layout)"
        )
    return read_foreign(path, make_problem(str(name), keys))


def check_inputs(training: TrainingSet, kind: Any) -> None:
    """Refuse a surrogate on xi where xi are not known.

    Args:
        training: the data.
        kind: the surrogate's class; ``learns_fields`` is true where it needs no xi.

    Raises:
        DataSchemaError: xi are needed and not there.
    """
    if not (kind.learns_fields or np.isfinite(training.xi).all()):
        raise DataSchemaError(
            f"surrogate '{kind.name}' learns from xi, which this data set does not determine; "
            "use a surrogate of fields such as 'fno', or add xi(sample, xi_dim)"
        )
