"""``pdeinv train-surrogate``: fit a learned model to a data set."""

from __future__ import annotations

import atexit
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pdeinv.errors import ConfigError, PdeinvError, Preempted, RunFailed

from .limits import Limits, seconds_of
from .options import RUN, Device, Output, Reproducible, Settings, verb
from .sbatch import Slurm, script
from .settings import load_tables, seed_of, with_flags
from .stop import stoppable
from .terminal import Terminal
from .training_view import training_view

if TYPE_CHECKING:
    from pdeinv.io.datasets import TrainingSet
    from pdeinv.surrogates.launch import Job
    from pdeinv.surrogates.ranks import Ranks

__all__ = ["train_surrogate"]

PRECISIONS = ("float32", "bfloat16", "float64")


@dataclass(frozen=True)
class Machine:
    """Where and how long a training computes."""

    device: Device = None
    devices: Annotated[
        int,
        typer.Option(
            "--devices", min=1, help="GPUs (or CPU processes) that share it.", rich_help_panel=RUN
        ),
    ] = 1
    dtype: Annotated[
        str,
        typer.Option(
            "--dtype",
            metavar="|".join(PRECISIONS),
            help="Precision; bfloat16 keeps weights and transforms in float32.",
            rich_help_panel=RUN,
        ),
    ] = "float32"
    time_limit: Annotated[
        str | None,
        typer.Option(
            "--time-limit",
            metavar="HH:MM:SS",
            help="Save and exit with 75 before so long.",
            rich_help_panel=RUN,
        ),
    ] = None
    tensorboard: Annotated[
        Path | None,
        typer.Option(
            "--tensorboard", metavar="DIR", help="Also write event files.", rich_help_panel=RUN
        ),
    ] = None


@verb
def train_surrogate(
    terminal: Terminal,
    output: Output,
    settings: Settings,
    random: Reproducible,
    machine: Machine,
    slurm: Slurm,
    data: Annotated[
        Path,
        typer.Option(
            "--data",
            help="Data set of 'pdeinv generate'; or made elsewhere, with \\[problem] in --config.",
        ),
    ],
    name: Annotated[
        str | None, typer.Argument(help="See 'pdeinv list'; else 'name' in table \\[surrogate].")
    ] = None,
    noise_std: Annotated[
        float | None, typer.Option("--noise-std", min=0, help="Noise that errors are weighed by.")
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Continue from the checkpoint in OUT.run; begin if none."),
    ] = False,
) -> None:
    """Train a surrogate and write it as a folder of weights and metadata.

    Part of the data is held out; the reported errors are measured there. Several processes share
    the work under srun and torchrun, or with --devices. Stopped by a signal, a time limit or a
    file STOP in OUT.run, the training saves and exits with 75.
    """
    from pdeinv.io.runs import run_folder
    from pdeinv.surrogates.launch import Job
    from pdeinv.surrogates.ranks import FirstFailed, leave, opened, place_of

    end = None if machine.time_limit is None else time.monotonic() + seconds_of(machine.time_limit)
    tables = with_flags(load_tables(settings), seed=random.seed, surrogate__name=name)
    surrogate, options = _surrogate(tables)
    device = machine.device or "cpu"
    job = Job(
        surrogate, options, data, 0, run_folder(output.out), device,
        _precision(machine.dtype), noise_std, resume, machine.tensorboard,
        tables.get("problem", {}),
    )  # fmt: skip
    if slurm.print_sbatch:
        _check(job, output, here=False)
        terminal.result(*_slurm_script(slurm, job, output, settings, (random, machine)))
        return
    place = place_of(os.environ)
    if place is not None and machine.devices > 1:
        raise ConfigError(
            f"--devices {machine.devices} starts processes on one machine, but a launcher has "
            f"started {place.size} already; leave it out"
        )
    if place is not None:
        job.check_together(place.size)
        terminal = terminal if place.rank == 0 else replace(terminal, quiet=True)
    if output.dry_run:
        if place is None or place.rank == 0:
            _check(job, output)
            _show_plan(terminal, _plan(job, output, job.read(), seed_of(tables)))
        return
    where = "cpu" if place is None else job.device_of(place.local, place.size)
    code = 1
    try:
        with opened(place, where, ends=True) as ranks:
            held: list[TrainingSet] = []
            how = (machine.devices, held)
            job = replace(job, seed=ranks.by_first(lambda: _prepared(tables, job, output, how)))
            with _resumable(job, ranks), _workforce(job, machine.devices, ranks) as everyone:
                _train(terminal, job, output, (everyone, held.pop() if held else job.read()), end)
        code = 0
    except PdeinvError as error:
        code = error.exit_code
        told = isinstance(error, Preempted | RunFailed | FirstFailed)
        if place is not None and place.rank > 0 and told:
            raise typer.Exit(code) from None  # the first process says why
        raise
    finally:
        if place is not None:
            atexit.register(leave, code)


def _precision(name: str) -> Any:
    if name not in PRECISIONS:
        raise ConfigError(f"--dtype: expected one of {', '.join(PRECISIONS)}, got '{name}'")
    return name


def _surrogate(tables: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The surrogate's name and its own options."""
    options = dict(tables.get("surrogate", {}))
    name = options.pop("name", None)
    if not isinstance(name, str):
        raise ConfigError("no surrogate named; give it as NAME or as 'name' in table [surrogate]")
    return name, options


def _check(job: Job, output: Output, here: bool = True) -> None:
    """Everything that can be wrong before any work is done ``here`` or elsewhere."""
    from pdeinv.io.atomic import check_output
    from pdeinv.surrogates.torches import find_device

    job.config  # noqa: B018  parsed for its errors
    for path in (output.out, job.folder):
        check_output(path, overwrite=output.overwrite, resume=job.resume)
    if here and job.tensorboard is not None:
        from pdeinv.surrogates.tracking import check_tensorboard

        check_tensorboard()
    if here and job.device != "cpu":
        find_device(job.device)


def _prepared(
    tables: dict[str, Any], job: Job, output: Output, how: tuple[int, list[TrainingSet]]
) -> int:
    """Check, clear and remember; returns the seed.

    ``how`` is the number of devices, and a list that receives the data set.
    """
    from pdeinv.io.runs import discard, remember

    _check(job, output)
    job.check_together(how[0])
    how[1].append(job.read())
    seed = seed_of(tables, job.folder if job.resume else None)
    if output.overwrite:
        discard(job.folder)
    options = job.config.model_dump()
    remember(job.folder, {"seed": seed, "surrogate": {"name": job.surrogate, **options}})
    return seed


def _plan(job: Job, output: Output, training: TrainingSet, seed: int) -> dict[str, Any]:
    return {
        "surrogate": job.surrogate,
        "out": str(output.out),
        "samples": training.size,
        "seed": seed,
    }


def _show_plan(terminal: Terminal, plan: Mapping[str, Any]) -> None:
    terminal.result({"dry_run": True, **plan}, *(f"{k}: {v}" for k, v in plan.items()))


@contextmanager
def _resumable(job: Job, ranks: Ranks) -> Iterator[None]:
    """Leave no run folder behind that nothing can go on from, and that stands in the way."""
    from pdeinv.io.runs import drop_unless_resumable

    try:
        yield
    except PdeinvError:
        if ranks.first:
            drop_unless_resumable(job.folder)
        raise


@contextmanager
def _workforce(job: Job, devices: int, ranks: Ranks) -> Iterator[Ranks]:
    """The processes of the launcher, or those that are started here."""
    from pdeinv.surrogates.launch import together

    if devices == 1:
        yield ranks
        return
    with together(job, devices) as everyone:
        yield everyone


def _train(
    terminal: Terminal,
    job: Job,
    output: Output,
    parts: tuple[Ranks, TrainingSet],
    end: float | None,
) -> None:
    """Train, save and show."""
    from pdeinv.io.atomic import atomic
    from pdeinv.surrogates.launch import execute

    ranks, training = parts
    terminal.note(f"{training.size} samples, {training.n_failed} failed ones left out")
    message = f"stopped; the training so far is saved in {job.folder}; continue with --resume"
    with stoppable(None, message) as stop, training_view(terminal) as view:
        limits = Limits(job.folder, end) if ranks.first else None
        surrogate = execute(
            job, ranks, training,
            progress=view.progress, watch=view.watch, tick=view.tick,
            should_stop=lambda: stop.requested() or (limits is not None and limits.reached()),
        )  # fmt: skip
    if not ranks.first:
        return
    with atomic(output.out) as target:
        surrogate.save(target)
    plan, errors = _plan(job, output, training, job.seed), surrogate.metadata.get("errors", {})
    rows = [*plan.items(), *errors.items()]
    shown = terminal.table(f"{job.surrogate}: held-out errors", ("figure", "value"), rows)
    terminal.result({**plan, "errors": errors}, shown, str(output.out))


def _slurm_script(
    slurm: Slurm,
    job: Job,
    output: Output,
    settings: Settings,
    how: tuple[Reproducible, Machine],
) -> tuple[dict[str, Any], str]:
    """The script as JSON and as text."""
    command = ["pdeinv", "train-surrogate", job.surrogate, "--data", str(job.data)]
    given = {
        "--out": output.out,
        "--device": "cuda" if slurm.gpus else job.device,
        "--dtype": job.dtype,
        "--noise-std": job.noise_std,
        "--tensorboard": job.tensorboard,
        "--config": settings.config,
        "--seed": how[0].seed,
        "--time-limit": how[1].time_limit,
    }
    for flag, value in given.items():
        command += [] if value is None else [flag, str(value)]
    for assignment in settings.assignments or ():
        command += ["--set", assignment]
    tasks = slurm.gpus or how[1].devices
    job.check_together(slurm.nodes * tasks)
    text = script(slurm, f"train-{job.surrogate}", tasks, [*command, "--resume"])
    return {"script": text}, text.rstrip("\n")
