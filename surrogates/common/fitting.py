"""How a surrogate is fitted, apart from what is fitted: device, checkpoints, progress, stopping."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pdeinv.rng import stream
from pdeinv.typing import Array

from .log import EpochRow
from .ranks import ALONE, Ranks
from .torch_env import Precision

__all__ = ["FitProgress", "FitRun", "Index", "Split"]

Index = NDArray[np.intp]
"""Row or column numbers."""


class FitProgress(Protocol):
    """Told after each epoch how training stands."""

    def __call__(self, epoch: int, epochs: int, train_loss: float, valid_loss: float) -> None:
        """Epoch done, epochs planned at most, and the two losses."""


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

    Attributes:
        folder: where training checkpoints go; None keeps none.
        resume: continue from the checkpoint in ``folder``.
        device: ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
        noise_std: σ that errors are weighed against, one number or one per datum; None takes the
            surrogate's ``noise_rel`` of the peak.
        checkpoint_seconds: time between checkpoints.
        progress: told after each epoch.
        should_stop: asked after each step.
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


@dataclass(frozen=True)
class Split:
    """Which samples train, which choose the stopping point, and which measure the error.

    Attributes:
        train: row numbers.
        valid: row numbers.
        test: row numbers.
    """

    train: Index
    valid: Index
    test: Index

    @classmethod
    def of(cls, n: int, seed: int, share: float = 0.1) -> Split:
        """A split of ``n`` samples; ``share`` of them, at least one, for each of valid and test."""
        order = stream(seed, "split").permutation(n)
        k = max(1, round(share * n))
        return cls(np.sort(order[2 * k :]), np.sort(order[:k]), np.sort(order[k : 2 * k]))

    @property
    def sizes(self) -> dict[str, int]:
        """The numbers of samples by use."""
        return {"train": len(self.train), "valid": len(self.valid), "test": len(self.test)}
