"""``pdeinv generate``: many solves, for training surrogates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
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
    from pdeinv.executors.config import ExecutorConfig
    from pdeinv.protocols import Problem, Sensors

__all__ = ["generate"]

SAMPLING = ("prior", "lhs", "sobol")
DESIGN, STORED, PARTS = "Design", "What is stored", "Where and in which parts"


@dataclass(frozen=True)
class Design:
    """At which unknowns to solve."""

    sampling: Annotated[
        str,
        typer.Option(
            "--design",
            metavar="prior|lhs|sobol",
            help="Independent draws, a Latin hypercube of --n samples, or a Sobol sequence.",
            rich_help_panel=DESIGN,
        ),
    ] = "prior"
    around: Annotated[
        Path | None,
        typer.Option(
            "--around", help="Draw around this result, not from the prior.", rich_help_panel=DESIGN
        ),
    ] = None
    inflation: Annotated[
        float,
        typer.Option(
            "--inflation",
            help="Factor on the result's standard deviations.",
            rich_help_panel=DESIGN,
        ),
    ] = 1.5

    def fields(self) -> dict[str, Any]:
        """The plan's fields.

        Raises:
            ConfigError: no such design.
        """
        from pdeinv.designs import Around

        if self.sampling not in SAMPLING:
            raise ConfigError(f"--design {self.sampling}: expected {', '.join(SAMPLING)}")
        fitted: Around | None = None
        if self.around is not None:
            fitted = Around.from_result(self.around, self.inflation)
        return {"sampling": self.sampling, "design": fitted}


@dataclass(frozen=True)
class Stored:
    """What to keep of each solve beside the data."""

    grid: Annotated[
        str | None,
        typer.Option(
            "--grid",
            metavar="ROWSxCOLS",
            help="Also store fields on a grid.",
            rich_help_panel=STORED,
        ),
    ] = None
    times: Annotated[
        str | None,
        typer.Option(
            "--times",
            metavar="SPEC",
            help="Times of gridded fields: sensors, FIRST:LAST:COUNT or t,t; else the last.",
            rich_help_panel=STORED,
        ),
    ] = None
    jacobian: Annotated[
        int,
        typer.Option(
            "--jacobian",
            metavar="K",
            min=0,
            help="Also store the derivative in K random directions of xi; all of it from K = dim.",
            rich_help_panel=STORED,
        ),
    ] = 0
    level: Annotated[
        int, typer.Option("--level", help="Mesh level of the solves.", rich_help_panel=STORED)
    ] = 0

    def fields(self, places: Sensors) -> dict[str, Any]:
        """The plan's fields.

        Raises:
            ConfigError: a text is not understood.
        """
        from pdeinv.gridding import parse_times

        if self.times is not None and self.grid is None:
            raise ConfigError("--times says when gridded fields are stored; add --grid ROWSxCOLS")
        times = () if self.times is None else parse_times(self.times, places)
        grid = _shape(self.grid)
        return {"grid": grid, "times": times, "jacobian": self.jacobian, "level": self.level}


@dataclass(frozen=True)
class Parts:
    """Where the solves run, and which of them."""

    executor: Annotated[
        str | None,
        typer.Option(
            "--executor",
            metavar="process|mpi|slurm|dask",
            help="Where to solve; options in table [executor].",
            rich_help_panel=PARTS,
        ),
    ] = None
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard",
            metavar="I/N",
            help="Solve the I-th of N parts into OUT.run and write no output.",
            rich_help_panel=PARTS,
        ),
    ] = None
    assemble: Annotated[
        bool,
        typer.Option(
            "--assemble",
            help="Solve nothing; write the output from the parts.",
            rich_help_panel=PARTS,
        ),
    ] = False
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Keep the batches in OUT.run; --n may have grown.",
            rich_help_panel=PARTS,
        ),
    ] = False

    @property
    def joins(self) -> bool:
        """Whether batches that are there are kept."""
        return self.resume or self.assemble or self.shard is not None

    def part(self) -> tuple[int, int] | None:
        """Which part of how many.

        Raises:
            ConfigError: not I/N with 1 ≤ I ≤ N, or together with --assemble.
        """
        if self.shard is None:
            return None
        first, _, last = self.shard.partition("/")
        if not (first.isdigit() and last.isdigit() and 1 <= int(first) <= int(last)):
            raise ConfigError(f"--shard {self.shard}: expected I/N from 1/N to N/N, such as 3/8")
        if self.assemble:
            raise ConfigError("--shard solves a part and --assemble joins parts; give one of them")
        return int(first), int(last)


@verb
def generate(
    terminal: Terminal,
    output: Output,
    settings: Settings,
    random: Reproducible,
    design: Design,
    stored: Stored,
    parts: Parts,
    n: Annotated[int, typer.Option("--n", min=1, help="Samples in all, resumed or not.")],
    problem: Annotated[
        str | None, typer.Argument(help="Name of the problem; else from --config or --obs.")
    ] = None,
    obs: Annotated[
        Path | None, typer.Option("--obs", help="Take problem and sensors from this file.")
    ] = None,
    sensors: SensorSpec = None,
    workers: Workers = None,
) -> None:
    """Solve a problem at many drawn unknowns and write a data set for training surrogates.

    Failed solves are recorded, never dropped. The numbers depend neither on the executor nor on
    the number of workers.
    """
    flags = {"problem__name": problem, "executor__name": parts.executor}
    tables = with_flags(load_tables(settings), seed=random.seed, workers=workers, **flags)
    executor = _executor(tables)
    with _leading(executor) as leads:
        if leads:
            physics, places = _subject(tables, obs, sensors)
            rest = {**design.fields(), **stored.fields(places)}
            seed = _seed(tables, output, parts)
            plan = _plan(physics, places, n=n, seed=seed, **rest)
            _solve(terminal, output, parts, plan, (physics, executor, tables.get("workers", 1)))


def _executor(tables: Mapping[str, Any]) -> ExecutorConfig:
    from pdeinv.config import parse
    from pdeinv.executors.config import ExecutorConfig

    return parse(ExecutorConfig, tables.get("executor", {}), "executor")


@contextmanager
def _leading(executor: ExecutorConfig) -> Iterator[bool]:
    """True but for the MPI ranks that work for rank 0."""
    if executor.name != "mpi":
        yield True
        return
    from pdeinv.executors.mpi import mpi_session

    with mpi_session() as leads:
        yield leads


def _solve(
    terminal: Terminal,
    output: Output,
    parts: Parts,
    plan: Plan,
    what: tuple[Problem, ExecutorConfig, int],
) -> None:
    """Check, solve, and say what became of it."""
    from pdeinv.generate import How
    from pdeinv.generate import generate as solve_all
    from pdeinv.io.atomic import check_output
    from pdeinv.io.runs import run_folder

    physics, executor, workers = what
    part, folder = parts.part(), run_folder(output.out)
    if output.overwrite and parts.joins:
        raise ConfigError(
            "--overwrite starts again, --resume, --shard and --assemble go on; give one of them"
        )
    for path in (output.out, folder):
        check_output(path, overwrite=output.overwrite, resume=parts.joins)
    data = {
        "out": str(output.out), "n": plan.n, "seed": plan.seed, "dofs": physics.dofs(plan.level),
        "batches": plan.n_batches, "executor": executor.name,
    }  # fmt: skip
    if output.dry_run:
        terminal.result({"dry_run": True, **data}, *(f"{k}: {v}" for k, v in data.items()))
        return
    message = f"stopped; finished batches are kept in {folder}; continue with --resume"
    tally = {"failed": 0}
    with stoppable(None, message) as stop, step_progress(terminal, "generate") as step:

        def progress(done: int, total: int, failed: int) -> None:
            tally["failed"] = failed
            step(done, total, f"{failed} failed")

        how = How(workers, parts.resume, executor, part, parts.assemble, progress, stop.requested)
        solve_all(plan, output.out, folder, how)
    _report(terminal, {**data, **tally}, plan, parts, folder)


def _report(
    terminal: Terminal, data: Mapping[str, Any], plan: Plan, parts: Parts, folder: Path
) -> None:
    if parts.shard is not None:
        terminal.note(f"part {parts.shard} is done; --assemble joins the parts when all are")
        terminal.result({**data, "shard": parts.shard}, str(folder))
        return
    terminal.note(f"{plan.n} samples, {data['failed']} failed, seed {plan.seed}")
    terminal.note(f"batches stay in {folder} for --resume to a larger --n; delete it otherwise")
    terminal.result(dict(data), str(data["out"]))


def _seed(tables: Mapping[str, Any], output: Output, parts: Parts) -> int:
    """The seed given, that of the run folder, or a fresh one.

    Raises:
        ConfigError: parts without a common seed.
    """
    from pdeinv.io.runs import recalled_seed, run_folder

    folder = run_folder(output.out)
    known = tables.get("seed") is not None or recalled_seed(folder) is not None
    if parts.shard is not None and not known:
        raise ConfigError("--shard needs --seed, so that all parts belong to one data set")
    return seed_of(tables, folder if parts.joins else None)


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
