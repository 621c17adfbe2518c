"""Data set files as simulations to search in; predictions stay in the file until asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from pdeinv.errors import DataSchemaError
from pdeinv.io import netcdf
from pdeinv.io.datasets import PROBE, SCHEMA, check_dataset, observed_of
from pdeinv.io.fields import config_of
from pdeinv.io.rows import FileRows
from pdeinv.io.schema import check
from pdeinv.model.observed import Observed, Sensors
from pdeinv.typing import Array

__all__ = ["SimulatedSet", "read_simulated"]


@dataclass(frozen=True)
class SimulatedSet:
    """The solved samples of a data set file.

    Attributes:
        path: the file.
        problem: registered name of the problem.
        problem_config: its resolved configuration.
        observed: name and units of what was predicted.
        sensors: where.
        xi: shape (n, dim).
        predictions: (n, n_obs) rows.
        prior_probe: see :func:`pdeinv.io.datasets.prior_probe`.
    """

    path: Path
    problem: str
    problem_config: Mapping[str, Any]
    observed: Observed
    sensors: Sensors
    xi: Array
    predictions: FileRows
    prior_probe: Array


def read_simulated(path: Path) -> SimulatedSet:
    """Read and check a data set file but for its predictions; failed samples are left out.

    Raises:
        DataSchemaError: not a data set, damaged, or without any solved sample.
    """
    with netcdf.opened_tree(path) as tree:
        return _simulated(tree.to_dataset(), path)


def _simulated(dataset: xr.Dataset, path: Path) -> SimulatedSet:
    check_dataset(dataset, path)
    check(dataset, SCHEMA, str(path))
    observed, good = observed_of(dataset, path), np.flatnonzero(dataset["status"] == 0)
    xi = np.asarray(dataset["xi"], dtype=np.float64)[good]
    if not len(good):
        raise DataSchemaError(f"{path}: every one of its solves failed; nothing to search in")
    if not np.isfinite(xi).all():
        raise DataSchemaError(f"{path}: 'xi' is not finite in a sample of status 0")
    return SimulatedSet(
        path=path,
        problem=str(dataset.attrs.get("pdeinv_problem")),
        problem_config=config_of(dataset.attrs, path),
        observed=observed,
        sensors={c: np.asarray(dataset[c], dtype=np.float64) for c in observed.coords},
        xi=xi,
        predictions=FileRows(path, observed.name, good),
        prior_probe=np.asarray(dataset.attrs[PROBE], dtype=np.float64),
    )
