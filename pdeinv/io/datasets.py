"""Data set files as training sets; :mod:`pdeinv.jobs.generate.samples` has the layout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from dataclasses import field as entry
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from pdeinv.bayes.prior import Prior
from pdeinv.errors import DataSchemaError
from pdeinv.io import netcdf
from pdeinv.io.fields import config_of
from pdeinv.io.rows import FileRows
from pdeinv.io.schema import ANY, Column, check
from pdeinv.model.observed import Observed, Sensors
from pdeinv.provenance import sha256
from pdeinv.rng import stream
from pdeinv.typing import Array

__all__ = [
    "EAGER_BYTES",
    "Grids",
    "TrainingSet",
    "check_dataset",
    "noise_of",
    "observed_of",
    "prior_probe",
    "read",
    "same_prior",
]

PROBE = "pdeinv_prior_probe"

SCHEMA = {
    "xi": Column(("sample", ANY), needed=True),
    "status": Column(("sample",), needed=True),
    "coefficient": Column(("sample",), more=True),
    "probe": Column((ANY, ANY), more=True),
    "action": Column(("sample", ANY, "obs")),
    "noise_std": Column(("obs",)),
}
"""What the variables of a data set have to be."""

EAGER_BYTES = 1 << 29
"""Grid variables up to this size are read at once."""


def prior_probe(prior: Prior) -> Array:
    """Eight numbers that tell priors apart: fixed projections of m at two fixed xi.

    They are compared with a tolerance, unlike a hash, so that they survive another platform's
    rounding.
    """
    rng = stream(0, "prior-probe")
    m = prior.unwhiten(rng.standard_normal((2, prior.dim)))
    weights = rng.standard_normal((prior.space.size, 4)) / np.sqrt(prior.space.size)
    return np.asarray((m @ weights).ravel())


def same_prior(prior: Prior, probe: Array) -> bool:
    """Whether ``probe`` is that of ``prior``: one xi means one unknown in both."""
    own = prior_probe(prior)
    if np.shape(probe) != own.shape:
        return False
    return bool(np.allclose(own, probe, rtol=1e-6, atol=1e-12 * float(np.abs(own).max())))


@dataclass(frozen=True)
class TrainingSet:
    """The solved samples of a data set file, ready for a surrogate.

    Attributes:
        problem: registered name of the problem.
        problem_config: its resolved configuration.
        observed: name and units of the data.
        sensors: where the data are.
        xi: shape (n, dim).
        values: shape (n, n_obs).
        prior_probe: see :func:`prior_probe`.
        level: mesh level of the reference model.
        digest: sha256 of the file.
        coefficient: shape (n, *grid), or None.
        field: shape (n, *experiments, *grid), or None.
        axes: grid coordinate of each axis, in axis order; empty without a grid.
        n_failed: samples left out because their solve failed.
        probes: unit directions v in xi, shape (n, k, dim), or None; k = dim: the axes.
        actions: dG(xi)[v], shape (n, k, n_obs), or None.
        experiments: what the field varies over beside place (times, sources, ...), in axis order.
        noise_std: σ of the observations that it was made for, shape (n_obs,), or None.

    Where the grid variables are large, ``coefficient`` and ``field`` are :class:`FileRows`.
    """

    problem: str
    problem_config: Mapping[str, Any]
    observed: Observed
    sensors: Sensors
    xi: Array
    values: Array
    prior_probe: Array
    level: int
    digest: str
    coefficient: Array | Any
    field: Array | Any
    axes: Mapping[str, Array]
    n_failed: int
    probes: Array | None = None
    actions: Array | None = None
    experiments: Mapping[str, Array] = entry(default_factory=dict)
    noise_std: Array | None = None

    @property
    def size(self) -> int:
        """The number of samples."""
        return len(self.xi)

    def rows(self, chosen: Any) -> TrainingSet:
        """Some of the samples, by row numbers."""
        parts = ("xi", "values", "coefficient", "field", "probes", "actions")
        arrays = {name: getattr(self, name) for name in parts}
        return replace(self, **{k: a[chosen] for k, a in arrays.items() if a is not None})


def observed_of(dataset: xr.Dataset, path: Path) -> Observed:
    """The data variable: the one on (sample, obs)."""
    names = [str(k) for k, v in dataset.data_vars.items() if v.dims == ("sample", "obs")]
    if len(names) != 1:
        raise DataSchemaError(
            f"{path}: expected one variable on (sample, obs), found {names or 'none'}"
        )
    places = [str(c) for c, v in dataset.coords.items() if v.dims == ("obs",)]
    check(dataset, {names[0]: Column(("sample", "obs"))}, str(path))
    check(dataset, {c: Column(("obs",), finite=True) for c in places}, str(path))
    attrs = dataset[names[0]].attrs
    coords = {str(k): str(v.attrs.get("units", "1")) for k, v in dataset.coords.items()
              if v.dims == ("obs",)}  # fmt: skip
    return Observed(names[0], str(attrs.get("units", "1")), str(attrs.get("long_name", "")), coords)


def read(path: Path, eager_bytes: int = EAGER_BYTES) -> TrainingSet:
    """Read and check a data set file; failed samples are left out and counted.

    Args:
        path: the file.
        eager_bytes: larger grid variables stay in the file until their rows are asked for.

    Raises:
        DataSchemaError: not a data set, damaged, or without any solved sample.
    """
    with netcdf.opened_tree(path) as tree:
        return _training_set(tree.to_dataset(), path, eager_bytes)


def _training_set(dataset: xr.Dataset, path: Path, eager_bytes: int) -> TrainingSet:
    check_dataset(dataset, path)
    check(dataset, SCHEMA, str(path))
    observed = observed_of(dataset, path)
    good = np.asarray(dataset["status"] == 0)
    if not good.any():
        raise DataSchemaError(
            f"{path}: every one of {len(good)} solves failed; nothing to learn from"
        )
    values = np.asarray(dataset[observed.name], dtype=np.float64)[good]
    if not np.isfinite(values).all():
        raise DataSchemaError(f"{path}: '{observed.name}' is not finite in a sample of status 0")
    grids = Grids.of(dataset, f"{observed.name}_grid", path, np.flatnonzero(good), eager_bytes)
    return TrainingSet(
        problem=str(dataset.attrs.get("pdeinv_problem")),
        problem_config=config_of(dataset.attrs, path),
        observed=observed,
        sensors={c: np.asarray(dataset[c], dtype=np.float64) for c in observed.coords},
        xi=np.asarray(dataset["xi"], dtype=np.float64)[good],
        values=values,
        prior_probe=np.asarray(dataset.attrs[PROBE], dtype=np.float64),
        level=int(dataset.attrs.get("pdeinv_level", 0)),
        digest=sha256(path),
        n_failed=int((~good).sum()),
        probes=_probes(dataset, good),
        actions=_rows(dataset, "action", good),
        noise_std=noise_of(dataset, path),
        **vars(grids),
    )


def check_dataset(dataset: xr.Dataset, path: Path) -> None:
    """Refuse a file that is no data set.

    Raises:
        DataSchemaError: it is of another kind, or says nothing of its prior.
    """
    netcdf.check_kind(dataset.attrs, path, {"dataset": "generate"})
    if PROBE not in dataset.attrs:
        raise DataSchemaError(f"{path}: attribute {PROBE} is missing; generate it again")


def noise_of(dataset: xr.Dataset, path: Path) -> Array | None:
    """σ of the observations that the data set was made for, shape (n_obs,), where it holds it.

    Raises:
        DataSchemaError: not positive, or not on (obs).
    """
    if "noise_std" not in dataset:
        return None
    noise = np.asarray(dataset["noise_std"], dtype=np.float64)
    if dataset["noise_std"].dims != ("obs",) or not ((noise > 0) & np.isfinite(noise)).all():
        raise DataSchemaError(
            f"{path}: 'noise_std' must be positive on (obs); correct it, or leave it out"
        )
    return noise


def _rows(dataset: xr.Dataset, name: str, good: Any) -> Array | None:
    return np.asarray(dataset[name], dtype=np.float64)[good] if name in dataset else None


def _probes(dataset: xr.Dataset, good: Any) -> Array | None:
    """The directions; those that all samples share are repeated without copies."""
    if "probe" in dataset and "sample" not in dataset["probe"].dims:
        common = np.asarray(dataset["probe"], dtype=np.float64)
        return np.broadcast_to(common, (int(good.sum()), *common.shape))
    return _rows(dataset, "probe", good)


@dataclass(frozen=True)
class Grids:
    """The grid variables of a file.

    Attributes:
        coefficient: as in :class:`TrainingSet`.
        field: likewise.
        axes: likewise.
        experiments: likewise.
    """

    coefficient: Array | Any = None
    field: Array | Any = None
    axes: Mapping[str, Array] = entry(default_factory=dict)
    experiments: Mapping[str, Array] = entry(default_factory=dict)

    @classmethod
    def of(cls, dataset: xr.Dataset, name: str, path: Path, kept: Any, eager_bytes: int) -> Grids:
        """``coefficient`` and variable ``name`` of an open file, where it has them.

        Raises:
            DataSchemaError: their axes do not fit together.
        """
        if "coefficient" not in dataset:
            return cls()
        found = ["coefficient", *([name] if name in dataset else [])]
        check(dataset, {v: Column(("sample",), more=True) for v in found}, str(path))
        flat, full = (tuple(map(str, dataset[v].dims)) for v in (found[0], found[-1]))
        lead = full[1 : len(full) - len(flat) + 1]
        if flat[:1] != ("sample",) or full != ("sample", *lead, *flat[1:]):
            raise DataSchemaError(
                f"{path}: 'coefficient' on ({', '.join(flat)}) and '{name}' on "
                f"({', '.join(full)}) do not share the grid; expected the same last dimensions"
            )
        rows = [FileRows(path, v, kept) for v in found]
        small = sum(r.nbytes for r in rows) <= eager_bytes
        both = [np.asarray(r) for r in rows] if small else rows
        check(dataset, {d: Column((d,), needed=True, finite=True) for d in full[1:]}, str(path))
        coordinates = {
            d.removeprefix("grid_"): np.asarray(dataset[d], dtype=np.float64) for d in full[1:]
        }
        names = [d.removeprefix("grid_") for d in lead]
        return cls(
            both[0],
            both[1] if len(both) > 1 else None,
            {c: v for c, v in coordinates.items() if c not in names},
            {c: coordinates[c] for c in names},
        )
