"""Chains spread over processes: each worker builds the posterior once and takes its share.

A run that may be short begins in this process (``Run.alone_first``), since processes take about as
long to start as many a run takes; what is saved when it turns out to be long goes to the workers.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pdeinv.bayes.posterior import Posterior
from pdeinv.engines.base import Engine
from pdeinv.engines.progress import Progress
from pdeinv.engines.run.alone import Alone, surely_long
from pdeinv.engines.run.spec import Run
from pdeinv.engines.run.together import run_chains
from pdeinv.errors import RunFailed
from pdeinv.executors import process_pool
from pdeinv.foreign import read_json
from pdeinv.io.atomic import atomic
from pdeinv.system_errors import short_of_files

__all__ = ["run_in_workers"]

_posterior: Posterior | None = None
"""The posterior of this worker process."""


def _start(build: Callable[[], Posterior]) -> None:
    global _posterior
    _posterior = build()


REPORT_SECONDS = 0.5
"""Time between two reports of a worker."""


def _nothing() -> None:
    """No task."""


def _progress_file(folder: Path, share: int) -> Path:
    return folder / f"chain{share}.progress.json"


@dataclass
class _Reports:
    """What a worker's chains have told last, in a file that the parent reads now and then.

    Attributes:
        file: where.
        told: by chain.
        due: when the next report is to be written.
    """

    file: Path
    told: dict[int, tuple[int, int, int, str]] = field(default_factory=dict)
    due: float = 0.0

    def __call__(self, chain: int, step: int, n_steps: int, note: str) -> None:
        """Note it, and write all where it is time."""
        self.told[chain] = chain, step, n_steps, note
        now = time.monotonic()
        if now >= self.due:
            self.due = now + REPORT_SECONDS
            self.write()

    def write(self) -> None:
        """Write what was told."""
        with atomic(self.file) as target:
            target.write_text(json.dumps(list(self.told.values())))


def _work(engine: Engine[Any], spec: Run, ks: Sequence[int]) -> None:
    """Some chains, in a worker."""
    assert _posterior is not None
    reports = _Reports(_progress_file(spec.folder, ks[0]))
    run_chains(engine, _posterior, spec, ks, reports)
    reports.write()


def run_in_workers(
    engine: Engine[Any],
    posterior: Posterior,
    build: Callable[[], Posterior],
    spec: Run,
    progress: Progress,
) -> None:
    """Run all chains in ``spec.workers`` processes; an error in one stops and saves the others.

    Args:
        engine: says how they step.
        posterior: of this process.
        build: makes that of a worker.
        spec: how to run.
        progress: told how far each chain is.

    Raises:
        RunFailed: a worker process died.
    """
    if spec.alone_first and not surely_long(engine, posterior):
        alone = Alone()
        run_chains(engine, posterior, spec, range(engine.n_chains), progress, alone)
        if not alone.cut:
            return
    _spread(engine, build, spec, progress)


def _spread(
    engine: Engine[Any], build: Callable[[], Posterior], spec: Run, progress: Progress
) -> None:
    workers = min(spec.workers, engine.n_chains)
    with process_pool(workers, _start, (build,)) as pool:
        shares = [range(i, engine.n_chains, workers) for i in range(workers)]
        pending = {pool.submit(_work, engine, spec, ks) for ks in shares}
        # Python's watcher of the processes may have looked before the last one started, and would
        # not see it die; another task makes it look again.
        pool.submit(_nothing)
        try:
            _watch(pending, workers, spec, progress)
        except BaseException as error:
            spec.stop_file.touch()
            for future in pending:
                future.cancel()
            if isinstance(error, BrokenProcessPool):
                raise RunFailed(
                    f"a worker process died (killed, or out of memory{short_of_files()}); continue "
                    "with --resume, with fewer --workers if memory was short"
                ) from None
            raise
    for i in range(workers):
        _progress_file(spec.folder, i).unlink(missing_ok=True)


def _watch(pending: set[Future[None]], workers: int, spec: Run, progress: Progress) -> None:
    """Relay progress until all chains are done; raises what a chain raised."""
    while pending:
        done, pending = wait(pending, timeout=REPORT_SECONDS, return_when=FIRST_COMPLETED)
        for i in range(workers):
            file = _progress_file(spec.folder, i)
            for told in read_json(file) if file.exists() else ():
                progress(*told)
        for future in done:
            future.result()
