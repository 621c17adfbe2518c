"""How a surrogate is fitted, apart from what is fitted: device, checkpoints, progress, stopping."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pdeinv.executors.ranks import ALONE, Ranks
from pdeinv.typing import Array

__all__ = ["EpochRow", "FitProgress", "FitRun", "Precision"]

Precision = Literal["float32", "bfloat16", "float64"]
"""Weights and data are float32 or float64; bfloat16 computes float32 networks in half precision."""


@dataclass(frozen=True)
class EpochRow:
    """One epoch, as the log holds it.

    Attributes:
        epoch: from 1.
        epochs: planned at most.
        train: mean training loss.
        valid: validation loss.
        valid_relative: root of the squared validation error over the squared scaled targets.
        best_epoch: epoch of the smallest validation loss so far.
        rate: learning rate of the last step.
        seconds: wall time of the epoch.
        samples_per_second: training samples of all processes over ``seconds``.
        waiting: share of ``seconds`` that the first process waited for data.
    """

    epoch: int
    epochs: int
    train: float
    valid: float
    valid_relative: float
    best_epoch: int
    rate: float
    seconds: float
    samples_per_second: float
    waiting: float


FitProgress = Callable[[int, int, float, float], None]
"""Told after each epoch: those done, those planned at most, training and validation loss (NaN where
there is none)."""


def _silent(epoch: int, epochs: int, train_loss: float, valid_loss: float) -> None:
    """No progress."""


def _unwatched(row: EpochRow) -> None:
    """Nobody looks."""


def _no_tick(epoch: int, step: int, steps: int) -> None:
    """Nobody listens."""


def _never() -> bool:
    """Do not stop."""
    return False


@dataclass(frozen=True)
class FitRun:
    """How to fit.

    A surrogate without a training loop of its own need heed ``noise_std`` alone.

    Attributes:
        folder: where training checkpoints go; None keeps none.
        resume: continue from the checkpoint in ``folder``; begin where there is none.
        device: ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
        noise_std: σ that errors are weighed against, one number or one per datum; None takes that
            of the data set or, without one, ``noise_rel`` of the data's standard deviation.
        checkpoint_seconds: time between checkpoints.
        progress: told after each epoch.
        should_stop: asked after each step; where it says yes, the training saves and raises
            :class:`pdeinv.errors.Preempted`.
        dtype: precision of the training.
        ranks: the processes that train together.
        tensorboard: folder for TensorBoard event files; None writes none.
        watch: told after each epoch what the log holds.
        tick: told after each step: epochs done, steps done of the next one, and its steps.
    """

    folder: Path | None = None
    resume: bool = False
    device: str = "cpu"
    noise_std: Array | float | None = None
    checkpoint_seconds: float = 30.0
    progress: FitProgress = _silent
    should_stop: Callable[[], bool] = _never
    dtype: Precision = "float32"
    ranks: Ranks = ALONE
    tensorboard: Path | None = None
    watch: Callable[[EpochRow], None] = _unwatched
    tick: Callable[[int, int, int], None] = _no_tick
