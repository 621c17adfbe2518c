"""``pdeinv export``: results, truths and gathers for ParaView, spreadsheets and others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from pdeinv import extras
from pdeinv.errors import ConfigError

from .options import run_option, verb
from .terminal import Terminal

__all__ = ["export"]


@verb
def export(
    terminal: Terminal,
    path: Annotated[Path, typer.Argument(help="A result or truth file; gathers for --segy.")],
    vtk: Annotated[
        Path | None, typer.Option("--vtk", help="The VTKHDF file to write (.vtkhdf), for ParaView.")
    ] = None,
    nifti: Annotated[
        Path | None,
        typer.Option(
            "--nifti",
            help="The NIfTI image to write (.nii.gz: mean, or the truth), or a folder of images.",
        ),
    ] = None,
    segy: Annotated[
        Path | None,
        typer.Option("--segy", help="The SEG-Y file to write (.segy, .sgy): the shot gathers."),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option("--csv", help="The table of fields to write (.csv), a place a row."),
    ] = None,
    variable: Annotated[
        str | None, typer.Option("--variable", help="The only unknown of a result to write as VTK.")
    ] = None,
    threshold: Annotated[
        list[float] | None,
        typer.Option(
            "--threshold",
            help="Segment a truth: what counts as tumor and, given twice, as its core.",
        ),
    ] = None,
    time: Annotated[
        float | None, typer.Option("--time", help="Of a truth's image; the last if not given.")
    ] = None,
    overwrite: Annotated[
        bool, run_option("--overwrite", help="Replace an existing output of pdeinv.")
    ] = False,
) -> None:
    """Write mean, sd and quantiles of a result, or the fields of a truth, for other programs."""
    if [vtk, nifti, segy, csv].count(None) != 3:
        raise ConfigError(
            "give one output: --vtk OUT.vtkhdf, --csv OUT.csv, --segy OUT.segy, or --nifti "
            "OUT.nii.gz or FOLDER"
        )
    if nifti is not None:
        if variable is not None:
            raise ConfigError("--variable goes with --vtk; images show the state of the problem")
        _as_images(terminal, path, nifti, (threshold or [], time), overwrite)
        return
    if threshold or time is not None:
        raise ConfigError("--threshold and --time go with --nifti")
    if segy is not None:
        if variable is not None:
            raise ConfigError("--variable goes with --vtk; SEG-Y holds the gathers")
        _as_gathers(terminal, path, segy, overwrite)
        return
    if csv is not None:
        if variable is not None:
            raise ConfigError("--variable goes with --vtk; tables have every profile")
        _as_table(terminal, path, csv, overwrite)
        return
    assert vtk is not None
    _as_mesh(terminal, path, vtk, variable, overwrite)


def _as_table(terminal: Terminal, path: Path, out: Path, overwrite: bool) -> None:
    from pdeinv.jobs.export_table import check_csv_name, export_csv

    check_csv_name(out)
    _write(terminal, path, out, "csv", lambda: export_csv(path, out), overwrite)


def _as_mesh(
    terminal: Terminal, path: Path, out: Path, variable: str | None, overwrite: bool
) -> None:
    from pdeinv.jobs.export import export_vtk

    extras.require("h5py", "--vtk needs")
    _write(terminal, path, out, "vtk", lambda: export_vtk(path, out, variable), overwrite)


def _as_images(
    terminal: Terminal, path: Path, out: Path, of_truth: tuple[Any, Any], overwrite: bool
) -> None:
    from pdeinv.io.nifti import output_kind
    from pdeinv.jobs.export_images import export_nifti

    extras.require("nibabel", "--nifti needs")

    def write() -> Mapping[str, Any]:
        told = export_nifti(path, out, *of_truth)
        if told.get("failed"):
            terminal.note(f"{told['failed']} draws cannot be solved and are left out")
        return told

    _write(terminal, path, out, "nifti", write, overwrite, output_kind(out))


def _as_gathers(terminal: Terminal, path: Path, out: Path, overwrite: bool) -> None:
    from pdeinv.io.segy import check_segy_name
    from pdeinv.jobs.export_segy import export_segy

    extras.require("segyio", "--segy needs")
    check_segy_name(out)
    _write(terminal, path, out, "segy", lambda: export_segy(path, out), overwrite)


def _write(
    terminal: Terminal,
    path: Path,
    out: Path,
    option: str,
    write: Callable[[], Mapping[str, Any] | None],
    overwrite: bool,
    kind: Literal["file", "folder"] = "file",
) -> None:
    """Check the output, write it while nobody else does, and tell what was written."""
    from pdeinv.io.atomic import check_output
    from pdeinv.io.lock import owned

    check_output(out, overwrite=overwrite, option=f"--{option}", inputs=[path], kind=kind)
    with owned(out):
        told = write() or {}
    terminal.result({option: str(out), **told}, str(out))
