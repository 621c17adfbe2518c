"""``pdeinv check``: are the derivatives right, and do the data make sense?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pdeinv.errors import ConfigError

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
    subject: Annotated[
        str | None, typer.Argument(metavar="[OBSERVATIONS|PROBLEM]", help="What to check.")
    ] = None,
    plugin: Annotated[
        str | None,
        typer.Option(
            "--plugin",
            metavar="NAME",
            help="Try every clause of the protocol on a problem, engine or surrogate instead.",
        ),
    ] = None,
    sensors: SensorSpec = None,
    level: Annotated[int, typer.Option("--level", help="Mesh level of the checked model.")] = 0,
    surrogate: Annotated[
        Path | None,
        typer.Option(
            "--surrogate", help="A learned prior or inverse: are OBSERVATIONS like what it knows?"
        ),
    ] = None,
) -> None:
    """Test the adjoint (dot product) and gradient (Taylor) of a problem, and audit observations.

    With --plugin, test whether a plug-in keeps its protocol. Exit 1 if a test fails.
    """
    path = None if surrogate is None else str(surrogate)
    tables = with_flags(load_tables(settings), seed=random.seed, surrogate__path=path)
    if (plugin is None) == (subject is None):
        raise ConfigError("give one of OBSERVATIONS, PROBLEM and --plugin NAME")
    if plugin is not None:
        _conformance(terminal, plugin, own.into(tables), sensors)
    elif subject is not None:
        file = Path(subject) if Path(subject).suffix or Path(subject).exists() else None
        tables = own.into(tables, None if file else subject)
        _numbers(terminal, subject, file, tables, sensors, level)


def _conformance(
    terminal: Terminal, name: str, tables: dict[str, Any], sensors: str | None
) -> None:
    """Every clause of the protocol of a plug-in, one line each."""
    from pdeinv.plugins.conformance import check_plugin

    report = check_plugin(name, tables, sensors=sensors)
    words = {True: "passed", False: "FAILED", None: "skipped"}
    terminal.result(
        {"ok": report.ok, "subject": report.subject, "clauses": [vars(f) for f in report.findings]},
        terminal.table(
            f"check {report.subject}",
            ("clause", "verdict", "sentence"),
            [(f.clause, words[f.ok], f.sentence) for f in report.findings],
        ),
    )
    _end(terminal, [f.clause for f in report.failures])


def _numbers(
    terminal: Terminal,
    subject: str,
    file: Path | None,
    tables: dict[str, Any],
    sensors: str | None,
    level: int,
) -> None:
    """Derivatives of a model, and figures of data."""
    from pdeinv.jobs.check import check_observations, check_problem
    from pdeinv.jobs.invert.request import Inversion

    seed = seed_of(tables)
    if file is None:
        problem = build_problem(with_flags(tables, problem__name=subject)["problem"])
        verdicts = check_problem(problem, sensors, level, seed)
    else:
        found = Inversion.resolve(tables, file)
        given = (found.problem, found.observations, found.notes, level, seed)
        verdicts = check_observations(*given, found.surrogate_path)
    failed = [v.test for v in verdicts if v.ok is False]
    words = {True: "ok", False: "FAILED", None: ""}
    rows = [(v.test, v.value, v.limit, words[v.ok] or v.flag) for v in verdicts]
    terminal.result(
        {"ok": not failed, "seed": seed, "tests": [vars(v) for v in verdicts]},
        terminal.table(f"check {subject}", ("test", "value", "limit", "verdict"), rows),
    )
    _end(terminal, failed)


def _end(terminal: Terminal, failed: list[str]) -> None:
    """Exit 1 where something failed."""
    if failed:
        terminal.note(f"failed: {', '.join(failed)}")
        raise typer.Exit(1)
