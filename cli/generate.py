"""``pdeinv generate``: many solves, for training surrogates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pdeinv.errors import ConfigError

from .generate_options import Design, Parts, Stored
from .options import Output, Own, Reproducible, SensorSpec, Settings, Workers, verb
from .progress import step_progress
from .settings import build_problem, load_tables, seed_of, with_flags
from .stop import stoppable
from .terminal import Terminal

if TYPE_CHECKING:
    from pdeinv.executors.config import ExecutorConfig
    from pdeinv.jobs.generate.plan import Plan
    from pdeinv.model.observed import Sensors
    from pdeinv.plugins.problem import Problem
    from pdeinv.typing import Array

__all__ = ["generate"]


@verb
def generate(
    terminal: Terminal,
    output: Output,
    settings: Settings,
    random: Reproducible,
    design: Design,
    stored: Stored,
    parts: Parts,
    own: Own,
    n: Annotated[int, typer.Option("--n", min=1, help="Samples in all, resumed or not.")],
    problem: Annotated[
        str | None, typer.Argument(help="Name of the problem; else from --config or --obs.")
    ] = None,
    obs: Annotated[
        Path | None, typer.Option("--obs", help="Take problem, sensors and noise from this file.")
    ] = None,
    sensors: SensorSpec = None,
    workers: Workers = None,
) -> None:
    """Solve a problem at many drawn unknowns and write a data set for training surrogates.

    Failed solves are recorded, never dropped. The numbers depend neither on the executor nor on
    the number of workers.
    """
    from pdeinv.config import parse
    from pdeinv.executors.config import ExecutorConfig
    from pdeinv.executors.pools import require_backend
    from pdeinv.provenance import files_of

    flags = {"problem__name": problem, "executor__name": parts.executor}
    tables = with_flags(load_tables(settings), seed=random.seed, workers=workers, **flags)
    tables = own.into(tables, problem)
    if own.own_model is not None and obs is None and sensors is None:
        sensors = "all"
    executor = parse(ExecutorConfig, tables.get("executor", {}), "executor")
    require_backend(executor, tables.get("workers", 1))
    with _leading(executor) as leads:
        if leads:
            if stored.prior_only:
                physics, places, noise = _unsolved(tables, obs, sensors)
            else:
                physics, places, noise = _subject(tables, obs, sensors)
            seed = _seed(tables, output, parts)
            drawn = {**design.fields(physics), **stored.fields(places)}
            plan = _plan(physics, places, n=n, seed=seed, noise_std=noise, **drawn)
            inputs = (obs, design.around, settings.config, *files_of(physics.config))
            workers = tables.get("workers", 1)
            _solve(terminal, output, parts, plan, physics, executor, workers, inputs)


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
    physics: Problem,
    executor: ExecutorConfig,
    workers: int,
    inputs: Sequence[Path | None],
) -> None:
    """Check, solve, and say what became of it."""
    from pdeinv.jobs.generate.batches import checked
    from pdeinv.jobs.generate.run import Execution
    from pdeinv.jobs.generate.run import generate as solve_all
    from pdeinv.jobs.generate.size import check_size, sample_bytes
    from pdeinv.memory import size_of
    from pdeinv.plugins import registry

    registry.require("problems", physics.name)
    if output.overwrite and parts.joins:
        raise ConfigError(
            "--overwrite starts again, --resume, --shard and --assemble go on; give one of them"
        )
    part, folder = parts.part(), output.folder
    output.check(*inputs, resume=parts.joins, folder=True)
    data = {
        "out": str(output.out), "n": plan.n, "seed": plan.seed, "dofs": physics.dofs(plan.level),
        "batches": plan.n_batches, "executor": executor.name,
    }  # fmt: skip
    if output.dry_run:
        problem, _ = checked(plan)
        check_size(problem, plan, output.out)
        data["size, at least"] = size_of(plan.n * sample_bytes(problem, plan))
        if plan.n_obs:
            problem.forward_model(plan.sensors, plan.level)
    terminal.plan(data, output.dry_run)
    message = f"stopped; finished batches are kept in {folder}; continue with --resume"
    tally = {"failed": 0}
    with stoppable(None, message) as stop, step_progress(terminal, "generate") as step:

        def progress(done: int, total: int, failed: int) -> None:
            tally["failed"] = failed
            step(done, total, f"{failed} failed")

        execution = Execution(
            workers, parts.resume, executor, part, parts.assemble, progress, stop.requested
        )
        solve_all(plan, output.out, folder, execution)
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
    from pdeinv.io.runs import recalled_seed

    folder = output.folder
    known = tables.get("seed") is not None or recalled_seed(folder) is not None
    if parts.shard is not None and not known:
        raise ConfigError("--shard needs --seed, so that all parts belong to one data set")
    return seed_of(tables, folder if parts.joins else None)


def _unsolved(
    tables: Mapping[str, Any], obs: Path | None, sensors: str | None
) -> tuple[Problem, Sensors, None]:
    """The problem of which draws of the prior are wanted and no data."""
    import numpy as np

    if obs is not None or sensors is not None:
        raise ConfigError("--prior-only has no data; leave out --obs and --sensors")
    physics = build_problem(tables.get("problem", {}))
    return physics, {c: np.zeros(0) for c in physics.observed.coords}, None


def _subject(
    tables: Mapping[str, Any], obs: Path | None, sensors: str | None
) -> tuple[Problem, Sensors, Array | None]:
    """The problem, where its data are, and their σ where it is known."""
    if obs is not None:
        from pdeinv.jobs.invert.run import Inversion

        if sensors is not None:
            raise ConfigError("give the sensors once: --obs or --sensors, not both")
        inversion = Inversion.resolve(tables, obs)
        observations = inversion.observations
        return inversion.problem, observations.coords, observations.likelihood.std
    physics = build_problem(tables.get("problem", {}))
    if sensors is None:
        raise ConfigError(
            "no sensors given; pass --obs FILE or --sensors, "
            f"for example --sensors {physics.default_sensors}"
        )
    return physics, physics.sensors(sensors), None


def _plan(physics: Problem, places: Sensors, **more: Any) -> Plan:
    from pdeinv.jobs.generate.plan import Plan
    from pdeinv.provenance import sources_of

    inputs = tuple(sources_of(physics.config))
    table = physics.config.model_dump(mode="json")
    return Plan(physics.name, table, places, inputs=inputs, **more)
