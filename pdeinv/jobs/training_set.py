"""Training sets from files of either kind: those of ``generate`` and those made elsewhere.

docs/surrogates.md has the schema of the latter. Such a file holds data and places under the names
of the problem, and xi or the unknown itself, whose xi follow from the prior. Where they do not,
fields on a grid are left to learn from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pdeinv.bayes.prior import Prior, whiten
from pdeinv.config import named
from pdeinv.errors import CapabilityError, DataSchemaError, ShapeError
from pdeinv.io import datasets, netcdf
from pdeinv.io.datasets import (
    EAGER_BYTES,
    Grids,
    TrainingSet,
    noise_of,
    prior_probe,
    same_prior,
)
from pdeinv.io.missing import missing
from pdeinv.io.unknowns import unknown_in
from pdeinv.model.grid_axes import grid_axes
from pdeinv.model.learned import Role
from pdeinv.plugins.agreed import apart
from pdeinv.plugins.problem import Problem
from pdeinv.plugins.recipe import make_problem
from pdeinv.plugins.surrogate import role_of
from pdeinv.provenance import sha256
from pdeinv.typing import Array

__all__ = ["check_inputs", "check_prior", "open_training_set", "read_foreign"]


def open_training_set(path: Path, table: Mapping[str, Any]) -> TrainingSet:
    """The data set in ``path``.

    Args:
        path: NetCDF file.
        table: ``[problem]`` of the run file; says what a foreign file belongs to.

    Raises:
        DataSchemaError: neither a data set of ``generate`` nor one that follows the schema, or of
            another problem or configuration than the table asks for.
        ConfigError: the table is wrong.
    """
    with netcdf.opened_tree(path) as tree:
        foreign = "pdeinv_kind" not in tree.attrs
    name, keys = named(table)
    if not foreign:
        return _of_problem(datasets.read(path), name, keys, path)
    if name is None:
        raise DataSchemaError(
            f"{path} was not written by 'pdeinv generate'; say what it belongs to with a table "
            "[problem] in --config (docs/surrogates.md has the layout)"
        )
    return read_foreign(path, make_problem(str(name), keys))


def _of_problem(
    found: TrainingSet, name: object, keys: Mapping[str, Any], path: Path
) -> TrainingSet:
    """What was read, where its problem is the one that a table describes, if it says anything."""
    if name is not None and name != found.problem:
        raise DataSchemaError(
            f"{path} is of problem '{found.problem}', and [problem] names '{name}'; take the data "
            "set of that, or leave problem.name out"
        )
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


def read_foreign(path: Path, problem: Problem, eager_bytes: int = EAGER_BYTES) -> TrainingSet:
    """A data set of ``problem`` that another program wrote.

    Args:
        path: NetCDF file.
        problem: what it belongs to.
        eager_bytes: as of :func:`pdeinv.io.datasets.read`.

    Raises:
        DataSchemaError: it does not follow the schema, or does not fit the problem.
    """
    with netcdf.opened_tree(path) as tree:
        return _training_set(tree.to_dataset(), path, problem, eager_bytes)


def _training_set(
    dataset: xr.Dataset, path: Path, problem: Problem, eager_bytes: int
) -> TrainingSet:
    observed, prior = problem.observed, problem.prior()
    values = _column(dataset, observed.name, ("sample", "obs"), observed.units, path)
    sensors = {c: _column(dataset, c, ("obs",), u, path) for c, u in observed.coords.items()}
    for name, array in sensors.items():
        if not np.isfinite(array).all():
            raise DataSchemaError(f"{path}: coordinate '{name}' is not finite")
    good = np.isfinite(values).all(axis=1)
    if "status" in dataset:
        good &= np.asarray(dataset["status"] == 0)
    if not good.any():
        raise DataSchemaError(f"{path}: no sample with finite '{observed.name}' and status 0")
    kept = np.flatnonzero(good)
    grids = Grids.of(dataset, f"{observed.name}_grid", path, kept, eager_bytes)
    _check_grid(dataset, grids, problem, path)
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
        return np.asarray(xi[kept])
    try:
        if known:
            return whiten(prior, _unknown(dataset, prior, path)[kept])
        reason = f"it holds neither 'xi' nor the unknown ({', '.join(prior.space.names)})"
    except (CapabilityError, DataSchemaError) as error:
        reason = str(error)
    if not gridded:
        raise DataSchemaError(
            f"{path}: no xi to learn from: {reason}; add xi(sample, xi_dim), or 'coefficient' and "
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
