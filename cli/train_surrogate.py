"""``pdeinv train-surrogate``: fit a learned model to a data set."""

from __future__ import annotations

import atexit
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from pdeinv import extras
from pdeinv.errors import ConfigError, PdeinvError, Preempted, RunFailed

from .options import Device, Output, Own, Reproducible, Settings, run_option, verb
from .progress import training_view
from .sbatch import Slurm, script
from .settings import load_tables, seed_of, with_flags
from .signals import Stopped
from .stop import Limits, resumable, seconds_of, stoppable
from .terminal import Terminal

if TYPE_CHECKING:
    from pdeinv.executors.place import Place
    from pdeinv.executors.ranks import Ranks
    from pdeinv.io.datasets import TrainingSet
    from pdeinv.jobs.train import Job
    from pdeinv.plugins.fitting import Precision

__all__ = ["train_surrogate"]

PRECISIONS = ("float32", "bfloat16", "float64")


@dataclass(frozen=True)
class Machine:
    """Where and how long a training computes."""

    device: Device = None
    devices: Annotated[
        int,
        run_option("--devices", min=1, help="GPUs (or CPU processes) that share it."),
    ] = 1
    dtype: Annotated[
        str,
        run_option(
            "--dtype",
            metavar="|".join(PRECISIONS),
            help="Precision; bfloat16 keeps weights and transforms in float32.",
        ),
    ] = "float32"
    time_limit: Annotated[
        str | None,
        run_option(
            "--time-limit", metavar="HH:MM:SS", help="Save and exit with 75 before so long."
        ),
    ] = None
    tensorboard: Annotated[
        Path | None,
        run_option("--tensorboard", metavar="DIR", help="Also write event files."),
    ] = None


@verb
def train_surrogate(
    terminal: Terminal,
    output: Output,
    settings: Settings,
    random: Reproducible,
    machine: Machine,
    slurm: Slurm,
    own: Own,
    data: Annotated[
        Path,
        typer.Option(
            "--data",
            help="Data set of 'pdeinv generate'; or made elsewhere, with \\[problem] in --config "
            "(fields for a learned prior also as .npy, or in a folder).",
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
    from pdeinv.config import named
    from pdeinv.executors.place import place_of
    from pdeinv.executors.processes import check_workers
    from pdeinv.jobs.train import Job

    end = None if machine.time_limit is None else time.monotonic() + seconds_of(machine.time_limit)
    tables = with_flags(load_tables(settings), seed=random.seed, surrogate__name=name)
    tables = own.into(tables)
    surrogate, options = named(tables.get("surrogate", {}))
    if not isinstance(surrogate, str):
        raise ConfigError("no surrogate named; give it as NAME or as 'name' in table [surrogate]")
    if machine.dtype not in PRECISIONS:
        raise ConfigError(
            f"--dtype: expected one of {', '.join(PRECISIONS)}, got '{machine.dtype}'"
        )
    job = Job(
        surrogate, options, data, 0, output.folder, machine.device or "cpu",
        cast("Precision", machine.dtype), noise_std, resume, machine.tensorboard,
        tables.get("problem", {}),
    )  # fmt: skip
    if slurm.print_sbatch:
        job.config  # noqa: B018  parsed for its errors; packages are those of the other machine
        output.check(data, settings.config, resume=resume, folder=True, kind="folder")
        given = {"--config": settings.config, "--own-model": own.own_model, "--seed": random.seed}
        text = _slurm_script(slurm, job, machine, {"--out": output.out, **given}, settings)
        terminal.result({"script": text}, text.rstrip("\n"))
        return
    job.check()
    place = place_of(os.environ)
    if place is not None and machine.devices > 1:
        raise ConfigError(
            f"--devices {machine.devices} starts processes on one machine, but a launcher has "
            f"started {place.size} already; leave it out"
        )
    check_workers(machine.devices, "--devices")
    say = terminal.note
    if place is not None:
        job.check_together(place.size)
        terminal = terminal if place.rank == 0 else replace(terminal, quiet=True)
    work = _Training(terminal, output, tables, job, machine.devices, end, settings.config)
    if not output.dry_run:
        work.run(place, say)
    elif place is None or place.rank == 0:
        work.check()
        terminal.plan(work.plan(job.read(), seed_of(tables)), True)


@dataclass
class _Training:
    """One training of the command line.

    Attributes:
        terminal: where it tells.
        output: where the surrogate goes.
        tables: of the run file.
        job: what is trained; its seed counts when the training begins.
        devices: how many share the work where no launcher has started processes.
        end: when to stop, by the monotonic clock.
        config: the run file.
        held: the data set in the process that has read it first.
    """

    terminal: Terminal
    output: Output
    tables: dict[str, Any]
    job: Job
    devices: int
    end: float | None
    config: Path | None = None
    held: TrainingSet | None = None

    def check(self) -> None:
        """Everything that can be wrong before any work is done."""
        from pdeinv.executors.devices import find_device
        from pdeinv.io.atomic import check_folder

        job = self.job
        self.output.check(job.data, self.config, resume=job.resume, folder=True, kind="folder")
        if job.tensorboard is not None:
            extras.require("tensorboard", "--tensorboard needs")
            for taken in (self.output.out, job.folder):
                check_folder(job.tensorboard, "--tensorboard", apart=taken)
        if job.device != "cpu":
            find_device(job.device)

    def prepare(self, held: ExitStack) -> int:
        """Own the output, check, read, clear and remember; returns the seed."""
        from pdeinv.io.lock import owned

        job = self.job
        self.check()
        held.enter_context(owned(self.output.out))
        self.check()  # again, now that nobody else writes there
        job.check_together(self.devices)
        self.held = job.read()
        seed = seed_of(self.tables, job.folder if job.resume else None)
        replace(job, seed=seed).remember(self.held)
        return seed

    def plan(self, training: TrainingSet, seed: int) -> dict[str, Any]:
        """What would be done, or was."""
        out, surrogate = str(self.output.out), self.job.surrogate
        return {"surrogate": surrogate, "out": out, "samples": training.size, "seed": seed}

    def run(self, place: Place | None, say: Callable[[str], None]) -> None:
        """Train with the processes of a launcher, or with those that are started here.

        Args:
            place: of this process, where a launcher has started it.
            say: told that it waits for others.
        """
        from pdeinv.executors.ranks import FirstFailed, leave, opened

        job, code = self.job, 1
        where = "cpu" if place is None else job.device_of(place.local, place.size)
        try:
            with (
                resumable(),
                ExitStack() as held,
                opened(place, where, ends=True, say=say) as ranks,
            ):
                self.job = replace(job, seed=ranks.by_first(lambda: self.prepare(held)))
                with _resumable(job, ranks), _workforce(self.job, self.devices, ranks) as everyone:
                    self.train(everyone)
            code = 0
        except Stopped as stopped:
            code = stopped.exit_code
            raise
        except PdeinvError as error:
            code = error.exit_code
            told = isinstance(error, Preempted | RunFailed | FirstFailed)
            if place is not None and place.rank > 0 and told:
                raise typer.Exit(code) from None  # the first process says why
            raise
        finally:
            if place is not None:
                atexit.register(leave, code)

    def train(self, ranks: Ranks) -> None:
        """Train, save and show."""
        from pdeinv.io.atomic import atomic
        from pdeinv.jobs.train import execute
        from pdeinv.jobs.trained_notes import trained_notes

        job, terminal = self.job, self.terminal
        training = self.held or job.read()
        terminal.note(f"{training.size} samples, {training.n_failed} failed ones left out")
        message = f"stopped; the training so far is saved in {job.folder}; continue with --resume"
        with stoppable(None, message) as stop, training_view(terminal) as view:
            ranks.listening(stop.requested)
            limits = Limits(job.folder, self.end) if ranks.first else None
            surrogate = execute(
                job, ranks, training,
                progress=view.progress, watch=view.watch, tick=view.tick,
                should_stop=lambda: stop.requested() or (limits is not None and limits.reached()),
            )  # fmt: skip
        if not ranks.first:
            return
        with atomic(self.output.out) as target:
            surrogate.save(target)
        plan = self.plan(training, job.seed)
        errors = surrogate.metadata.get("errors", {})
        for told in trained_notes(surrogate.metadata):
            terminal.note(told)
        rows = [*plan.items(), *errors.items()]
        shown = terminal.table(f"{job.surrogate}: held-out errors", ("figure", "value"), rows)
        terminal.result({**plan, "errors": errors}, shown, str(self.output.out))


@contextmanager
def _resumable(job: Job, ranks: Ranks) -> Iterator[None]:
    """Leave no run folder behind that nothing can go on from, and that stands in the way."""
    from pdeinv.io.runs import drop_unless_resumable

    try:
        yield
    except BaseException:
        if ranks.first:
            drop_unless_resumable(job.folder)
        raise


@contextmanager
def _workforce(job: Job, devices: int, ranks: Ranks) -> Iterator[Ranks]:
    """The processes of the launcher, or those that are started here."""
    from pdeinv.jobs.train import together

    if devices == 1:
        yield ranks
        return
    with together(job, devices) as everyone:
        yield everyone


def _slurm_script(
    slurm: Slurm, job: Job, machine: Machine, given: dict[str, Any], settings: Settings
) -> str:
    command = ["pdeinv", "train-surrogate", job.surrogate, "--data", str(job.data)]
    flags = {
        "--out": given["--out"],
        "--device": "cuda" if slurm.gpus else job.device,
        "--dtype": job.dtype,
        "--noise-std": job.noise_std,
        "--tensorboard": job.tensorboard,
        **given,
        "--time-limit": machine.time_limit,
    }
    for flag, value in flags.items():
        command += [] if value is None else [flag, str(value)]
    for assignment in settings.assignments or ():
        command += ["--set", assignment]
    tasks = slurm.gpus or machine.devices
    job.check_together(slurm.nodes * tasks)
    return script(slurm, f"train-{job.surrogate}", tasks, [*command, "--resume"])
