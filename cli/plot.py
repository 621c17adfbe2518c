"""``pdeinv plot``: the figure of a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import Output, verb
from .terminal import Terminal

__all__ = ["plot"]


@verb
def plot(
    terminal: Terminal,
    output: Output,
    path: Annotated[Path, typer.Argument(help="A result, observation or truth file.")],
    truth: Annotated[
        Path | None, typer.Option("--truth", help="Truth file to show beside a result.")
    ] = None,
    profile: Annotated[
        list[str] | None,
        typer.Option("--profile", help="Show unknown fields along a line, x=300; repeatable."),
    ] = None,
    dpi: Annotated[int, typer.Option("--dpi", min=30, max=1200, help="Resolution of a PNG.")] = 150,
) -> None:
    """Draw a result (mean, sd, data fit), an observation file or a truth as PNG, PDF or SVG."""
    from pdeinv.io.lock import owned
    from pdeinv.jobs.plot.figure import plot as draw

    output.check(path, truth)
    if not output.dry_run:
        with owned(output.out):
            for remark in draw(path, output.out, truth=truth, profiles=profile or (), dpi=dpi):
                terminal.note(f"note: {remark}")
    dry = {"dry_run": True} if output.dry_run else {}
    terminal.result({**dry, "out": str(output.out)}, str(output.out))
