"""One optimizer step: the rate's schedule, clipping, and the running average of the weights."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pdeinv.executors.ranks import Ranks

from ..common.torch_env import torch
from .checkpointing import packed, unpacked
from .config import TrainingConfig

__all__ = ["Optimizer", "learning_rate"]


def learning_rate(config: TrainingConfig, epoch: float, step: float) -> float:
    """The rate at a place in the training: a straight line up, then half a cosine down to zero.

    Args:
        config: rate, warm-up and length.
        epoch: epochs done, fractions counted.
        step: length of a step in epochs, so that the first one moves.
    """
    if epoch < config.warmup:
        return config.learning_rate * min(1.0, (epoch + step) / config.warmup)
    progress = (epoch - config.warmup) / max(config.epochs - config.warmup, 1e-12)
    return 0.5 * config.learning_rate * (1 + math.cos(math.pi * min(progress, 1.0)))


class Optimizer:
    """Adam or AdamW over all processes, and the averaged weights where they are asked for.

    With decay d the average moves by ``a += (1 - d_t)(w - a)``, d_t = min(d, (1 + t) / (10 + t)),
    which forgets the start sooner (Morales-Brotons, Vogels, Hendrikx 2024).

    Attributes:
        rate: the learning rate of the last step.
        averaged: steps that went into the average.
    """

    def __init__(self, module: Any, config: TrainingConfig, ranks: Ranks) -> None:
        self._module, self._config, self._ranks = module, config, ranks
        kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[config.optimizer]
        ranks.copy_first([p.data for p in module.parameters()])
        # one learning rate for all: the schedule is set before every step
        self._inner = kind(
            module.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self.rate, self.averaged = config.learning_rate, 0
        self._average = self.weights() if config.ema else None

    def weights(self) -> dict[str, Any]:
        """A copy of the weights."""
        return {k: v.detach().clone() for k, v in self._module.named_parameters()}

    def set_weights(self, weights: Mapping[str, Any]) -> None:
        """Put other weights in."""
        with torch.no_grad():
            for name, parameter in self._module.named_parameters():
                parameter.copy_(weights[name])

    def shown(self) -> dict[str, Any]:
        """A copy of the weights that are validated and kept: the average where there is one."""
        if self._average is None:
            return self.weights()
        return {k: v.clone() for k, v in self._average.items()}

    @contextmanager
    def showing(self) -> Iterator[None]:
        """The network with the weights to validate while the block runs."""
        if self._average is None:
            yield
            return
        own = self.weights()
        self.set_weights(self._average)
        try:
            yield
        finally:
            self.set_weights(own)

    def start(self, epoch: float, step: float) -> None:
        """Forget the gradients and set the rate of this step."""
        self.rate = learning_rate(self._config, epoch, step)
        for group in self._inner.param_groups:
            group["lr"] = self.rate
        self._inner.zero_grad()

    def step(self) -> None:
        """Sum the gradients over the processes, clip them and move the weights."""
        parameters = list(self._module.parameters())
        if self._ranks.size > 1:
            for p in parameters:
                if p.grad is None:  # this process had no sample, or the network has a loose end
                    p.grad = torch.zeros_like(p)
            self._ranks.sum_gradients(parameters)
        torch.nn.utils.clip_grad_norm_(parameters, self._config.clip)
        self._inner.step()
        if self._average is not None:
            self._move_average(self._average)

    def _move_average(self, average: dict[str, Any]) -> None:
        self.averaged += 1
        decay = min(self._config.ema, (1 + self.averaged) / (10 + self.averaged))
        with torch.no_grad():
            for name, parameter in self._module.named_parameters():
                average[name].add_(parameter - average[name], alpha=1 - decay)

    def arrays(self) -> dict[str, Any]:
        """Weights, average and the optimizer's memory, for a checkpoint."""
        plain = packed("weights/", self.weights()) | packed("average/", self._average or {})
        for i, state in self._inner.state_dict()["state"].items():
            plain |= packed(f"optimizer/{i}/", state)
        return plain

    def restore(self, arrays: Mapping[str, Any], averaged: int) -> None:
        """The inverse of :meth:`arrays`.

        Raises:
            KeyError, RuntimeError, ValueError: they do not fit.
        """
        device = next(self._module.parameters()).device
        self.set_weights(unpacked("weights/", arrays, device))
        self.averaged = averaged
        if self._average is not None:
            found = unpacked("average/", arrays, device)
            self._average = {name: found[name] for name in self._average}
        state: dict[int, dict[str, Any]] = {}
        for key, value in unpacked("optimizer/", arrays, device).items():
            index, name = key.split("/")
            # Adam keeps its step count on the CPU
            state.setdefault(int(index), {})[name] = value.cpu() if name == "step" else value
        groups = self._inner.state_dict()["param_groups"]
        self._inner.load_state_dict({"state": state, "param_groups": groups})
