"""A small network from the whitened unknown straight to the data.

The cheapest surrogate by far (microseconds), for posteriors that are wide enough, or after training
on draws from where the posterior lives. The network learns the coefficients of the data in their
noise-whitened proper orthogonal modes, so that its loss counts errors in units of the noise. Where
the data set holds Jacobian actions, the network is fitted to them too. It may learn from the
unknown itself in place of the whitened one, which suits uniform priors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from pydantic import Field

from pdeinv.config import Width
from pdeinv.errors import ConfigError
from pdeinv.typing import Array

from ..common.lesson import Lesson, Where
from ..common.mlp import Decoded, Mlp, seeded_mlp
from ..common.of_unknown import OfUnknown, pushed
from ..common.record import Judgement, Record
from ..common.scaling import Pod, Standard
from ..common.storage import under, within
from ..common.trained import Trained
from ..training.config import Data, Loss, TrainingConfig, summed_squares
from ..training.derivative_loss import Actions, action_error, carrying_tangents, sobolev_loss
from ..training.train import train

__all__ = ["Latent", "LatentConfig"]


class LatentConfig(TrainingConfig):
    """Options of ``latent``."""

    widths: tuple[Width, ...] = Field((128, 128, 128), description="hidden layers")
    tolerance: float = Field(0.05, gt=0, description="rms truncation of the data, in units of σ")
    derivative_weight: float = Field(
        1.0, ge=0, description="weight of Jacobian actions, where the data set has them; 0: unused"
    )
    inputs: Literal["whitened", "unknown"] = Field(
        "whitened", description="what the network sees: xi, or m, as suits uniform priors"
    )


@dataclass(frozen=True)
class Latent(Trained):
    """A trained network with all that is needed to use it again.

    Attributes:
        inputs: scaling of xi, or of m.
        network: scaled xi, or m, to scaled coefficients.
        scale: one number that brings the coefficients to unit size.
        pod: the modes of the data.
    """

    inputs: Standard
    network: Mlp
    scale: float
    pod: Pod

    name = "latent"
    Config = LatentConfig
    packages = frozenset({"torch"})

    @classmethod
    def learn(cls, lesson: Lesson) -> Latent:
        """Train on xi and data.

        Raises:
            ConfigError: it shall learn from m, which has no derivative by xi.
            DataSchemaError: Jacobian actions that do not fit the samples.
            Preempted: a stop was asked for; the training is saved.
            RunFailed: the loss is not finite.
        """
        dataset, config, train_rows = lesson.dataset, lesson.config, lesson.split.train
        points, actions = _seen(lesson)
        inputs = Standard.fit(points[train_rows])
        pod = Pod.fit(lesson.values, lesson.noise_std, config.tolerance)
        scale = max(float(pod.encode(lesson.values).std()), 1e-300)
        x, z, count = inputs(points), pod.encode(dataset.values) / scale, 0
        loss: Loss = summed_squares
        module = seeded_mlp(lesson.seed, cls.name, (x.shape[1], config.widths, pod.n_modes))
        trained = module
        if actions is not None and config.derivative_weight:
            along, count = actions.targets(pod, scale), actions.count
            balance = actions.balance(z[train_rows], along[train_rows])
            loss = sobolev_loss(z.shape[1], count, config.derivative_weight * balance)
            x = np.concatenate([x, actions.inputs(inputs)], axis=1)
            z = np.concatenate([z, along], axis=1)
            trained = carrying_tangents(module, count)
        data = Data.of(x, z, lesson.split)
        history = train(trained, data, loss, config, lesson.seed, lesson.run)
        extra = {
            **history.summary(),
            "modes": pod.n_modes,
            "derivatives": count,
            "inputs": config.inputs,
        }
        return cls(lesson.record(cls, extra), inputs, Mlp.of(module), scale, pod)

    def judge(self, lesson: Lesson) -> Judgement:
        """Held-out errors, those of Jacobian actions too where the data set has some."""
        found, actions, test = super().judge(lesson), Actions.of(lesson.dataset), lesson.split.test
        if actions is None:
            return found
        emulator = self.emulator(lesson.where)
        moved = emulator.tangents(lesson.dataset.xi[test], actions.probes[test])
        error = action_error(moved, actions.values[test], lesson.noise_std)
        return replace(found, errors={**found.errors, "derivative_relative": error})

    def arrays(self) -> dict[str, Array]:
        """Weights, scalings and modes."""
        return {
            **under("network.", self.network.arrays()),
            **under("input_", vars(self.inputs)),
            "scale": np.array([self.scale]),
            **self.pod.arrays(),
        }

    @classmethod
    def restored(cls, arrays: Mapping[str, Array], record: Record) -> Latent:
        """The inverse of :meth:`arrays`."""
        inputs, network = Standard(**within("input_", arrays)), within("network.", arrays)
        scale, pod = float(arrays["scale"][0]), Pod.from_arrays(arrays)
        return cls(record, inputs, Mlp.from_arrays(network), scale, pod)

    def emulator(self, where: Where) -> Decoded | OfUnknown:
        """The network with the modes at some of the trained sensors."""
        chosen, pod = where.chosen(self.record.identity), self.pod
        mean, decoder = pod.mean[chosen], pod.decoder[:, chosen]
        found = Decoded(self.inputs, self.network, self.scale, mean, decoder)
        if self.record.extra.get("inputs", "whitened") == "whitened":
            return found
        return OfUnknown(where.prior, found)


def _seen(lesson: Lesson) -> tuple[Array, Actions | None]:
    """What the network sees of all samples, (n, dim) or (n, n_m), and actions along that.

    Raises:
        ConfigError: it shall see m, which has no derivative by xi.
        DataSchemaError: Jacobian actions that do not fit the samples.
    """
    xi, actions = lesson.dataset.xi, Actions.of(lesson.dataset)
    if lesson.config.inputs == "whitened":
        return xi, actions
    prior = lesson.problem.prior()
    if not prior.differentiable:
        raise ConfigError(
            "inputs 'unknown' needs a prior whose m has a derivative by xi; use 'whitened'"
        )
    if actions is not None:
        actions = replace(actions, probes=pushed(prior, xi, actions.probes))
    return prior.unwhiten(xi), actions
