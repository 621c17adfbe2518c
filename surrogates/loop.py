"""The state of one training and what an epoch, a checkpoint and a resume do to it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from pdeinv.config import Config
from pdeinv.errors import ConfigError, DataSchemaError, MissingDependency
from pdeinv.rng import stream

from .fitting import FitRun
from .storage import load_arrays, save_arrays

__all__ = ["CHECKPOINT", "Data", "History", "Loop", "Loss", "TrainingConfig", "import_torch"]

CHECKPOINT = "training.safetensors"
COMPLEX = "|complex"
"""Ends the name of an array that holds real and imaginary parts along its last axis."""


class TrainingConfig(Config):
    """How a network is trained."""

    epochs: int = Field(400, ge=1, description="passes over the training samples at most")
    batch_size: int = Field(64, ge=1, description="samples of one gradient step")
    learning_rate: float = Field(3e-3, gt=0, description="at the start; follows half a cosine to 0")
    optimizer: Literal["adam", "adamw"] = Field("adamw", description="the rule of a step")
    weight_decay: float = Field(1e-4, ge=0, description="of the optimiser")
    patience: int = Field(100, ge=1, description="epochs without improvement before stopping")
    clip: float = Field(1.0, gt=0, description="largest norm of a gradient")


Loss = Callable[[Any, Any], Any]
"""(predicted, target) to a scalar tensor."""


def import_torch() -> Any:
    """The module torch.

    Raises:
        MissingDependency: it is not installed.
    """
    try:
        import torch
    except ImportError:
        raise MissingDependency("training needs torch; install pdeinv[surrogate]") from None
    return torch


def _to_numpy(tensor: Any) -> Any:
    torch = import_torch()
    plain = torch.view_as_real(tensor) if tensor.is_complex() else tensor
    return plain.cpu().numpy()


def _packed(prefix: str, tensors: dict[str, Any]) -> dict[str, Any]:
    """Arrays by name under ``prefix``, complex ones marked."""
    return {
        f"{prefix}{k}{COMPLEX if v.is_complex() else ''}": _to_numpy(v) for k, v in tensors.items()
    }


def _unpacked(prefix: str, arrays: dict[str, Any], device: Any) -> dict[str, Any]:
    """The inverse of :func:`_packed`."""
    torch = import_torch()
    found = {}
    for key, value in arrays.items():
        if key.startswith(prefix):
            tensor = torch.from_numpy(value.copy()).to(device)
            name = key.removeprefix(prefix)
            found[name.removesuffix(COMPLEX)] = (
                torch.view_as_complex(tensor) if name.endswith(COMPLEX) else tensor
            )
    return found


@dataclass(frozen=True)
class Data:
    """Inputs and targets as float32 arrays, rows are samples; train and valid share no row."""

    train_x: Any
    train_y: Any
    valid_x: Any
    valid_y: Any


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

    @property
    def best(self) -> float:
        """The smallest validation loss."""
        return min(self.valid, default=math.inf)


@dataclass
class Loop:
    """The moving parts of one training."""

    module: Any
    loss: Loss
    config: TrainingConfig
    seed: int
    run: FitRun
    data: Data
    mark: str
    history: History = field(default_factory=History)
    best: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        torch = import_torch()
        kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[self.config.optimizer]
        # one learning rate for all: the schedule is set before every step
        self.optimizer = kind(
            self.module.parameters(),
            lr=self.config.learning_rate,
            weight_decay=self.config.weight_decay,
        )
        self.best = self._weights()

    @property
    def epoch(self) -> int:
        """Epochs done."""
        return len(self.history.train)

    def _weights(self) -> dict[str, Any]:
        return {k: v.detach().clone() for k, v in self.module.named_parameters()}

    def _rate(self, progress: float) -> float:
        return 0.5 * self.config.learning_rate * (1 + math.cos(math.pi * min(progress, 1.0)))

    def train_epoch(self) -> float:
        """One pass over the training samples; returns the mean loss."""
        torch = import_torch()
        n, size = len(self.data.train_x), self.config.batch_size
        order = stream(self.seed, "minibatch", self.epoch).permutation(n)
        steps, total = -(-n // size), 0.0
        self.module.train()
        for i in range(steps):
            rows = torch.as_tensor(
                order[i * size : (i + 1) * size], device=self.data.train_x.device
            )
            rate = self._rate((self.epoch + i / steps) / self.config.epochs)
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            self.optimizer.zero_grad()
            value = self.loss(self.module(self.data.train_x[rows]), self.data.train_y[rows])
            value.backward()
            torch.nn.utils.clip_grad_norm_(self.module.parameters(), self.config.clip)
            self.optimizer.step()
            total += float(value.detach()) * len(rows)
        return total / n

    def valid_loss(self) -> float:
        """The loss on the validation samples, in blocks of the batch size."""
        torch = import_torch()
        n, size, total = len(self.data.valid_x), self.config.batch_size, 0.0
        self.module.eval()
        with torch.no_grad():
            for i in range(0, n, size):
                x, y = self.data.valid_x[i : i + size], self.data.valid_y[i : i + size]
                total += float(self.loss(self.module(x), y)) * len(x)
        return total / n

    def note(self, train: float, valid: float) -> None:
        """Book an epoch and keep its weights where they are the best so far."""
        if valid < self.history.best:
            self.best = self._weights()
            self.history = replace(self.history, best_epoch=self.epoch + 1)
        self.history = replace(
            self.history, train=(*self.history.train, train), valid=(*self.history.valid, valid)
        )

    @property
    def patience_spent(self) -> bool:
        """Whether the validation loss has not improved for too long."""
        return self.epoch - self.history.best_epoch >= self.config.patience

    def save(self) -> None:
        """Write the checkpoint, if there is a folder for it."""
        if self.run.folder is None:
            return
        plain = _packed("weights/", self._weights()) | _packed("best/", self.best)
        for i, state in self.optimizer.state_dict()["state"].items():
            plain |= _packed(f"optimizer/{i}/", state)
        note = {"fingerprint": self.mark, "history": asdict(self.history)}
        self.run.folder.mkdir(parents=True, exist_ok=True)
        save_arrays(self.run.folder / CHECKPOINT, plain, note)

    def load(self, path: Path) -> None:
        """Continue from a checkpoint.

        Raises:
            ConfigError: it belongs to another training.
            DataSchemaError: it is damaged.
        """
        arrays, note = load_arrays(path)
        if note.get("fingerprint") != self.mark:
            raise ConfigError(
                f"checkpoint {path} belongs to another configuration, seed or data set; repeat the "
                "first command with --resume, or start again with --overwrite"
            )
        history = note["history"]
        self.history = History(
            tuple(history["train"]),
            tuple(history["valid"]),
            int(history["best_epoch"]),
            bool(history["stopped_early"]),
        )
        device = next(self.module.parameters()).device

        try:
            self._set_weights(_unpacked("weights/", arrays, device))
            self.best = _unpacked("best/", arrays, device)
            state: dict[int, dict[str, Any]] = {}
            for key, value in _unpacked("optimizer/", arrays, device).items():
                index, name = key.split("/")
                # Adam keeps its step count on the CPU
                state.setdefault(int(index), {})[name] = value.cpu() if name == "step" else value
            groups = self.optimizer.state_dict()["param_groups"]
            self.optimizer.load_state_dict({"state": state, "param_groups": groups})
        except (KeyError, RuntimeError, ValueError) as error:
            raise DataSchemaError(
                f"checkpoint {path} does not fit the network ({type(error).__name__}); start again "
                "with --overwrite"
            ) from None

    def _set_weights(self, weights: dict[str, Any]) -> None:
        torch = import_torch()
        with torch.no_grad():
            for name, parameter in self.module.named_parameters():
                parameter.copy_(weights[name])

    def restore_best(self) -> None:
        """Put the best weights back."""
        self._set_weights(self.best)
