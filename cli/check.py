"""``pdeinv check``: are the derivatives right, and do the data make sense?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import Own, Reproducible, SensorSpec, Settings, verb
from .settings import build_problem, load_tables, seed_of, with_flags
from .terminal import Terminal

__all__ = ["check"]


@verb
def check(
    terminal: Terminal,
    settings: Settings,
    random: Reproducible,
    own: Own,
    subject: Annotated[str, typer.Argument(metavar="OBSERVATIONS|PROBLEM", help="What to check.")],
    sensors: SensorSpec = None,
    level: Annotated[int, typer.Option("--level", help="Mesh level of the checked model.")] = 0,
) -> None:
    """Test the adjoint (dot product) and gradient (Taylor) of a problem, and audit observations.

    Exit 1 if a test fails.
    """
    from pdeinv.jobs.check import check_observations, check_problem

    a_file = bool(Path(subject).suffix) or Path(subject).exists()
    tables = with_flags(load_tables(settings), seed=random.seed)
    tables = own.into(tables, None if a_file else subject)
    seed = seed_of(tables)
    if a_file:
        verdicts = check_observations(tables, Path(subject), level, seed)
    else:
        problem = build_problem(with_flags(tables, problem__name=subject)["problem"])
        verdicts = check_problem(problem, sensors, level, seed)
    failed = [v.test for v in verdicts if v.ok is False]
    words = {True: "ok", False: "FAILED", None: ""}
    rows = [(v.test, v.value, v.limit, words[v.ok]) for v in verdicts]
    terminal.result(
        {"ok": not failed, "seed": seed, "tests": [vars(v) for v in verdicts]},
        terminal.table(f"check {subject}", ("test", "value", "limit", "verdict"), rows),
    )
    if failed:
        terminal.note(f"failed: {', '.join(failed)}")
        raise typer.Exit(1)
