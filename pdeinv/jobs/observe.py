"""Made-up measurements: a truth from the prior, solved on a finer mesh, observed with noise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pdeinv.bayes.likelihood import Likelihood
from pdeinv.bayes.prior import Prior
from pdeinv.config import named
from pdeinv.errors import ConfigError, DataSchemaError, ShapeError, SolverDiverged
from pdeinv.io import netcdf
from pdeinv.io.fields import LEVEL, problem_attributes
from pdeinv.io.observations import NoiseSpec, Observations, to_dataset
from pdeinv.io.schema import fitting
from pdeinv.io.unknowns import unknown_in
from pdeinv.plugins.agreed import apart, check_problem
from pdeinv.plugins.hooks import annotated, fixtures, likelihood
from pdeinv.plugins.mask import masks
from pdeinv.plugins.problem import Problem
from pdeinv.plugins.states import problem_of_truth
from pdeinv.provenance import Source, attributes, sources_of
from pdeinv.rng import stream
from pdeinv.typing import Array

__all__ = [
    "choose_unknown",
    "make_observations",
    "make_truth",
    "not_of_truth",
    "read_truth",
    "truth_tree",
    "unknown_of",
    "unknown_of_tree",
]

PHANTOM = "phantom:"
UNKNOWN = "unknown"
"""The group of a truth file that holds m; the root holds the fields on the mesh."""
FIXTURES = "constant_data"
"""The group, as in results, that holds outline, electrodes and the mesh of m, if there are any."""


def choose_unknown(
    prior: Prior,
    spec: str,
    seed: int,
    phantom: Callable[[str, np.random.Generator], Array] | None = None,
) -> Array:
    """The unknown m that ``spec`` names, shape (n_m,).

    Args:
        prior: the problem's prior.
        spec: ``prior-draw`` (stream "truth" of ``seed``), ``mean`` (the image of xi = 0),
            ``phantom:NAME`` where the problem has phantoms, or a NetCDF file with the unknown's
            variables: a truth file, a result file (its posterior mean), or a plain dataset.
        seed: the root seed.
        phantom: the problem's phantoms, m by name and random generator.

    Raises:
        ConfigError: the problem has no such phantom.
        DataSchemaError: the file cannot be read.
        ShapeError: the file's variables are not those of the unknown.
    """
    if spec == "prior-draw":
        return prior.unwhiten(stream(seed, "truth").standard_normal(prior.dim))
    if spec == "mean":
        return prior.unwhiten(np.zeros(prior.dim))
    if spec.startswith(PHANTOM):
        if phantom is None:
            raise ConfigError(f"--m {spec}: the problem has no phantoms; use prior-draw or a file")
        return phantom(spec.removeprefix(PHANTOM), stream(seed, "truth"))
    m = unknown_of(prior, Path(spec))
    if not np.isfinite(m).all():
        raise DataSchemaError(f"{spec}: its unknown has values that are missing or not finite")
    return m


def unknown_of(prior: Prior, path: Path) -> Array:
    """The unknown stored in a truth, result or plain NetCDF file, shape (n_m,).

    Raises:
        DataSchemaError: the file cannot be read, or holds an unknown in other units or on another
            grid.
        ShapeError: it holds none, or one of another shape.
    """
    tree = netcdf.read_tree(path)
    try:
        return unknown_of_tree(prior, tree)
    except (DataSchemaError, ShapeError) as error:
        raise type(error)(f"{path}: {error}") from None


def unknown_of_tree(prior: Prior, tree: xr.DataTree, *, filed: bool = True) -> Array:
    """The unknown of a truth, of a result (its mean) or of a plain dataset, shape (n_m,).

    Args:
        prior: of the unknown.
        tree: what holds it.
        filed: see :func:`pdeinv.io.unknowns.unknown_in`.

    Raises:
        DataSchemaError: other units or another grid.
        ShapeError: there is none, or one of another shape.
    """
    if UNKNOWN in tree.children:
        return unknown_in(tree[UNKNOWN].to_dataset(), prior.space, filed=filed)
    if "estimates" in tree.children:
        found = tree["estimates"].to_dataset()
        means = {f"{n}_mean": n for n in prior.space.names if f"{n}_mean" in found}
        return unknown_in(found.rename(means), prior.space, filed=filed)
    return unknown_in(tree.to_dataset(), prior.space, filed=filed)


def make_truth(
    problem: Problem, m: Array, *, seed: int, level: int = 1, comm: Any = None
) -> xr.DataTree:
    """All fields for one unknown, with the unknown itself in group ``unknown``.

    Args:
        problem: the physics.
        m: the unknown, shape (n_m,).
        seed: recorded in the file.
        level: the mesh; 1 makes data, 0 is what inversion uses.
        comm: an MPI communicator to share the solve, or None.

    Raises:
        SolverDiverged: the solve failed or gave values that are not finite.
    """
    return truth_tree(problem, m, problem.solve(m, level, comm), seed=seed, level=level)


def truth_tree(
    problem: Problem,
    m: Array,
    fields: xr.Dataset,
    *,
    seed: int,
    level: int,
    more: Mapping[str, Any] | None = None,
) -> xr.DataTree:
    """The truth file of fields that a solver gave for ``m``, with ``more`` root attributes.

    Raises:
        SolverDiverged: a field has values that are not finite.
    """
    bad = [
        str(k) for k, v in fields.data_vars.items() if v.dtype.kind == "f" and not v.notnull().all()
    ]
    if bad:
        raise SolverDiverged(f"the solve gave values that are not finite in {', '.join(bad)}")
    table = {"name": problem.name, **problem.config.model_dump(mode="json")}
    attrs = {
        **attributes({"seed": seed, "problem": table}, seed, sources_of(problem.config)),
        "pdeinv_kind": "truth",
        **problem_attributes(problem.name, problem.config),
        LEVEL: level,
        **(more or {}),
    }
    space = problem.prior().space
    unknown = space.unpack(m).merge(masks(problem, space))
    return xr.DataTree.from_dict({
        "/": fields.assign_attrs({**attrs, **fields.attrs}),
        UNKNOWN: unknown,
        **({FIXTURES: fixed} if (fixed := fixtures(problem)).variables else {}),
    })  # fmt: skip


def read_truth(path: Path) -> tuple[Problem, xr.Dataset]:
    """The problem and the fields of a truth file.

    Raises:
        DataSchemaError: not a truth file.
    """
    fields = netcdf.read_dataset(path)
    netcdf.check_kind(fields.attrs, path, {"truth": "solve"})
    return problem_of_truth(fields, path), fields


def not_of_truth(path: Path, problem: Problem, table: Mapping[str, Any]) -> str | None:
    """What to tell of a run file's ``[problem]`` that is another than the ``problem`` of a truth.

    The truth's is what is observed; a run file of the inversion to come may have another unknown or
    a coarser mesh.

    Raises:
        DataSchemaError: of another problem than the table names.
    """
    if not table:
        return None
    name, keys = named(table)
    check_problem(path, problem.name, name, "truth")
    other = apart(problem.name, problem.config.model_dump(mode="json"), keys)
    return None if other is None else f"observed as solved, with problem.{other}"


def _law(
    own: Likelihood | None, noise: NoiseSpec, values: Array, kinds: NDArray[np.int64] | None
) -> Likelihood:
    """The distribution of data about the ``values``: the problem's own, or the noise.

    Raises:
        DataSchemaError: none, or both.
    """
    if own is None and not noise:
        raise DataSchemaError(
            "no noise given; pass --noise-std (absolute) or --noise-rel (relative to the largest "
            "value)"
        )
    if own is not None and noise:
        raise DataSchemaError(
            "the problem says itself how these data scatter; leave out --noise-std and --noise-rel"
        )
    return noise.for_values(values, kinds) if own is None else own


def make_observations(
    truth: Path,
    sensors: str | None,
    noise: NoiseSpec,
    *,
    seed: int,
    read: tuple[Problem, xr.Dataset] | None = None,
) -> xr.Dataset:
    """What the sensors of ``truth`` would measure: y = G(m) + eta, eta from stream "noise".

    Where the problem has a likelihood of its own, such as that of masks, y is drawn from that.

    Args:
        truth: a truth file.
        sensors: places, as :meth:`pdeinv.plugins.problem.Problem.sensors` reads them.
        noise: the standard deviation of eta, absolute or relative to the largest |y|.
        seed: the root seed.
        read: what :func:`read_truth` gives of that file, where it was read before.

    Raises:
        DataSchemaError: no noise given, or some for data that have none, or not a truth file.
        ConfigError: the sensors are missing, are not understood or lie outside the domain.
        CapabilityError: no data can be drawn from the problem's likelihood.
    """
    problem, fields = read_truth(truth) if read is None else read
    if sensors is None:
        raise ConfigError(
            f"no sensors given; pass --sensors, for example --sensors {problem.default_sensors}"
        )
    places = problem.sensors(sensors)
    with fitting(truth, "observed"):
        values = problem.observe(fields, places)
    kinds = problem.observed.numbers(places)
    law = _law(likelihood(problem)(places), noise, values, kinds)
    noisy = law.draw(values[None], stream(seed, "noise"))[0]
    resolved = {
        "seed": seed,
        "sensors": sensors,
        "noise": {"std": noise.std, "rel": noise.rel},
        "problem": {"name": problem.name, **problem.config.model_dump(mode="json")},
    }
    attrs = {
        **attributes(resolved, seed, [Source.of(truth)]),
        "pdeinv_kind": "observations",
        **problem_attributes(problem.name, problem.config),
        LEVEL: fields.attrs[LEVEL],
    }
    found = to_dataset(Observations(problem.observed, noisy, places, law), attrs)
    return annotated(problem, found)
