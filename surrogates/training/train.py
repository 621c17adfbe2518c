"""One plain training loop for every network here: deterministic, resumable, stoppable.

A checkpoint is one safetensors file (weights, best weights, optimizer state, and a JSON note in its
header), replaced atomically; resuming on a CPU gives the same bits as never having stopped, because
the order of minibatches in an epoch depends on the seed and the epoch's number alone. Several
processes share every minibatch and agree at every step whether to go on.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from pdeinv.errors import Preempted, RunFailed
from pdeinv.executors.devices import find_device
from pdeinv.plugins.fitting import EpochRow, FitRun

from ..common.log import tracked
from ..common.torch_env import (
    exact_spectra,
    in_precision,
    real_type,
)
from .checkpointing import clear, has_checkpoint, sweep
from .config import FREE, Data, History, Loss, TrainingConfig
from .failures import Signal, advice_on_memory, diverged, memory_ran_out
from .loop import Loop
from .minibatches import Minibatches, take

__all__ = ["train"]

PROBED = 1024
"""Rows by which a data set is recognised."""


def _decides(
    module: Any, config: TrainingConfig, seed: int, data: Data, run: FitRun
) -> dict[str, Any]:
    """All that decides the training."""
    shapes = {k: list(v.shape) for k, v in module.named_parameters()}
    options = {k: v for k, v in config.model_dump().items() if k not in FREE}
    probes = {f"data.{k}": _probe(v) for k, v in vars(data).items()}
    return {"surrogate": options, "seed": seed, "dtype": run.dtype, **probes, "shapes": shapes}


def _probe(array: Any) -> list[float]:
    """Number of rows, and the sum over some of them."""
    n = len(array)
    rows = np.unique(np.linspace(0, n - 1, min(n, PROBED)).astype(np.intp))
    values = take(array if hasattr(array, "shape") else np.asarray(array), rows)
    return [float(n), float(np.sum(np.asarray(values, dtype=np.float64)))]


def train(
    module: Any,
    data: Data,
    loss: Loss,
    config: TrainingConfig,
    seed: int,
    run: FitRun,
) -> History:
    """Train ``module`` in place and leave it with the weights of the smallest validation loss.

    Args:
        module: the network, already initialised.
        data: arrays, or array-likes that are read by rows.
        loss: mean over samples.
        config: length, rates, patience.
        seed: root seed of the minibatches.
        run: device, precision, processes, checkpoints, progress, stopping.

    Raises:
        ConfigError: absent device, or a checkpoint of another training.
        Preempted: a stop was asked for; the state is saved.
        RunFailed: the loss is not finite, or memory ran out; the last good state is kept.
    """
    device, kind = find_device(run.device), real_type(run.dtype)
    module = in_precision(module, run.dtype)
    decides = _decides(module, config, seed, data, run)
    with advice_on_memory(config, None, config.batch_size):
        samples = Minibatches(data.train_x, data.train_y, kind, device)
        held_back = Minibatches(data.valid_x, data.valid_y, kind, device)
        loop = Loop(module.to(device), loss, config, seed, run, samples, held_back, decides)
    if run.folder is not None and run.ranks.first:
        sweep(run.folder)
    if run.resume and run.folder is not None and has_checkpoint(run.folder):
        loop.load()
    else:
        if run.folder is not None and run.ranks.first:
            clear(run.folder)
        loop.save()
    with tracked(run, loop.epoch) as note, exact_spectra(module, run.dtype):
        _run(loop, note)
    loop.restore_best()
    module.eval()
    return loop.history


def _run(loop: Loop, note: Callable[[EpochRow], None]) -> None:
    """All remaining epochs."""
    saver = _Saver(loop)
    while loop.epoch < loop.config.epochs and not loop.patience_spent:
        begin, before, waited = time.perf_counter(), loop.step, loop.train.waited
        _steps(loop, saver)
        train_loss = loop.train_loss()
        with advice_on_memory(loop.config, loop.run.folder, loop.share):
            valid_loss, relative = loop.valid_loss()
        if not (math.isfinite(train_loss) and math.isfinite(valid_loss)):
            raise diverged(loop.epoch + 1, loop.run.folder)
        samples = len(loop.train) - before * loop.config.batch_size
        loop.note(train_loss, valid_loss)
        seconds = time.perf_counter() - begin
        row = EpochRow(
            loop.epoch, loop.config.epochs, train_loss, valid_loss, relative,
            loop.history.best_epoch, loop.optimizer.rate, seconds, samples / seconds,
            (loop.train.waited - waited) / seconds,
        )  # fmt: skip
        note(row)
        loop.run.progress(loop.epoch, loop.config.epochs, train_loss, valid_loss)
        loop.run.watch(row)
        saver.agree()
    loop.history = replace(loop.history, stopped_early=loop.epoch < loop.config.epochs)
    loop.save()


def _steps(loop: Loop, saver: _Saver) -> None:
    """The steps of one epoch that are left."""
    steps = loop.train_steps()
    try:
        saver.ask()
        for agreed in steps:
            loop.run.tick(loop.epoch, loop.step, loop.steps)
            saver.obey(agreed)
            saver.ask()
        saver.agree()
    finally:
        steps.close()


class _Saver:
    """Decides when to save and when to stop, together with the other processes."""

    def __init__(self, loop: Loop) -> None:
        self._loop, self._saved = loop, time.monotonic()

    def ask(self) -> None:
        """Set the signal that this process sends with its next step."""
        due = time.monotonic() - self._saved >= self._loop.run.checkpoint_seconds
        if self._loop.run.should_stop():
            self._loop.signal = Signal.STOP
        elif due and self._loop.run.folder is not None:
            self._loop.signal = Signal.SAVE

    def agree(self) -> None:
        """Save or stop between two epochs, or between an epoch's steps and its validation."""
        self.ask()
        agreed = Signal(self._loop.run.ranks.worst(self._loop.signal))
        self._loop.signal = Signal.GO
        self.obey(agreed)

    def obey(self, agreed: Signal) -> None:
        """Do what all processes agreed on.

        Raises:
            Preempted: a stop was asked for; the state is saved.
            RunFailed: memory ran out, or the network is not finite.
        """
        loop = self._loop
        if agreed == Signal.MEMORY:
            with contextlib.suppress(RunFailed, RuntimeError, MemoryError):
                loop.save()
            raise memory_ran_out(loop.config, loop.run.folder, loop.share)
        if agreed == Signal.GO:
            return
        if loop.run.ranks.worst(not loop.is_finite):
            raise diverged(loop.epoch + 1, loop.run.folder)
        loop.save()
        self._saved = time.monotonic()
        if agreed == Signal.STOP:
            loop.run.ranks.wait()  # a launcher may end all processes when the first one leaves
            where = f" and step {loop.step} of {loop.steps}" if loop.step else ""
            raise Preempted(
                f"stopped after epoch {loop.epoch}{where} and saved in {loop.run.folder}; "
                "continue with --resume"
            )
