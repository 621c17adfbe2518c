"""One plain training loop for every network here: deterministic, resumable, stoppable.

A checkpoint is one safetensors file (weights, best weights, optimiser state, and a JSON note in its
header), replaced atomically; resuming on a CPU gives the same bits as never having stopped, because
the order of minibatches in an epoch depends on the seed and the epoch's number alone.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pdeinv.config import fingerprint
from pdeinv.errors import ConfigError, Preempted, RunFailed
from pdeinv.rng import stream

from .fitting import FitRun
from .loop import CHECKPOINT, Data, History, Loop, Loss, TrainingConfig, import_torch

if TYPE_CHECKING:
    import torch

__all__ = [
    "Data",
    "History",
    "Loss",
    "TrainingConfig",
    "find_device",
    "import_torch",
    "seeded",
    "train",
]


def find_device(name: str) -> Any:
    """The torch device ``name``; an absent one is an error, never replaced in silence.

    Raises:
        ConfigError: no such device on this machine.
    """
    torch = import_torch()
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ConfigError(f"--device must be cpu or cuda, got '{name}'") from None
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device.type == "cuda" and (device.index or 0) >= found:
        raise ConfigError(
            f"device '{name}' is not available: torch sees {found or 'no'} GPU; use --device cpu"
        )
    if device.type not in ("cpu", "cuda"):
        raise ConfigError(f"--device must be cpu or cuda, got '{name}'")
    return device


def seeded(seed: int, name: str, k: int, build: Callable[[], Any]) -> Any:
    """What ``build`` makes with torch's generator seeded by a named stream; the global state of
    the generator is as before afterwards.
    """
    torch = import_torch()
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(int(stream(seed, name, k).integers(2**62)))
        return build()


def _mark(module: Any, config: TrainingConfig, seed: int, data: Data) -> str:
    """A fingerprint of all that decides the training."""
    shapes = {k: list(v.shape) for k, v in module.named_parameters()}
    sums = [float(np.sum(np.asarray(a, dtype=np.float64))) for a in _arrays(data)]
    return fingerprint({**config.model_dump(), "seed": seed, "shapes": shapes, "sums": sums})


def _arrays(data: Data) -> list[Any]:
    """The four arrays of ``data``."""
    return [data.train_x, data.train_y, data.valid_x, data.valid_y]


def train(
    module: torch.nn.Module,
    data: Data,
    loss: Loss,
    config: TrainingConfig,
    seed: int,
    run: FitRun,
) -> History:
    """Train ``module`` in place and leave it with the weights of the smallest validation loss.

    Args:
        module: the network, already initialised.
        data: float32 arrays.
        loss: mean over samples.
        config: length, rates, patience.
        seed: root seed of the minibatches.
        run: device, checkpoints, progress, stopping.

    Raises:
        ConfigError: absent device, or a checkpoint of another training.
        Preempted: a stop was asked for; the state is saved.
        RunFailed: the loss is not finite; the last good state is kept.
    """
    torch = import_torch()
    device = find_device(run.device)
    mark = _mark(module, config, seed, data)
    tensors = Data(
        *(torch.as_tensor(np.asarray(a, dtype=np.float32), device=device) for a in _arrays(data))
    )
    loop = Loop(module.to(device), loss, config, seed, run, tensors, mark)
    if run.resume and run.folder is not None and (run.folder / CHECKPOINT).exists():
        loop.load(run.folder / CHECKPOINT)
    else:
        loop.save()
    _run(loop)
    loop.restore_best()
    module.eval()
    return loop.history


def _kept(loop: Loop) -> str:
    return f"the last good state is in {loop.run.folder}" if loop.run.folder else "no state kept"


def _run(loop: Loop) -> None:
    """All remaining epochs."""
    saved = time.monotonic()
    while loop.epoch < loop.config.epochs and not loop.patience_spent:
        train_loss = loop.train_epoch()
        valid_loss = loop.valid_loss()
        if not (math.isfinite(train_loss) and math.isfinite(valid_loss)):
            raise RunFailed(
                f"training diverged in epoch {loop.epoch + 1}: the loss is not finite; lower "
                f"learning_rate or check the data set for extreme values ({_kept(loop)})"
            )
        loop.note(train_loss, valid_loss)
        loop.run.progress(loop.epoch, loop.config.epochs, train_loss, valid_loss)
        if loop.run.should_stop():
            loop.save()
            raise Preempted(
                f"stopped after epoch {loop.epoch} and saved in {loop.run.folder}; continue with "
                "--resume"
            )
        if time.monotonic() - saved >= loop.run.checkpoint_seconds:
            loop.save()
            saved = time.monotonic()
    loop.history = replace(loop.history, stopped_early=loop.epoch < loop.config.epochs)
    loop.save()
