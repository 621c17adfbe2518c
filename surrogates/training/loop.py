"""The state of one training and what a step, an epoch, a checkpoint and a resume do to it."""

from __future__ import annotations

import logging
import math
from collections.abc import Generator, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from pdeinv.errors import DataSchemaError
from pdeinv.io.decided import check_same, plain
from pdeinv.memory import ran_out
from pdeinv.plugins.fitting import FitRun
from pdeinv.rng import stream

from ..common.torch_env import autocast, torch
from . import checkpointing
from .checkpointing import CHECKPOINT, packed, unpacked
from .config import FREE, History, Loss, TrainingConfig
from .failures import Signal
from .minibatches import Minibatches
from .optimize import Optimizer

__all__ = ["Loop"]

logger = logging.getLogger(__name__)


@dataclass
class Loop:
    """The moving parts of one training.

    Attributes:
        decides: all that decides the training, which a resumed one has to share.
        step: minibatches done in the running epoch.
        summed: the sum of their sample losses in this process.
        signal: what this process tells the others at the next step.
    """

    module: Any
    loss: Loss
    config: TrainingConfig
    seed: int
    run: FitRun
    train: Minibatches
    valid: Minibatches
    decides: Mapping[str, Any]
    history: History = field(default_factory=History)
    best: dict[str, Any] = field(default_factory=dict)
    step: int = 0
    summed: Any = 0.0
    signal: Signal = Signal.GO

    def __post_init__(self) -> None:
        self.optimizer = Optimizer(self.module, self.config, self.run.ranks)
        self.best = self.optimizer.shown()

    @property
    def epoch(self) -> int:
        """Epochs done."""
        return len(self.history.train)

    @property
    def steps(self) -> int:
        """Minibatches of an epoch."""
        return -(-len(self.train) // self.config.batch_size)

    @property
    def share(self) -> int:
        """Samples that one process computes at once."""
        return -(-self.config.batch_size // (self.run.ranks.size * self.config.accumulation))

    def _pieces(self) -> list[list[Any]]:
        """Row numbers of the steps that are left, as pieces of this process's share."""
        size, ranks = self.config.batch_size, self.run.ranks
        order = stream(self.seed, "minibatch", self.epoch).permutation(len(self.train))
        cut = [order[i * size : (i + 1) * size] for i in range(self.step, self.steps)]
        mine = [rows[ranks.rank :: ranks.size] for rows in cut]
        return [[m[i : i + self.share] for i in range(0, len(m), self.share)] for m in mine]

    def train_steps(self) -> Generator[Signal]:
        """The steps of the running epoch that are left; after each, what all processes agreed."""
        pieces = self._pieces()
        self.train.begin(self.epoch)
        pairs = self.train.each([rows for step in pieces for rows in step])
        self.module.train()
        for step in pieces:
            self.optimizer.start((self.epoch + self.step / self.steps), 1 / self.steps)
            own = self._backward(pairs, step)
            agreed = Signal(self.run.ranks.worst(max(own, self.signal)))
            if agreed < Signal.DIVERGED:
                self.optimizer.step()
                self.step += 1
            self.signal = Signal.GO
            yield agreed

    def _backward(self, pairs: Iterator[tuple[Any, Any]], step: list[Any]) -> Signal:
        """Gradients of this process's share of one minibatch, weighted by its rows."""
        begin = self.step * self.config.batch_size
        rows = min(self.config.batch_size, len(self.train) - begin)
        before = self.summed
        try:
            for piece in step:
                x, y = next(pairs)
                with autocast(x.device, self.run.dtype):
                    predicted = self.module(x)
                value = self.loss(predicted.to(y.dtype), y)
                (value if len(piece) == rows else value * (len(piece) / rows)).backward()
                self.summed = self.summed + _double(value) * len(piece)
        except (RuntimeError, MemoryError) as error:
            if not ran_out(error):
                raise
            self.summed = before
            return Signal.MEMORY
        return Signal.GO

    def train_loss(self) -> float:
        """The mean loss of the epoch so far, over all processes."""
        done = min(self.step * self.config.batch_size, len(self.train))
        return self.run.ranks.total(float(self.summed))[0] / max(done, 1)

    def valid_loss(self) -> tuple[float, float]:
        """Loss on the validation samples, and the relative error of all scaled targets.

        What a network says beyond its targets, such as a spread, has its part in the loss alone.
        """
        ranks, n = self.run.ranks, len(self.valid)
        blocks = [np.arange(i, min(i + self.share, n)) for i in range(0, n, self.share)]
        sums = [0.0, 0.0, 0.0]
        self.module.eval()
        with torch.no_grad(), self.optimizer.showing():
            for x, y in self.valid.each(blocks[ranks.rank :: ranks.size]):
                with autocast(x.device, self.run.dtype):
                    predicted = self.module(x)
                predicted = predicted.to(y.dtype)
                sums[0] += float(self.loss(predicted, y)) * len(x)
                sums[1] += float((predicted[:, : y.shape[1]] - y).square().sum())
                sums[2] += float(y.square().sum())
        loss, error, size = ranks.total(*sums)
        return loss / n, math.sqrt(error / size) if size > 0 else 0.0

    def note(self, train: float, valid: float) -> None:
        """Book an epoch and keep its weights where they are the best so far."""
        if valid < self.history.best:
            self.best = self.optimizer.shown()
            self.history = replace(self.history, best_epoch=self.epoch + 1)
        self.history = replace(
            self.history, train=(*self.history.train, train), valid=(*self.history.valid, valid)
        )
        self.step, self.summed = 0, 0.0

    @property
    def patience_spent(self) -> bool:
        """Whether the validation loss has not improved for too long."""
        return self.epoch - self.history.best_epoch >= self.config.patience

    def save(self) -> None:
        """Write the checkpoint, if there is a folder for it; every process has to call this."""
        summed = self.run.ranks.total(float(self.summed))[0]
        if self.run.folder is None or not self.run.ranks.first:
            return
        arrays = self.optimizer.arrays() | packed("best/", self.best)
        note = {
            "decides": plain(self.decides),
            "history": asdict(self.history),
            "step": self.step,
            "summed": summed,
            "averaged": self.optimizer.averaged,
            "free": {k: getattr(self.config, k) for k in FREE},
        }
        checkpointing.write(self.run.folder, arrays, note)

    def load(self) -> None:
        """Continue from the checkpoint in the run's folder.

        Raises:
            ConfigError: it belongs to another training.
            DataSchemaError: it is damaged.
        """
        assert self.run.folder is not None
        arrays, note = checkpointing.read(self.run.folder)
        path = self.run.folder / CHECKPOINT
        what = f"checkpoint {path} belongs to another configuration, seed or data set"
        check_same(note.get("decides", {}), self.decides, what)
        for key, value in note.get("free", {}).items():
            if value != getattr(self.config, key):
                logger.warning(
                    "continuing with %s = %s, was %s", key, getattr(self.config, key), value
                )
        try:
            history = note["history"]
            self.history = History(
                tuple(history["train"]),
                tuple(history["valid"]),
                int(history["best_epoch"]),
                bool(history["stopped_early"]),
            )
            self.step = int(note["step"])
            self.summed = float(note["summed"]) if self.run.ranks.first else 0.0
            self.optimizer.restore(arrays, int(note["averaged"]))
            self.best = unpacked("best/", arrays, next(self.module.parameters()).device)
            self._check_best()
        except (KeyError, RuntimeError, ValueError) as error:
            raise DataSchemaError(
                f"checkpoint {path} does not fit the network ({type(error).__name__}); start again "
                "with --overwrite"
            ) from None

    def _check_best(self) -> None:
        for name, parameter in self.module.named_parameters():
            if self.best[name].shape != parameter.shape:
                raise ValueError(name)

    def restore_best(self) -> None:
        """Put the best weights back."""
        self.optimizer.set_weights(self.best)

    @property
    def is_finite(self) -> bool:
        """Whether all weights and the loss so far are numbers."""
        finite = all(bool(torch.isfinite(p).all()) for p in self.module.parameters())
        return finite and math.isfinite(float(self.summed))


def _double(value: Any) -> Any:
    """A detached copy that sums do not round; it stays on its device, which is not waited for."""
    value = value.detach()
    return value if value.device.type == "mps" else value.double()
