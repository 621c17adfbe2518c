"""Chains spread over processes: each worker builds the posterior once and takes its share."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from pdeinv.bayes.posterior import Posterior
from pdeinv.engines.base import Engine
from pdeinv.engines.progress import Progress
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


def _nothing() -> None:
    """No task."""


def _progress_file(folder: Path, k: int) -> Path:
    return folder / f"chain{k}.progress.json"


def _work(engine: Engine[Any], spec: Run, ks: Sequence[int]) -> None:
    """Some chains, in a worker; their progress goes into small files that the parent reads."""
    assert _posterior is not None

    def report(chain: int, step: int, n_steps: int, note: str) -> None:
        with atomic(_progress_file(spec.folder, chain)) as target:
            target.write_text(json.dumps([chain, step, n_steps, note]))

    run_chains(engine, _posterior, spec, ks, report)


def run_in_workers(
    engine: Engine[Any], build: Callable[[], Posterior], spec: Run, progress: Progress
) -> None:
    """Run all chains in ``spec.workers`` processes; an error in one stops and saves the others.

    Raises:
        RunFailed: a worker process died.
    """
    workers = min(spec.workers, engine.n_chains)
    with process_pool(workers, _start, (build,)) as pool:
        shares = [range(i, engine.n_chains, workers) for i in range(workers)]
        pending = {pool.submit(_work, engine, spec, ks) for ks in shares}
        # Python's watcher of the processes may have looked before the last one started, and would
        # not see it die; another task makes it look again.
        pool.submit(_nothing)
        try:
            _watch(pending, engine.n_chains, spec, progress)
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
    for k in range(engine.n_chains):
        _progress_file(spec.folder, k).unlink(missing_ok=True)


def _watch(pending: set[Future[None]], n_chains: int, spec: Run, progress: Progress) -> None:
    """Relay progress until all chains are done; raises what a chain raised."""
    while pending:
        done, pending = wait(pending, timeout=0.5, return_when=FIRST_COMPLETED)
        for k in range(n_chains):
            file = _progress_file(spec.folder, k)
            if file.exists():
                progress(*read_json(file))
        for future in done:
            future.result()
