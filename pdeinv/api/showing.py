"""Look at what was found: scores, figures, files, and what is installed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from warnings import warn

import xarray as xr

from pdeinv.api.given import Data, File, Model, at_least, declare_model, files, paths, written
from pdeinv.callers import in_python
from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.io import netcdf
from pdeinv.io.atomic import check_output
from pdeinv.io.nifti import output_kind
from pdeinv.jobs.export import export_vtk
from pdeinv.jobs.export_images import export_nifti
from pdeinv.jobs.export_segy import export_segy
from pdeinv.jobs.plot.figure import plot as draw
from pdeinv.jobs.score import NODES
from pdeinv.jobs.score import score as evaluate
from pdeinv.plugins.listing import KINDS, describe
from pdeinv.plugins.recipe import load_surrogate
from pdeinv.plugins.surrogate import Surrogate

__all__ = ["export", "list_plugins", "load", "plot", "score"]


@in_python
def score(
    result: File,
    truth: File,
    *,
    metrics: Sequence[str] = ("rel-l2", "rel-l1"),
    threshold: float | None = None,
    grid: int = NODES,
    model: Model | None = None,
) -> dict[str, float]:
    """Compare the mean of a result with the truth: ``pdeinv score``.

    Args:
        result: of :func:`invert`, or another truth.
        truth: of :func:`solve`.
        metrics: ``rel-l2``, ``rel-l1``, ``dice``, or one of the problem.
        threshold: for ``dice``.
        grid: nodes along each axis of the grid that both are compared on.
        model: the own model that they belong to, in another process than they were made in.

    Raises:
        PdeinvError: files that do not fit, or no such metric.
    """
    at_least(8, grid=grid)
    declare_model(model)
    with files() as folder:
        a, b = written(result, folder, "result"), written(truth, folder, "truth")
        return evaluate(a, b, metrics, threshold=threshold, nodes=grid)


@in_python
def plot(
    what: Data,
    out: str | Path | None = None,
    *,
    truth: File | None = None,
    profiles: Sequence[str] = (),
    dpi: int = 150,
    overwrite: bool = False,
) -> Path:
    """Draw a result, observations or a truth: ``pdeinv plot``.

    Args:
        what: what to draw.
        out: .png, .pdf or .svg; a PNG in a temporary folder where None.
        truth: a truth to show beside a result.
        profiles: lines along which unknown fields are shown too, such as ``x=300``.
        dpi: resolution of a PNG.
        overwrite: replace an existing file.

    Returns:
        Where the figure is.

    Raises:
        PdeinvError: nothing that can be drawn.
    """
    at_least(30, dpi=dpi)
    target = Path(mkdtemp(prefix="pdeinv-")) / "figure.png" if out is None else Path(out)
    check_output(target, overwrite=overwrite, inputs=paths(what, truth))
    with files() as folder:
        shown = written(what, folder, "shown")
        reference = None if truth is None else written(truth, folder, "truth")
        for remark in draw(shown, target, truth=reference, profiles=profiles, dpi=dpi):
            warn(remark, UserWarning, stacklevel=3)
    return target


@in_python
def export(
    what: File,
    vtk: str | Path | None = None,
    *,
    nifti: str | Path | None = None,
    segy: str | Path | None = None,
    variable: str | None = None,
    threshold: Sequence[float] = (),
    time: float | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a file for ParaView, as medical images or as gathers: ``pdeinv export``.

    Args:
        what: of :func:`invert` or :func:`solve`; with ``segy`` also of :func:`observe`.
        vtk: the .vtkhdf file.
        nifti: in place of it the .nii.gz file, or a folder of images.
        segy: in place of it the .segy file, of shot gathers.
        variable: the only unknown of a result to write as VTK.
        threshold: with ``nifti``, what counts as tumor in a truth, and as its core.
        time: with ``nifti``, that of a truth; the last where not given.
        overwrite: replace an existing file.

    Returns:
        Where the file is.

    Raises:
        PdeinvError: no field over space.
    """
    given = {k: v for k, v in (("vtk", vtk), ("nifti", nifti), ("segy", segy)) if v is not None}
    if len(given) != 1:
        raise ConfigError("give one output: vtk, nifti or segy")
    ((option, out),) = given.items()
    target = Path(out)
    kind = output_kind(target) if option == "nifti" else "file"
    check_output(target, overwrite=overwrite, option=option, inputs=paths(what), kind=kind)
    with files() as folder:
        source = written(what, folder, "exported")
        if option == "vtk":
            export_vtk(source, target, variable)
        elif option == "nifti":
            export_nifti(source, target, threshold, time)
        else:
            export_segy(source, target)
    return target


@in_python
def load(path: str | Path) -> xr.Dataset | xr.DataTree | Surrogate:
    """What a file or folder of pdeinv holds.

    Returns:
        A tree for a result or truth, a dataset for observations or a data set, a surrogate for its
        folder.

    Raises:
        DataSchemaError: missing, damaged or none of these.
    """
    source = Path(path)
    if source.is_dir():
        return load_surrogate(source)
    tree = netcdf.read_tree(source)
    kind = netcdf.kind_of(tree)
    if kind in ("result", "truth"):
        return tree
    if kind in ("observations", "dataset"):
        return tree.to_dataset()
    raise DataSchemaError(f"{source}: a file of kind '{kind}'; open it with xarray")


def list_plugins(kind: str | None = None) -> dict[str, list[dict[str, Any]]]:
    """The problems, surrogates and engines that are installed: ``pdeinv list``.

    Raises:
        ConfigError: no such kind.
    """
    if kind is not None and kind not in KINDS:
        raise ConfigError(f"unknown kind '{kind}'; choose {', '.join(KINDS)}")
    return {str(k): describe(k) for k in KINDS if kind in (None, k)}
