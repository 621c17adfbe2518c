"""Data set files: pairs (xi, data) of a reference model, sample by sample, failures included.

Layout (docs/surrogates.md has the whole of it)::

    dims          sample, xi_dim, obs, the dims of the unknown, and grid_y, grid_x where gridded
    xi(sample, xi_dim)              whitened unknown
    <unknown>(sample, ...)          the unknown itself
    u(sample, obs)                  the data, NaN where the solve failed; x(obs), y(obs) say where
    coefficient(sample, grid_y, grid_x), u_grid(sample, grid_y, grid_x)   for operator learning
    probe(sample, direction, xi_dim), action(sample, direction, obs)      dG(xi)[probe];
                                    all of the derivative: probe(direction, xi_dim), the axes
    status(sample), failure(sample) 0 = solved, 1 = failed with the reason
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from pdeinv.bayes.prior import Prior
from pdeinv.config import dump_toml, parse_toml
from pdeinv.errors import DataSchemaError
from pdeinv.io import netcdf
from pdeinv.protocols import Observed, Problem, Sensors
from pdeinv.provenance import sha256
from pdeinv.rng import stream
from pdeinv.typing import Array

__all__ = ["Samples", "TrainingSet", "grid_axes", "prior_probe", "read", "to_dataset"]


def prior_probe(prior: Prior) -> Array:
    """Eight numbers that tell priors apart: fixed projections of m at two fixed xi.

    They are compared with a tolerance, unlike a hash, so that they survive another platform's
    rounding.
    """
    rng = stream(0, "prior-probe")
    m = prior.unwhiten(rng.standard_normal((2, prior.dim)))
    weights = rng.standard_normal((prior.space.size, 4)) / np.sqrt(prior.space.size)
    return np.asarray((m @ weights).ravel())


def grid_axes(nodes: Sensors, shape: tuple[int, ...]) -> dict[str, Array]:
    """The coordinate of each axis of a regular grid given by all its nodes, in axis order.

    Raises:
        DataSchemaError: the nodes are not a regular grid of that shape.
    """
    axes: dict[int, tuple[str, Array]] = {}
    for name, flat in nodes.items():
        values = np.asarray(flat).reshape(shape)
        for axis in range(len(shape)):
            line = np.moveaxis(values, axis, 0).reshape(shape[axis], -1)
            if np.allclose(line, line[:, :1]) and line[0, 0] != line[-1, 0]:
                axes[axis] = (name, line[:, 0].copy())
    if len(axes) != len(shape):
        raise DataSchemaError(f"grid nodes do not form a regular grid of shape {shape}")
    return {axes[k][0]: axes[k][1] for k in range(len(shape))}


@dataclass(frozen=True)
class Samples:
    """What the solves of a data set gave.

    Attributes:
        xi: shape (n, dim).
        m: shape (n, n_m).
        values: shape (n, n_obs), NaN in failed rows.
        failures: the reason by row; empty text where solved.
        coefficient: shape (n, *grid), or None.
        field: the observed quantity on the grid, shape (n, *grid), or None.
        probes: unit directions in xi, shape (n, k, dim), or (k, dim) where common, or None.
        actions: dG(xi)[probe], shape (n, k, n_obs), NaN in failed rows, or None.
    """

    xi: Array
    m: Array
    values: Array
    failures: tuple[str, ...]
    coefficient: Array | None = None
    field: Array | None = None
    probes: Array | None = None
    actions: Array | None = None


def _along_obs(observed: Observed, sensors: Sensors) -> dict[str, xr.Variable]:
    return {
        c: xr.Variable("obs", sensors[c], {"units": units, "long_name": c, "axis": c[0].upper()})
        for c, units in observed.coords.items()
    }


def _gridded(problem: Problem, samples: Samples) -> xr.Dataset:
    """The grid variables with their axes."""
    assert samples.coefficient is not None and samples.field is not None  # noqa: PT018
    shape = samples.field.shape[1:]
    observed = problem.observed
    axes = grid_axes(problem.grid(shape), shape)
    dims = ("sample", *(f"grid_{name}" for name in axes))
    return xr.Dataset(
        {
            "coefficient": xr.Variable(
                dims, samples.coefficient, {"units": "1", "long_name": problem.card.unknown}
            ),
            f"{observed.name}_grid": xr.Variable(
                dims, samples.field, {"units": observed.units, "long_name": observed.long_name}
            ),
        },
        {
            f"grid_{name}": xr.Variable(
                f"grid_{name}",
                axis,
                {"units": observed.coords[name], "long_name": name, "axis": name[0].upper()},
            )
            for name, axis in axes.items()
        },
    )


def _derivatives(observed: Observed, samples: Samples) -> dict[str, xr.Variable]:
    """The variables of the Jacobian actions; xi has no unit, so an action has that of the data."""
    assert samples.probes is not None and samples.actions is not None  # noqa: PT018
    text = f"derivative of the data ({observed.long_name}) in the direction 'probe' of xi"
    return {
        "probe": xr.Variable(
            ("sample", "direction", "xi_dim")[-samples.probes.ndim :],
            samples.probes,
            {"units": "1", "long_name": "unit direction in the whitened unknown"},
        ),
        "action": xr.Variable(
            ("sample", "direction", "obs"),
            samples.actions,
            {"units": observed.units, "long_name": text},
        ),
    }


def to_dataset(
    problem: Problem, sensors: Sensors, samples: Samples, attrs: Mapping[str, Any]
) -> xr.Dataset:
    """The file layout of a data set; ``attrs`` are the provenance attributes."""
    observed, prior = problem.observed, problem.prior()
    failed = np.array([bool(reason) for reason in samples.failures])
    dataset = prior.space.unpack(samples.m, ("sample",))
    dataset["xi"] = xr.Variable(
        ("sample", "xi_dim"), samples.xi, {"units": "1", "long_name": "whitened unknown"}
    )
    dataset[observed.name] = xr.Variable(
        ("sample", "obs"),
        samples.values,
        {"units": observed.units, "long_name": observed.long_name, "ancillary_variables": "status"},
    )
    dataset["status"] = xr.Variable("sample", failed.astype(np.int8), {
        "long_name": "whether the solve succeeded",
        "flag_values": np.array([0, 1], dtype=np.int8),
        "flag_meanings": "solved failed",
    })  # fmt: skip
    dataset["failure"] = xr.Variable(
        "sample", np.array(samples.failures, dtype=object), {"long_name": "why the solve failed"}
    )
    if samples.actions is not None:
        dataset = dataset.assign(_derivatives(observed, samples))
    if samples.field is not None:
        dataset = dataset.merge(_gridded(problem, samples))
    return dataset.assign_coords(_along_obs(observed, sensors)).assign_attrs(
        {
            **attrs,
            "pdeinv_kind": "dataset",
            "pdeinv_problem": problem.name,
            "pdeinv_problem_config": dump_toml(problem.config.model_dump(mode="json")),
            "pdeinv_prior_probe": prior_probe(prior),
            "pdeinv_failed": int(failed.sum()),
        }
    )


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
        field: shape (n, *grid), or None.
        axes: grid coordinate of each axis, in axis order; empty without a grid.
        n_failed: samples left out because their solve failed.
        probes: unit directions v in xi, shape (n, k, dim), or None; k = dim: the axes.
        actions: dG(xi)[v], shape (n, k, n_obs), or None.
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
    coefficient: Array | None
    field: Array | None
    axes: Mapping[str, Array]
    n_failed: int
    probes: Array | None = None
    actions: Array | None = None

    @property
    def size(self) -> int:
        """The number of samples."""
        return len(self.xi)


def _observed(dataset: xr.Dataset, path: Path) -> Observed:
    """The data variable: the one on (sample, obs)."""
    names = [str(k) for k, v in dataset.data_vars.items() if v.dims == ("sample", "obs")]
    if len(names) != 1:
        raise DataSchemaError(
            f"{path}: expected one variable on (sample, obs), found {names or 'none'}"
        )
    attrs = dataset[names[0]].attrs
    coords = {str(k): str(v.attrs.get("units", "1")) for k, v in dataset.coords.items()
              if v.dims == ("obs",)}  # fmt: skip
    return Observed(names[0], str(attrs.get("units", "1")), str(attrs.get("long_name", "")), coords)


def read(path: Path) -> TrainingSet:
    """Read and check a data set file; failed samples are left out and counted.

    Raises:
        DataSchemaError: not a data set, damaged, or without any solved sample.
    """
    dataset = netcdf.read_dataset(path)
    kind = dataset.attrs.get("pdeinv_kind")
    if kind != "dataset":
        got = f"a file of kind '{kind}'" if kind else "a file that pdeinv did not write"
        raise DataSchemaError(f"{path}: expected the output of 'pdeinv generate', got {got}")
    missing = [v for v in ("xi", "status") if v not in dataset]
    if missing:
        raise DataSchemaError(f"{path}: variable '{missing[0]}' is missing; generate it again")
    observed = _observed(dataset, path)
    good = np.asarray(dataset["status"] == 0)
    if not good.any():
        raise DataSchemaError(
            f"{path}: every one of {len(good)} solves failed; nothing to learn from"
        )
    values = np.asarray(dataset[observed.name], dtype=np.float64)[good]
    if not np.isfinite(values).all():
        raise DataSchemaError(f"{path}: '{observed.name}' is not finite in a sample of status 0")
    text = str(dataset.attrs.get("pdeinv_problem_config", ""))
    return TrainingSet(
        problem=str(dataset.attrs.get("pdeinv_problem")),
        problem_config=parse_toml(text, f"{path}: attribute pdeinv_problem_config"),
        observed=observed,
        sensors={c: np.asarray(dataset[c], dtype=np.float64) for c in observed.coords},
        xi=np.asarray(dataset["xi"], dtype=np.float64)[good],
        values=values,
        prior_probe=np.asarray(dataset.attrs["pdeinv_prior_probe"], dtype=np.float64),
        level=int(dataset.attrs.get("pdeinv_level", 0)),
        digest=sha256(path),
        coefficient=_rows(dataset, "coefficient", good),
        field=_rows(dataset, f"{observed.name}_grid", good),
        axes=_axes(dataset),
        n_failed=int((~good).sum()),
        probes=_probes(dataset, good),
        actions=_rows(dataset, "action", good),
    )


def _rows(dataset: xr.Dataset, name: str, good: Any) -> Array | None:
    return np.asarray(dataset[name], dtype=np.float64)[good] if name in dataset else None


def _probes(dataset: xr.Dataset, good: Any) -> Array | None:
    if "probe" in dataset and "sample" not in dataset["probe"].dims:
        common = np.asarray(dataset["probe"], dtype=np.float64)
        return np.broadcast_to(common, (int(good.sum()), *common.shape))
    return _rows(dataset, "probe", good)


def _axes(dataset: xr.Dataset) -> dict[str, Array]:
    if "coefficient" not in dataset:
        return {}
    dims = [str(d) for d in dataset["coefficient"].dims[1:]]
    return {d.removeprefix("grid_"): np.asarray(dataset[d], dtype=np.float64) for d in dims}
