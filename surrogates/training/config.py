"""What a training is given and what it tells: options, data, loss and history."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pydantic import Field

from ..common.lesson import LessonConfig
from ..common.split import Split

__all__ = ["FREE", "Data", "History", "Loss", "TrainingConfig", "summed_squares"]

FREE = ("accumulation", "learning_rate", "clip")
"""Options that may change when a training is resumed: the ways out of a failed one."""


class TrainingConfig(LessonConfig):
    """How a network is trained."""

    free: ClassVar[tuple[str, ...]] = FREE

    epochs: int = Field(400, ge=1, description="passes over the training samples at most")
    batch_size: int = Field(64, ge=1, description="samples of one gradient step, on all devices")
    accumulation: int = Field(1, ge=1, description="pieces that a step is computed in; less memory")
    learning_rate: float = Field(3e-3, gt=0, description="at the start; follows half a cosine to 0")
    warmup: float = Field(0, ge=0, description="epochs in which the rate first grows from 0")
    optimizer: Literal["adam", "adamw"] = Field("adamw", description="the rule of a step")
    weight_decay: float = Field(1e-4, ge=0, description="of the optimizer")
    ema: float = Field(0, ge=0, lt=1, description="memory of the averaged weights; 0: no average")
    patience: int = Field(100, ge=1, description="epochs without improvement before stopping")
    clip: float = Field(1.0, gt=0, description="largest norm of a gradient")


Loss = Callable[[Any, Any], Any]
"""(predicted, target) to a scalar tensor, a mean over samples."""


def summed_squares(predicted: Any, target: Any) -> Any:
    """Mean over samples of the squared error summed over outputs."""
    return (predicted - target).square().sum(dim=1).mean()


@dataclass(frozen=True)
class Data:
    """Inputs and targets, rows are samples; train and valid share no row.

    Arrays, or anything with ``shape``, ``len`` and ``[rows]``, which is then read while training.
    """

    train_x: Any
    train_y: Any
    valid_x: Any
    valid_y: Any

    @classmethod
    def of(cls, x: Any, y: Any, split: Split) -> Data:
        """The samples of a split that train and those that validate."""
        return cls(x[split.train], y[split.train], x[split.valid], y[split.valid])


@dataclass(frozen=True)
class History:
    """How a training went.

    Attributes:
        train: mean training loss by epoch.
        valid: validation loss by epoch.
        best_epoch: the epoch, from 1, whose weights were kept.
        stopped_early: whether patience ran out.
    """

    train: tuple[float, ...] = ()
    valid: tuple[float, ...] = ()
    best_epoch: int = 0
    stopped_early: bool = False

    def summary(self) -> dict[str, int]:
        """JSON data for a surrogate's metadata."""
        return {"epochs": len(self.train), "best_epoch": self.best_epoch}

    @property
    def best(self) -> float:
        """The smallest validation loss."""
        return min(self.valid, default=math.inf)
