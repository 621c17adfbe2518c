"""``pdeinv export``: the fields of a result or truth for ParaView."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pdeinv import extras

from .options import run_option, verb
from .terminal import Terminal

__all__ = ["export"]


@verb
def export(
    terminal: Terminal,
    path: Annotated[Path, typer.Argument(help="A result or truth file.")],
    vtk: Annotated[Path, typer.Option("--vtk", help="The VTKHDF file to write (.vtkhdf).")],
    variable: Annotated[
        str | None, typer.Option("--variable", help="The only unknown of a result to write.")
    ] = None,
    overwrite: Annotated[
        bool, run_option("--overwrite", help="Replace an existing output of pdeinv.")
    ] = False,
) -> None:
    """Write mean, sd and quantiles of a result, or the fields of a truth, for ParaView."""
    from pdeinv.io.atomic import check_output
    from pdeinv.io.lock import owned
    from pdeinv.jobs.export import export_vtk

    extras.require("h5py", "--vtk needs")
    check_output(vtk, overwrite=overwrite, option="--vtk", inputs=[path])
    with owned(vtk):
        export_vtk(path, vtk, variable)
    terminal.result({"vtk": str(vtk)}, str(vtk))
