"""Problems, their solutions, and what sensors would measure of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from pdeinv.api.given import (
    File,
    Model,
    Subject,
    declare_model,
    files,
    paths,
    seed_or_fresh,
    to_problem,
    written,
)
from pdeinv.callers import in_python
from pdeinv.errors import ConfigError
from pdeinv.io import netcdf
from pdeinv.io.atomic import check_output
from pdeinv.io.observations import NoiseSpec
from pdeinv.jobs.observe import (
    choose_unknown,
    make_observations,
    make_truth,
    unknown_of_tree,
)
from pdeinv.plugins.hooks import phantom
from pdeinv.plugins.own_declared import OWN
from pdeinv.plugins.problem import Problem
from pdeinv.plugins.recipe import make_problem
from pdeinv.typing import Array

__all__ = ["observe", "problem", "solve"]

Labelled = xr.DataArray | xr.Dataset | xr.DataTree
"""Variables with their coordinates."""


@in_python
def problem(name: str, **config: Any) -> Problem:
    """The problem registered under ``name``, with the keys of its table ``[problem]``.

    Raises:
        UnknownPlugin: no such problem.
        ConfigError: a wrong key or value.
    """
    return make_problem(name, config)


@in_python
def solve(
    problem: Subject,
    *,
    m: ArrayLike | str | Path | Labelled = "prior-draw",
    seed: int | None = None,
    level: int = 1,
    out: str | Path | None = None,
    overwrite: bool = False,
) -> xr.DataTree:
    """Solve a problem for one unknown: ``pdeinv solve``.

    Args:
        problem: a built problem, an own model, or a name.
        m: the unknown: its numbers, shape (n_m,); ``prior-draw``, ``mean``, ``phantom:NAME``; a
            file that holds it; or its variables in xarray, which are put in order by coordinates.
        seed: root seed; drawn and recorded where None.
        level: the mesh; 1 makes data, 0 is what inversion uses.
        out: also write the truth file here.
        overwrite: replace an existing file.

    Returns:
        The fields, with the unknown in group ``unknown``; ``.to_dataset()`` is the fields alone.

    Raises:
        SolverDiverged: the solve failed.
        PdeinvError: an argument is wrong.
    """
    made, root = to_problem(problem), seed_or_fresh(seed)
    if out is not None:
        check_output(Path(out), overwrite=overwrite, inputs=paths(m))
    level = min(level, 0) if made.name == OWN else level
    found = make_truth(made, _unknown(made, m, root), seed=root, level=level)
    if out is not None:
        netcdf.write(Path(out), found)
    return found


def _unknown(problem: Problem, m: ArrayLike | str | Path | Labelled, seed: int) -> Array:
    if isinstance(m, str | Path):
        return choose_unknown(problem.prior(), str(m), seed, phantom(problem))
    if isinstance(m, xr.DataArray):
        m = m.to_dataset(name=m.name if m.name is not None else problem.prior().space.names[0])
    if isinstance(m, xr.Dataset):
        m = xr.DataTree(m)
    if isinstance(m, xr.DataTree):
        return unknown_of_tree(problem.prior(), m, filed=False)
    values = np.asarray(m, dtype=np.float64).ravel()
    size = problem.prior().space.size
    if len(values) != size:
        raise ConfigError(f"m: the unknown has {size} numbers, got {len(values)}")
    return values


@in_python
def observe(
    truth: File,
    *,
    sensors: str = "all",
    noise_rel: float | None = None,
    noise_std: float | None = None,
    noise_rms: float | None = None,
    seed: int | None = None,
    model: Model | None = None,
    out: str | Path | None = None,
    overwrite: bool = False,
) -> xr.Dataset:
    """What sensors would measure of a truth, with noise: ``pdeinv observe``.

    Args:
        truth: what :func:`solve` returned or wrote.
        sensors: places as text, such as ``grid:13x13``.
        noise_rel: standard deviation relative to the largest |y|.
        noise_std: the same, absolute.
        noise_rms: the same, relative to the root mean square of y.
        seed: root seed; drawn and recorded where None.
        model: the own model that the truth belongs to, in another process than it was made in.
        out: also write the observation file here.
        overwrite: replace an existing file.

    Raises:
        PdeinvError: an argument is wrong.
    """
    declare_model(model)
    if out is not None:
        check_output(Path(out), overwrite=overwrite, inputs=paths(truth))
    noise = NoiseSpec(noise_std, noise_rel, noise_rms)
    with files() as folder:
        path = written(truth, folder, "truth")
        found = make_observations(path, sensors, noise, seed=seed_or_fresh(seed))
    if out is not None:
        netcdf.write(Path(out), found)
    return found
