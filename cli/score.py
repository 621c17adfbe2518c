"""``pdeinv score``: how far a result is from the truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import Own, verb
from .terminal import Terminal

__all__ = ["score"]


@verb
def score(
    terminal: Terminal,
    own: Own,
    result: Annotated[Path, typer.Argument(help="File of 'pdeinv invert' (or of 'pdeinv solve').")],
    truth: Annotated[Path, typer.Option("--truth", help="File of 'pdeinv solve'.")],
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", help="rel-l2, rel-l1, dice or one of the problem; repeatable."),
    ] = None,
    threshold: Annotated[
        float | None, typer.Option("--threshold", help="For dice: the value above which is inside.")
    ] = None,
    grid: Annotated[
        int, typer.Option("--grid", min=8, help="Nodes along each axis of the grid.")
    ] = 128,
) -> None:
    """Compare the mean of a result with the truth on a grid: relative error, Dice and others."""
    from pdeinv.jobs.score import score as evaluate

    own.into({})
    names = metric or ["rel-l2", "rel-l1", *(["dice"] if threshold is not None else [])]
    found = evaluate(result, truth, names, threshold=threshold, nodes=grid)
    rows = list(found.items())
    terminal.result({"scores": found}, terminal.table(f"{result}", ("metric", "value"), rows))
