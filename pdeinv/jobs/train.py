"""One training as plain data, carried out by this process alone or together with others."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import socket
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from pdeinv.errors import ConfigError, PdeinvError, Preempted, RunFailed
from pdeinv.executors.devices import find_device, import_torch
from pdeinv.executors.place import Place
from pdeinv.executors.processes import deaf_children, hear, protect_tracker
from pdeinv.executors.ranks import ALONE, Ranks, leave, opened
from pdeinv.io.datasets import TrainingSet
from pdeinv.io.runs import remember
from pdeinv.jobs.training_set import check_inputs, check_prior, open_training_set
from pdeinv.launchers import without_rank
from pdeinv.plugins.fitting import FitRun, Precision
from pdeinv.plugins.recipe import make_problem
from pdeinv.plugins.registry import configured, load
from pdeinv.plugins.surrogate import Surrogate, check_installed, role_of

__all__ = ["Job", "execute", "together"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """What to train, on what and how; holds no array and no network.

    Attributes:
        surrogate: registered name.
        options: its configuration.
        data: data set file.
        seed: root seed.
        folder: run folder.
        device: as the user named it.
        dtype: precision.
        noise_std: σ that errors are weighed by.
        resume: continue from the checkpoint in ``folder``.
        tensorboard: folder for event files.
        problem: table ``[problem]``: what a data set made elsewhere belongs to.
    """

    surrogate: str
    options: Mapping[str, Any]
    data: Path
    seed: int
    folder: Path
    device: str = "cpu"
    dtype: Precision = "float32"
    noise_std: float | None = None
    resume: bool = False
    tensorboard: Path | None = None
    problem: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> Any:
        """The surrogate's class.

        Raises:
            UnknownPlugin: no such surrogate.
        """
        return load("surrogates", self.surrogate)

    @property
    def config(self) -> Any:
        """The checked configuration.

        Raises:
            ConfigError: a wrong key or value.
        """
        return configured("surrogates", self.surrogate, self.options)

    def check(self) -> None:
        """Everything about the surrogate that can be wrong before any work is done.

        Raises:
            ConfigError: a wrong key or value.
            MissingDependency: a package that its training needs is not installed.
        """
        check_installed(self.kind, self.config.model_dump(), training=True)

    def read(self) -> TrainingSet:
        """The data set.

        Raises:
            DataSchemaError: it is none, or not one that the surrogate can learn from.
        """
        training = open_training_set(self.data, self.problem, role_of(self.kind))
        check_inputs(training, self.kind)
        return training

    def remember(self, training: TrainingSet) -> None:
        """Make the run folder, or check that of a training that goes on.

        Raises:
            ConfigError: its seed, data or noise were others.
        """
        options = {"name": self.surrogate, **self.config.model_dump()}
        free = getattr(self.config, "free", None)
        # a stranger's surrogate that does not tell compares its options with its own checkpoint
        fixed = {"name": self.surrogate} if free is None else _without(options, free)
        decides = {
            "surrogate": fixed,
            "sha256 of the data": training.digest,
            "noise_std": self.noise_std,
            "seed": self.seed,
        }
        told = {"seed": self.seed, "surrogate": options}
        remember(self.folder, told, decides=decides, resume=self.resume)

    def check_together(self, size: int) -> None:
        """Refuse several processes where they would not share the work.

        Raises:
            ConfigError: another surrogate or device.
        """
        if size > 1 and not self.kind.shares_work(self.config):
            raise ConfigError(
                f"surrogate '{self.surrogate}' trains in one process; leave out --devices, or "
                "start one task"
            )
        if size > 1 and self.device not in ("cpu", "cuda"):
            raise ConfigError(
                f"{size} processes need --device cpu or cuda, got '{self.device}'; each takes one "
                "device of its own"
            )

    def device_of(self, local: int, size: int) -> str:
        """The device of process number ``local`` on this machine."""
        if self.device != "cuda" or size == 1:
            return self.device
        # where the launcher shows each task only its own GPU, that is number 0
        return f"cuda:{local % max(import_torch().cuda.device_count(), 1)}"


def _without(options: Mapping[str, Any], free: Collection[str]) -> dict[str, Any]:
    """Options but for some names, at any depth."""
    return {
        k: _without(v, free) if isinstance(v, Mapping) else v
        for k, v in options.items()
        if k not in free
    }


def execute(
    job: Job, ranks: Ranks = ALONE, training: TrainingSet | None = None, **how: Any
) -> Surrogate:
    """Fit the surrogate; all processes of ``ranks`` have to call this.

    Args:
        job: what to train.
        ranks: the processes; this one alone by default.
        training: the data set, where it has been read already.
        **how: further attributes of :class:`FitRun`.
    """
    training = training or job.read()
    problem = make_problem(training.problem, training.problem_config)
    check_prior(training, problem.prior(), job.kind)
    run = FitRun(
        job.folder,
        job.resume,
        job.device_of(ranks.local, ranks.size),
        job.noise_std,
        dtype=job.dtype,
        ranks=ranks,
        tensorboard=job.tensorboard,
        **how,
    )
    fitted: Surrogate = job.kind.fit(training, problem, job.config, job.seed, run)
    return fitted


@contextmanager
def together(job: Job, size: int) -> Iterator[Ranks]:
    """This process as the first of ``size`` on this machine; the others follow it to the end.

    Raises:
        ConfigError: fewer GPUs than processes, or a surrogate that trains in one process.
    """
    job.check_together(size)
    if job.device == "cuda":
        find_device(f"cuda:{size - 1}")
    _share_cores(size, job.device)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        place = Place(0, size, 0, "127.0.0.1", probe.getsockname()[1])
    protect_tracker()
    # a forked process would inherit locks and GPU contexts
    others = [_start(job, replace(place, rank=k, local=k)) for k in range(1, size)]
    try:
        for process, begun in others:
            _await(process, begun)
        with opened(place, job.device_of(0, size)) as ranks:
            yield ranks
            for process, _ in others:
                process.join(60)
    finally:
        for process, _ in others:
            process.terminate()


def _start(job: Job, place: Place) -> tuple[BaseProcess, Connection]:
    """A process that follows, and where it says that it has begun."""
    context = multiprocessing.get_context("spawn")
    begun, says = context.Pipe(duplex=False)
    process = context.Process(target=_follow, args=(job, place, says), daemon=True)
    with without_rank(), deaf_children():
        process.start()
    says.close()
    return process, begun


def _await(process: BaseProcess, begun: Connection) -> None:
    """Wait until a process has begun; one that is lost before would be waited for in vain.

    Raises:
        RunFailed: it has ended instead.
    """
    try:
        begun.recv()
    except EOFError:
        process.join(60)
        raise RunFailed(
            f"a training process ended with exit code {process.exitcode} before it began (out of "
            "memory?); see its message; continue with --resume, perhaps with fewer --devices"
        ) from None


def _share_cores(size: int, device: str) -> None:
    """As many threads as there are cores for each process, unless the user said how many."""
    if device == "cpu" and "OMP_NUM_THREADS" not in os.environ:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
        import_torch().set_num_threads(max(1, cores // size))


def _follow(job: Job, place: Place, says: Connection) -> None:
    """The life of a process that is not the first: it computes, and neither writes nor prints."""
    asked: list[int] = []
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(signum, lambda number, _: asked.append(number))
    hear()
    _share_cores(place.size, job.device)
    says.send(place.rank)
    code = 1
    try:
        device, stop = job.device_of(place.local, place.size), lambda: bool(asked)
        with opened(place, device, ends=True, asked=stop) as ranks:
            execute(job, ranks, should_stop=stop)
            code = 0
    except (Preempted, RunFailed) as error:
        code = error.exit_code  # the first process says why
    except PdeinvError as error:
        code = error.exit_code
        logger.error("process %d of %d: %s", place.rank, place.size, error)
    except Exception:
        logger.exception("process %d of %d", place.rank, place.size)
    leave(code)
