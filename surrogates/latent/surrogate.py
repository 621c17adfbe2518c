"""A small network from the whitened unknown straight to the data.

The cheapest surrogate by far (microseconds), for posteriors that are wide enough, or after training
on draws from where the posterior lives. The network learns the coefficients of the data in their
noise-whitened proper orthogonal modes, so that its loss counts errors in units of the noise. Where
the data set holds Jacobian actions, the network is fitted to them too (:mod:`.tangents`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field

from pdeinv.bayes.prior import Prior
from pdeinv.config import Config
from pdeinv.errors import DataSchemaError
from pdeinv.io.datasets import TrainingSet
from pdeinv.model.forward import ForwardModel
from pdeinv.model.observed import Sensors
from pdeinv.plugins.problem import Problem
from pdeinv.typing import Array

from ..common.bound import BoundModel, RangeWatch
from ..common.decoded import Decoded
from ..common.fitting import FitRun, Index, Split
from ..common.identity import Identity, data_space
from ..common.mlp import Mlp, build_module
from ..common.record import Record, heldout_errors
from ..common.scaling import Pod, Standard, reference_noise
from ..common.storage import load_folder, save_folder
from ..training.derivative_loss import (
    Actions,
    action_error,
    carrying_tangents,
    sobolev_loss,
)
from ..training.train import Data, History, Loss, TrainingConfig, seeded, train

if TYPE_CHECKING:
    import torch

__all__ = ["Latent", "LatentConfig"]


class LatentConfig(TrainingConfig):
    """Options of ``latent``."""

    widths: tuple[int, ...] = Field((128, 128, 128), description="hidden layers")
    tolerance: float = Field(0.05, gt=0, description="rms truncation of the data, in units of σ")
    derivative_weight: float = Field(
        1.0, ge=0, description="weight of Jacobian actions, where the data set has them; 0: unused"
    )
    noise_rel: float = Field(
        0.02, gt=0, description="σ as a share of the peak, for errors, where no σ is given"
    )


@dataclass(frozen=True)
class Latent:
    """A trained network with all that is needed to use it again.

    Attributes:
        inputs: scaling of xi.
        network: scaled xi to scaled coefficients.
        scale: one number that brings the coefficients to unit size.
        pod: the modes of the data.
        record: metadata.
    """

    inputs: Standard
    network: Mlp
    scale: float
    pod: Pod
    record: Record

    name: ClassVar[str] = "latent"
    Config: ClassVar[type[Config]] = LatentConfig

    @property
    def metadata(self) -> Mapping[str, Any]:
        """See :class:`pdeinv.surrogates.common.record.Record`."""
        return self.record.as_json()

    @classmethod
    def fit(
        cls,
        dataset: TrainingSet,
        problem: Problem,
        config: LatentConfig,
        seed: int,
        run: FitRun | None = None,
    ) -> Latent:
        """Train on the data set's pairs of xi and data; a tenth each validates and tests.

        Raises:
            SurrogateRejected: the data set belongs to another problem.
            Preempted: a stop was asked for; the training is saved.
            RunFailed: the loss is not finite.
        """
        run = run or FitRun()
        Identity.of_dataset(dataset).check(problem, problem.prior())
        split = Split.of(dataset.size, seed)
        xi, y = dataset.xi, dataset.values
        noise_std = reference_noise(y[split.train], run.noise_std, config.noise_rel)
        inputs = Standard.fit(xi[split.train])
        pod = Pod.fit(y[split.train], noise_std, config.tolerance)
        scale = max(float(pod.encode(y[split.train]).std()), 1e-300)
        actions = Actions.of(dataset)
        task = _Task(inputs, pod, scale, actions if config.derivative_weight else None)
        sizes = (xi.shape[1], config.widths, pod.n_modes)
        module = seeded(seed, "latent", 0, lambda: build_module(*sizes))
        history = task.train(module, dataset, split, (config, seed, run))
        weights = {k: v.detach().cpu().numpy() for k, v in module.state_dict().items()}
        network = Mlp.from_arrays(weights)
        emulator = Decoded(inputs, network, scale, pod.mean, pod.decoder)
        test = split.test
        errors = heldout_errors(emulator(xi[test]), y[test], noise_std)
        if actions is not None:
            found = emulator.tangents(xi[test], actions.probes[test])
            errors["derivative_relative"] = action_error(found, actions.values[test], noise_std)
        record = Record.of(
            cls.name,
            dataset,
            rows=split.train,
            how=(config, seed, noise_std),
            sizes=split.sizes,
            errors=errors,
            extra={
                "epochs": len(history.train),
                "best_epoch": history.best_epoch,
                "modes": pod.n_modes,
                "derivatives": 0 if task.actions is None else task.actions.count,
            },
        )
        return cls(inputs, network, scale, pod, record)

    def save(self, folder: Path) -> None:
        """Write weights, scalings, modes and the metadata."""
        arrays = {f"network.{k}": v for k, v in self.network.arrays().items()} | {
            "input_mean": self.inputs.mean,
            "input_std": self.inputs.std,
            "scale": np.array([self.scale]),
            **self.pod.arrays(),
        }
        save_folder(folder, arrays, self.record.as_json())

    @classmethod
    def load(cls, folder: Path) -> Latent:
        """What :meth:`save` wrote.

        Raises:
            DataSchemaError: the folder does not hold a latent surrogate.
        """
        a, metadata = load_folder(folder, cls.name)
        network = {k.removeprefix("network."): v for k, v in a.items() if k.startswith("network.")}
        try:
            return cls(
                Standard(a["input_mean"], a["input_std"]),
                Mlp.from_arrays(network),
                float(a["scale"][0]),
                Pod.from_arrays(a),
                Record.from_json(metadata, folder),
            )
        except KeyError as error:
            raise DataSchemaError(f"{folder}: array {error} is missing; train it again") from None

    def bind(self, problem: Problem, prior: Prior, sensors: Sensors) -> ForwardModel:
        """The network as a forward model on xi; sensors may be any of the trained ones.

        Raises:
            SurrogateRejected: trained for another problem, prior or sensor set.
        """
        self.record.identity.check(problem, prior)
        chosen: Index = self.record.identity.select(sensors)
        return BoundModel(
            Decoded(
                self.inputs,
                self.network,
                self.scale,
                self.pod.mean[chosen],
                self.pod.decoder[:, chosen],
            ),
            prior.dim,
            data_space(self.record.identity.observed, sensors),
            RangeWatch(self.record.low, self.record.high, self.name),
            report=self.metadata,
        )


@dataclass(frozen=True)
class _Task:
    """What the network is fitted to: scaled coefficients, and their derivatives where known."""

    inputs: Standard
    pod: Pod
    scale: float
    actions: Actions | None

    def train(
        self,
        module: Any,
        dataset: TrainingSet,
        split: Split,
        how: tuple[LatentConfig, int, FitRun],
    ) -> History:
        """Train ``module``, from scaled xi to scaled coefficients, in place."""
        x, y = self.inputs(dataset.xi), self.pod.encode(dataset.values) / self.scale
        loss: Loss = _mean_square
        if self.actions is not None:
            along = self.actions.targets(self.pod, self.scale)
            weight = how[0].derivative_weight * self._balance(y[split.train], along[split.train])
            loss = sobolev_loss(y.shape[1], self.actions.count, weight)
            x = np.concatenate([x, self.actions.inputs(self.inputs)], axis=1)
            y = np.concatenate([y, along], axis=1)
            module = carrying_tangents(module, self.actions.count)
        data = Data(x[split.train], y[split.train], x[split.valid], y[split.valid])
        return train(module, data, loss, *how)

    def _balance(self, y: Array, along: Array) -> float:
        """E ‖z‖² / E_k ‖z'[p_k]‖²."""
        assert self.actions is not None
        total = float(np.sum(along**2)) / self.actions.count
        return float(np.sum(y**2)) / total if total > 0 else 1.0


def _mean_square(predicted: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean over samples of the squared error summed over modes."""
    return (predicted - target).square().sum(dim=1).mean()
