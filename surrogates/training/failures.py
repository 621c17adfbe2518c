"""Failures of a training that its user can mend: memory, and numbers that are not finite."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path

from pdeinv.errors import RunFailed
from pdeinv.memory import ran_out

from .config import TrainingConfig

__all__ = ["Signal", "advice_on_memory", "diverged", "memory_ran_out"]


class Signal(IntEnum):
    """What a process tells the others at a step; the largest one counts."""

    GO = 0
    SAVE = 1
    STOP = 2
    DIVERGED = 3
    MEMORY = 4


def _kept(folder: Path | None) -> str:
    return f"the last good state is in {folder}" if folder else "no state kept"


@contextmanager
def advice_on_memory(config: TrainingConfig, folder: Path | None, share: int) -> Iterator[None]:
    """Turn a failed allocation, with ``share`` samples computed at once, into advice.

    Raises:
        RunFailed: memory ran out.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not ran_out(error):
            raise
        raise memory_ran_out(config, folder, share) from error


def memory_ran_out(config: TrainingConfig, folder: Path | None, share: int) -> RunFailed:
    """The error after an allocation failed with ``share`` samples computed at once."""
    return RunFailed(
        f"out of memory with {share} samples at once (batch_size = {config.batch_size}, "
        f"accumulation = {config.accumulation}): raise accumulation, which computes a minibatch in "
        "pieces to the same result, and --resume; or lower batch_size or the network's size "
        f"and start again ({_kept(folder)})"
    )


def diverged(epoch: int, folder: Path | None) -> RunFailed:
    """The error after a loss or weight in ``epoch`` was not finite."""
    return RunFailed(
        f"training diverged in epoch {epoch}: the loss is not finite; lower learning_rate (with "
        "--resume it goes on from the last good state) or check the data set for extreme values "
        f"({_kept(folder)})"
    )
