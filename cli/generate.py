"""``pdeinv generate``: many solves, for training surrogates."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pdeinv.errors import ConfigError

from .options import Output, Reproducible, SensorSpec, Settings, Workers, verb
from .progress import step_progress
from .settings import build_problem, load_tables, seed_of, with_flags
from .stop import stoppable
from .terminal import Terminal

if TYPE_CHECKING:
    from pdeinv.designs import Around, Plan
    from pdeinv.protocols import Problem, Sensors

__all__ = ["generate"]


@verb
def generate(
    terminal: Terminal,
    output: Output,
    settings: Settings,
    random: Reproducible,
    n: Annotated[int, typer.Option("--n", min=1, help="Samples in all, resumed or not.")],
    problem: Annotated[
        str | None, typer.Argument(help="Name of the problem; else from --config or --obs.")
    ] = None,
    obs: Annotated[
        Path | None, typer.Option("--obs", help="Take problem and sensors from this file.")
    ] = None,
    sensors: SensorSpec = None,
    grid: Annotated[
        str | None, typer.Option("--grid", metavar="ROWSxCOLS", help="Also store fields on a grid.")
    ] = None,
    jacobian: Annotated[
        int,
        typer.Option(
            "--jacobian",
            metavar="K",
            min=0,
            help="Also store the derivative in K random directions of xi; all of it from K = dim.",
        ),
    ] = 0,
    around: Annotated[
        Path | None, typer.Option("--around", help="Draw around this result, not from the prior.")
    ] = None,
    inflation: Annotated[
        float, typer.Option("--inflation", help="Factor on the result's standard deviations.")
    ] = 1.5,
    level: Annotated[int, typer.Option("--level", help="Mesh level of the solves.")] = 0,
    workers: Workers = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Keep the batches in OUT.run; --n may have grown.")
    ] = False,
) -> None:
    """Solve a problem at many drawn unknowns and write a data set for training surrogates.

    Failed solves are recorded, never dropped. The numbers do not depend on the number of workers.
    """
    from pdeinv.generate import generate as solve_all
    from pdeinv.io.atomic import check_output
    from pdeinv.io.runs import run_folder

    tables = with_flags(load_tables(settings), problem__name=problem, seed=random.seed)
    physics, places = _subject(tables, obs, sensors)
    folder = run_folder(output.out)
    plan = _plan(
        physics,
        places,
        n=n,
        seed=seed_of(tables, folder if resume else None),
        grid=_shape(grid),
        level=level,
        jacobian=jacobian,
        design=_design(around, inflation),
    )
    for path in (output.out, folder):
        check_output(path, overwrite=output.overwrite, resume=resume)
    data = {"out": str(output.out), "n": n, "seed": plan.seed, "dofs": physics.dofs(level)}
    if output.dry_run:
        terminal.result({"dry_run": True, **data}, *(f"{k}: {v}" for k, v in data.items()))
        return
    message = f"stopped; finished batches are kept in {folder}; continue with --resume"
    tally = {"failed": 0}
    with stoppable(None, message) as stop, step_progress(terminal, "generate") as step:

        def progress(done: int, total: int, failed: int) -> None:
            tally["failed"] = failed
            step(done, total, f"{failed} failed")

        solve_all(
            plan,
            output.out,
            folder,
            workers=workers or tables.get("workers", 1),
            resume=resume,
            progress=progress,
            should_stop=stop.requested,
        )
    terminal.note(f"{n} samples, {tally['failed']} failed, seed {plan.seed}")
    terminal.note(f"batches stay in {folder} for --resume to a larger --n; delete it otherwise")
    terminal.result({**data, **tally}, str(output.out))


def _subject(
    tables: Mapping[str, Any], obs: Path | None, sensors: str | None
) -> tuple[Problem, Sensors]:
    """The problem and where its data are."""
    if obs is not None:
        from pdeinv.inversion import Inversion

        if sensors is not None:
            raise ConfigError("give the sensors once: --obs or --sensors, not both")
        inversion = Inversion.resolve(tables, obs)
        return inversion.problem, inversion.observations.coords
    physics = build_problem(tables.get("problem", {}))
    if sensors is None:
        raise ConfigError("no sensors given; pass --obs FILE or --sensors, e.g. grid:13x13")
    return physics, physics.sensors(sensors)


def _plan(physics: Problem, places: Sensors, **rest: Any) -> Plan:
    from pdeinv.designs import Plan

    return Plan(physics.name, physics.config.model_dump(mode="json"), places, **rest)


def _shape(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        shape = tuple(int(part) for part in text.lower().split("x"))
    except ValueError:
        shape = ()
    if not shape or min(shape) < 2:
        raise ConfigError(f"--grid {text}: expected ROWSxCOLS with at least 2 each, such as 33x33")
    return shape


def _design(around: Path | None, inflation: float) -> Around | None:
    from pdeinv.designs import Around

    return None if around is None else Around.from_result(around, inflation)
