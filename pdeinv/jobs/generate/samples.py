"""The layout of data set files: pairs (xi, data) sample by sample, failures included.

Layout (docs/surrogates.md has the whole of it)::

    dims          sample, xi_dim, obs, the dims of the unknown, and grid_y, grid_x where gridded
    xi(sample, xi_dim)              whitened unknown
    <unknown>(sample, ...)          the unknown itself
    u(sample, obs)                  the data, NaN where the solve failed; x(obs), y(obs) say where
    coefficient(sample, grid_y, grid_x), u_grid(sample, grid_y, grid_x)   for operator learning
    probe(sample, direction, xi_dim), action(sample, direction, obs)      dG(xi)[probe];
                                    all of the derivative: probe(direction, xi_dim), the axes
    status(sample), failure(sample) 0 = solved, 1 = failed with the reason
    noise_std(obs)                  noise of the observations that it was made for, where known
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from pdeinv.io.datasets import prior_probe
from pdeinv.io.fields import problem_attributes
from pdeinv.model.grid_axes import grid_axes
from pdeinv.model.observed import Observed, Sensors
from pdeinv.plugins.problem import Problem
from pdeinv.typing import Array

__all__ = ["Samples", "joined", "to_dataset"]


@dataclass(frozen=True)
class Samples:
    """What the solves of a data set gave.

    Attributes:
        xi: shape (n, dim).
        m: shape (n, n_m).
        values: shape (n, n_obs), NaN in failed rows.
        failures: the reason by row; empty text where solved.
        coefficient: shape (n, *grid), or None.
        field: the observed quantity, shape (n, *experiments, *grid), or None.
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

    @property
    def nbytes(self) -> int:
        """The size of the arrays."""
        return sum(v.nbytes for v in vars(self).values() if isinstance(v, np.ndarray))


def joined(parts: Sequence[Samples]) -> Samples:
    """The samples of several batches of one plan, in order."""
    if len(parts) == 1:
        return parts[0]
    arrays = {
        name: value
        if name == "probes" and value.ndim == 2  # common to all samples
        else np.concatenate([getattr(part, name) for part in parts])
        for name, value in vars(parts[0]).items()
        if isinstance(value, np.ndarray)
    }
    return Samples(failures=tuple(f for part in parts for f in part.failures), **arrays)


def _along_obs(observed: Observed, sensors: Sensors) -> dict[str, xr.Variable]:
    return {
        c: xr.Variable("obs", sensors[c], {"units": units, "long_name": c, "axis": c[0].upper()})
        for c, units in observed.coords.items()
    }


def _units_of_places(problem: Problem) -> dict[str, str]:
    """Units of x, y, z as the unknown has them, for data that are not given by place."""
    units = dict.fromkeys("xyz", "m")
    for variable in problem.prior().space.variables:
        units |= {c: a["units"] for c, a in variable.coord_attrs.items() if "units" in a}
    return units


def _gridded(problem: Problem, samples: Samples, experiments: Sensors) -> xr.Dataset:
    """The grid variables with their axes; the field has those of ``experiments`` first."""
    assert samples.coefficient is not None
    shape = samples.coefficient.shape[1:]
    observed, flat = problem.observed, grid_axes(problem.grid(shape), shape)
    axes = {**(experiments if samples.field is not None else {}), **flat}
    units = {**_units_of_places(problem), **observed.coords}
    variables = {
        "coefficient": xr.Variable(
            ("sample", *(f"grid_{name}" for name in flat)),
            samples.coefficient,
            {"units": "1", "long_name": problem.card.unknown},
        )
    }
    if samples.field is not None:
        variables[f"{observed.name}_grid"] = xr.Variable(
            ("sample", *(f"grid_{name}" for name in axes)),
            samples.field,
            {"units": observed.units, "long_name": observed.long_name},
        )
    return xr.Dataset(
        variables,
        {
            f"grid_{name}": xr.Variable(
                f"grid_{name}",
                axis,
                {"units": units[name], "long_name": name, "axis": name[0].upper()},
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
    problem: Problem,
    sensors: Sensors,
    samples: Samples,
    attrs: Mapping[str, Any],
    experiments: Sensors | None = None,
    noise_std: Array | None = None,
) -> xr.Dataset:
    """The file layout of a data set.

    Args:
        problem: what was solved.
        sensors: where the data are.
        samples: what the solves gave.
        attrs: the provenance attributes.
        experiments: the leading axes of the gridded field, by coordinate (times, sources, ...).
        noise_std: σ of the observations that it is made for, shape (n_obs,).
    """
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
    if noise_std is not None:
        dataset["noise_std"] = xr.Variable(
            "obs", noise_std, {"units": observed.units, "long_name": "noise of the observations"}
        )
    if samples.actions is not None:
        dataset = dataset.assign(_derivatives(observed, samples))
    if samples.coefficient is not None:
        dataset = dataset.merge(_gridded(problem, samples, experiments or {}))
    return dataset.assign_coords(_along_obs(observed, sensors)).assign_attrs(
        {
            **attrs,
            "pdeinv_kind": "dataset",
            **problem_attributes(problem.name, problem.config),
            "pdeinv_prior_probe": prior_probe(prior),
            "pdeinv_failed": int(failed.sum()),
        }
    )
