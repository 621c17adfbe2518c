"""Results and truths as NIfTI images, which the viewers of radiologists open."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pdeinv.errors import ConfigError
from pdeinv.foreign import Unreadable, read_json
from pdeinv.io import netcdf
from pdeinv.io.atomic import atomic
from pdeinv.io.fields import LEVEL
from pdeinv.io.marks import ATTRIBUTE, RUN_MARK, maker
from pdeinv.io.nifti import is_nifti_name, write_volume
from pdeinv.io.schema import fitting
from pdeinv.io.voxel_grid import VoxelGrid
from pdeinv.jobs.export import QUANTILES, warn_unconverged
from pdeinv.jobs.observe import read_truth
from pdeinv.plugins import hooks
from pdeinv.plugins.problem import Images, Problem
from pdeinv.plugins.states import Solved, draws_in, problem_of_result, solved
from pdeinv.provenance import Source
from pdeinv.typing import Array

__all__ = ["N_DRAWS", "export_nifti", "images_in"]

N_DRAWS = 100
"""Draws of a result that are solved for its images, at most."""

Volumes = Mapping[str, NDArray[Any]]


def export_nifti(
    path: Path, out: Path, thresholds: Sequence[float] = (), time: float | None = None
) -> dict[str, Any]:
    """Write the state of a result or truth at its end as NIfTI images.

    A name that ends in .nii or .nii.gz is one image: the mean over draws, or the truth's state.
    Another name is a folder: of a result ``STATE_mean``, ``STATE_sd`` and the quantiles, or
    ``STATE_estimate`` of a point; of a truth whatever its problem shows. Statistics are those of
    the states where the model computes them, put on the voxels.

    Args:
        path: of ``invert`` or ``solve``.
        out: the image or folder.
        thresholds: of a truth's segmentation.
        time: of a truth's state; the last where not given.

    Returns:
        What was written: the images, and how many draws were solved and how many failed.

    Raises:
        ConfigError: the problem has no images, or an option that does not fit.
        DataSchemaError: a file of another kind.
        MissingDependency: nibabel is not installed.
        SolverDiverged: no draw could be solved.
    """
    tree = netcdf.read_tree(path)
    netcdf.check_kind(tree.attrs, path, {"result": "invert", "truth": "solve"})
    with fitting(path, "exported"):
        if netcdf.kind_of(tree) == "truth":
            grid, volumes, told = _of_truth(path, thresholds, time)
        elif thresholds or time is not None:
            raise ConfigError("--threshold and --time are for truths; leave them out")
        else:
            grid, volumes, told = _of_result(tree, path)
    _write(out, grid, volumes, {"source": list(Source.of(path)), **told})
    warn_unconverged(tree, path)
    return {"images": sorted(volumes), **told}


def _images(problem: Problem, level: int) -> Images:
    found = hooks.images(problem, level)
    if found is None:
        raise ConfigError(
            f"--nifti: problem {problem.name} has no medical images; take --vtk OUT.vtkhdf"
        )
    return found


def _of_truth(
    path: Path, thresholds: Sequence[float], time: float | None
) -> tuple[VoxelGrid, Volumes, dict[str, Any]]:
    problem, fields = read_truth(path)
    images = _images(problem, int(fields.attrs[LEVEL]))
    return images.grid, images.fields(fields, thresholds, time), {}


def _of_result(tree: xr.DataTree, path: Path) -> tuple[VoxelGrid, Volumes, dict[str, Any]]:
    problem, level = problem_of_result(tree, path)
    images = _images(problem, level)
    found = solved(images.state, draws_in(tree, problem), N_DRAWS)
    told = {"draws": len(found.states), "failed": found.failed}
    fields = _statistics(found, point=tree.attrs.get("pdeinv_produces") == "point")
    volumes = {f"{images.name}_{k}": images.volume(v) for k, v in fields.items()}
    return images.grid, volumes, told


def _statistics(found: Solved, *, point: bool) -> dict[str, Array]:
    if point:
        return {"estimate": found.states[0]}
    levels = np.quantile(found.states, list(QUANTILES.values()), axis=0)
    return {"mean": found.mean, "sd": found.sd, **dict(zip(QUANTILES, levels, strict=True))}


def _write(out: Path, grid: VoxelGrid, volumes: Volumes, about: Mapping[str, Any]) -> None:
    if is_nifti_name(out):
        write_volume(out, next(iter(volumes.values())), grid)
        return
    with atomic(out) as folder:
        folder.mkdir()
        for name, values in volumes.items():
            write_volume(folder / f"{name}.nii.gz", values, grid)
        mark = {
            ATTRIBUTE: maker().removeprefix("pdeinv "),
            "images": sorted(volumes),
            "box_to_world": grid.box_to_world.tolist(),
            **about,
        }
        (folder / RUN_MARK).write_text(json.dumps(mark, indent=1) + "\n", encoding="utf-8")


def images_in(folder: Path) -> dict[str, Any] | None:
    """What a folder of images says of itself; None where it is none."""
    try:
        found = read_json(folder / RUN_MARK)
    except (OSError, Unreadable):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("images"), list) else None
