"""Data sets that another program wrote.

docs/surrogates.md has their schema. Such a file holds data and places under the names of the
problem, and xi or the unknown itself, whose xi follow from the prior. Where they do not, fields on
a grid are left to learn from.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pdeinv.bayes.prior import Prior, whiten
from pdeinv.errors import CapabilityError, DataSchemaError, ShapeError
from pdeinv.io import netcdf
from pdeinv.io.datasets import EAGER_BYTES, Grids, TrainingSet, noise_of, prior_probe
from pdeinv.io.missing import missing
from pdeinv.io.unknowns import unknown_in
from pdeinv.model.grid_axes import grid_axes
from pdeinv.model.learned import Role
from pdeinv.model.observed import Sensors
from pdeinv.plugins.problem import Problem
from pdeinv.provenance import sha256
from pdeinv.typing import Array

__all__ = ["read_foreign"]


def read_foreign(
    path: Path,
    problem: Problem,
    eager_bytes: int = EAGER_BYTES,
    role: Role = Role.FORWARD,
) -> TrainingSet:
    """A data set of ``problem`` that another program wrote.

    Args:
        path: NetCDF file.
        problem: what it belongs to.
        eager_bytes: as of :func:`pdeinv.io.datasets.read`.
        role: of what learns from it. A denoiser needs no data, and takes an unknown that the prior
            cannot give for the coefficient where that is not there.

    Raises:
        DataSchemaError: it does not follow the schema, or does not fit the problem.
    """
    with netcdf.opened_tree(path) as tree:
        alone = role is Role.DENOISER
        return _training_set(tree.to_dataset(), path, problem, eager_bytes, alone)


def _data(dataset: xr.Dataset, problem: Problem, path: Path, alone: bool) -> tuple[Array, Sensors]:
    """Data and their places; none where fields ``alone`` are learned and the file has no data."""
    observed = problem.observed
    if alone and observed.name not in dataset.variables:
        if "sample" not in dataset.sizes:
            raise DataSchemaError(f"{path}: no variable is on 'sample'; expected the fields to be")
        return np.zeros((dataset.sizes["sample"], 0)), {c: np.zeros(0) for c in observed.coords}
    values = _column(dataset, observed.name, ("sample", "obs"), observed.units, path)
    sensors = {c: _column(dataset, c, ("obs",), u, path) for c, u in observed.coords.items()}
    for name, array in sensors.items():
        if not np.isfinite(array).all():
            raise DataSchemaError(f"{path}: coordinate '{name}' is not finite")
    return values, sensors


def _training_set(
    dataset: xr.Dataset, path: Path, problem: Problem, eager_bytes: int, alone: bool
) -> TrainingSet:
    observed, prior = problem.observed, problem.prior()
    values, sensors = _data(dataset, problem, path, alone)
    good = np.isfinite(values).all(axis=1)
    if "status" in dataset:
        good &= np.asarray(dataset["status"] == 0)
    if not good.any():
        wanted = "" if alone else f" with finite '{observed.name}' and"
        raise DataSchemaError(f"{path}: no sample{wanted or ' of'} status 0")
    kept = np.flatnonzero(good)
    grids = Grids.of(dataset, f"{observed.name}_grid", path, kept, eager_bytes)
    _check_grid(dataset, grids, problem, path)
    if alone and grids.coefficient is None:
        grids = replace(grids, coefficient=_as_coefficient(dataset, prior, path, kept))
    return TrainingSet(
        problem=problem.name,
        problem_config=problem.config.model_dump(mode="json"),
        observed=observed,
        sensors=sensors,
        xi=_xi(dataset, prior, path, kept, grids.coefficient is not None),
        values=values[good],
        prior_probe=prior_probe(prior),
        level=int(dataset.attrs.get("pdeinv_level", 0)),
        digest=sha256(path),
        n_failed=int((~good).sum()),
        noise_std=noise_of(dataset, path),
        **vars(grids),
    )


def _as_coefficient(
    dataset: xr.Dataset, prior: Prior, path: Path, kept: NDArray[np.intp]
) -> Array | None:
    """An unknown of one variable on the grid that it has, where the file holds it."""
    (variable, *others), known = prior.space.variables, dataset.data_vars
    if others or variable.name not in known:
        return None
    return _unknown(dataset, prior, path)[kept].reshape(len(kept), *variable.shape)


def _column(dataset: xr.Dataset, name: str, dims: tuple[str, ...], units: str, path: Path) -> Array:
    """A variable, checked.

    Raises:
        DataSchemaError: missing, on other dims, or in other units.
    """
    if name not in dataset.variables:
        raise DataSchemaError(
            f"{path}: variable '{name}' is missing; expected it on ({', '.join(dims)}), found "
            f"{', '.join(map(str, dataset.variables))}"
        )
    variable = dataset[name]
    if variable.dims != dims:
        raise DataSchemaError(
            f"{path}: '{name}' is on ({', '.join(map(str, variable.dims))}), expected "
            f"({', '.join(dims)})"
        )
    if variable.attrs.get("units") != units:
        raise DataSchemaError(
            f"{path}: units of '{name}' are {variable.attrs.get('units')!r}, the problem has "
            f"{units!r}; convert the values and set the attribute"
        )
    holes = missing(name, variable.variable)
    values = np.asarray(variable, dtype=np.float64)
    return values if holes is None else np.where(holes, np.nan, values)


def _check_grid(dataset: xr.Dataset, grids: Grids, problem: Problem, path: Path) -> None:
    """Refuse grids on which the coefficient will not be sampled when the surrogate is used.

    Raises:
        DataSchemaError: axes in another order or direction, uneven, or not from end to end.
    """
    if not grids.axes:
        return
    d = len(problem.axes)
    wanted = tuple(grid_axes(problem.grid((3,) * d), (3,) * d))
    if tuple(grids.axes) != wanted:
        raise DataSchemaError(
            f"{path}: 'coefficient' lies on ({', '.join(_dims(grids.axes))}), expected "
            f"({', '.join(_dims(wanted))}) behind 'sample'; transpose the grid variables"
        )
    shape = tuple(len(v) for v in grids.axes.values())
    for name, nodes in grid_axes(problem.grid(shape), shape).items():
        _check_nodes(dataset, f"grid_{name}", grids.axes[name], nodes, path)


def _dims(names: Iterable[str]) -> list[str]:
    return [f"grid_{n}" for n in names]


def _check_nodes(dataset: xr.Dataset, name: str, found: Array, wanted: Array, path: Path) -> None:
    """A coordinate of the grid must be that of a regular grid from end to end of the domain."""
    if name not in dataset.coords:
        raise DataSchemaError(f"{path}: coordinate '{name}' of the grid is missing; add it")
    slack = 1e-6 * float(np.ptp(wanted))
    if np.allclose(found, wanted, rtol=0, atol=slack):
        return
    if np.allclose(found[::-1], wanted, rtol=0, atol=slack):
        raise DataSchemaError(
            f"{path}: '{name}' decreases; turn the grid variables so that it increases, "
            f"isel({name}=slice(None, None, -1)) in xarray"
        )
    raise DataSchemaError(
        f"{path}: '{name}' runs from {found[0]:g} to {found[-1]:g} in steps from "
        f"{np.diff(found).min():g} to {np.diff(found).max():g}; expected equal steps from "
        f"{wanted[0]:g} to {wanted[-1]:g}, the ends of the domain, where the coefficient is "
        "sampled later; interpolate the grid variables to that"
    )


def _xi(
    dataset: xr.Dataset, prior: Prior, path: Path, kept: NDArray[np.intp], gridded: bool
) -> Array:
    """xi as stored or from the unknown; NaN where neither is possible but fields are there.

    Raises:
        DataSchemaError: nothing to learn from, or xi and unknown contradict each other.
    """
    known = set(prior.space.names) <= set(map(str, dataset.data_vars))
    if "xi" in dataset:
        xi = np.asarray(dataset["xi"], dtype=np.float64)
        if dataset["xi"].dims != ("sample", "xi_dim") or xi.shape[1] != prior.dim:
            raise DataSchemaError(
                f"{path}: 'xi' has shape {dict(dataset['xi'].sizes)}, expected (sample, xi_dim) "
                f"with xi_dim = {prior.dim}; correct the prior's configuration"
            )
        if known:
            _agree(prior, xi[kept], _unknown(dataset, prior, path)[kept], path)
        if not (gridded or np.isfinite(xi[kept]).all()):
            row = int(kept[np.flatnonzero(~np.isfinite(xi[kept]).all(axis=1))[0]])
            raise DataSchemaError(
                f"{path}: 'xi' of sample {row} is not finite; correct it, or give such samples a "
                "status other than 0"
            )
        return np.asarray(xi[kept])
    try:
        if known:
            return whiten(prior, _unknown(dataset, prior, path)[kept])
        there = ", ".join(map(str, dataset.data_vars))
        named = ", ".join(map(repr, prior.space.names))
        reason = (
            f"it holds neither 'xi' nor the unknown by its name {named} but {there}; rename it, or"
        )
    except (CapabilityError, DataSchemaError) as error:
        reason = f"{error};"
    if not gridded:
        raise DataSchemaError(
            f"{path}: no xi to learn from: {reason} add xi(sample, xi_dim), or 'coefficient' and "
            "the state on a grid for an operator"
        )
    return np.full((len(kept), prior.dim), np.nan)


def _unknown(dataset: xr.Dataset, prior: Prior, path: Path) -> Array:
    try:
        m = unknown_in(dataset, prior.space, bare=True)
    except (DataSchemaError, ShapeError, ValueError) as error:
        raise DataSchemaError(f"{path}: {error}") from None
    if m.ndim != 2:
        raise DataSchemaError(
            f"{path}: the unknown must be on 'sample' and its own dimensions, "
            f"got shape {m.shape} when packed"
        )
    return m


def _agree(prior: Prior, xi: Array, m: Array, path: Path) -> None:
    miss = np.abs(prior.unwhiten(xi) - m)
    if not (miss <= 1e-6 * max(float(np.std(m)), 1e-300)).all():
        raise DataSchemaError(
            f"{path}: the unknown is not what the prior makes of 'xi' (they differ by up to "
            f"{np.nanmax(miss):.3g}); the prior's configuration is another one"
        )
