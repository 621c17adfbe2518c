"""Data as they would be measured: fresh noise on predictions, anew in every epoch.

An inverse that had seen one noisy copy of each sample would learn that copy by heart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pdeinv.bayes.likelihood import Likelihood, LikelihoodKind
from pdeinv.errors import CapabilityError, ConfigError, ShapeError
from pdeinv.model.learned import TrainedNoise
from pdeinv.model.observed import Sensors
from pdeinv.plugins.hooks import likelihood
from pdeinv.plugins.problem import Problem
from pdeinv.rng import stream
from pdeinv.typing import Array

from ..common.split import Index
from ..training.redrawn import Redrawn

__all__ = ["Noised", "NoiseLaw", "noise_law"]


@dataclass(frozen=True)
class NoiseLaw:
    """p(y | G) that training data are drawn from.

    Attributes:
        own: the problem's likelihood, where its data have one of their own; None: additive noise.
        std: σ of additive noise that counts as usual, shape (n_obs,).
        factors: the least and the largest multiple of σ, from which one is drawn for each sample.
    """

    own: Likelihood | None
    std: Array
    factors: tuple[float, float]

    @property
    def additive(self) -> bool:
        """Whether it is Gaussian noise with σ of its own for each sample."""
        return self.own is None

    def draw(self, values: Array, rng: np.random.Generator) -> tuple[Array, float]:
        """Data of one prediction (n_obs,), and ln of the multiple of σ; 0 without one."""
        if self.own is not None:
            return self.own.draw(values[None], rng)[0], 0.0
        low, high = np.log(self.factors)
        level = float(low + (high - low) * rng.random())
        return values + np.exp(level) * self.std * rng.standard_normal(len(values)), level

    def rows(self, values: Array, seed: int, name: str) -> tuple[Array, Array]:
        """One draw for each row of ``values`` (n, n_obs), and the levels (n,), by named streams."""
        pairs = [self.draw(row, stream(seed, name, k)) for k, row in enumerate(values)]
        return np.stack([data for data, _ in pairs]), np.array([level for _, level in pairs])

    def level(self, noise_std: Array, which: Any = slice(None)) -> tuple[float, float]:
        """ln of the multiple of σ that a measurement has, and what its spread is multiplied by.

        Less noise than trained for counts as the least; more counts as the largest, with a spread
        that is larger by as much.

        Args:
            noise_std: of the measurement, shape (k,).
            which: the data that were measured.
        """
        if not self.additive:
            return 0.0, 1.0
        ratio = float(np.sqrt(np.mean((noise_std / self.std[which]) ** 2)))
        low, high = self.factors
        return float(np.log(np.clip(ratio, low, high))), max(1.0, ratio / high)

    def beside(self, noise_std: Array, which: Any = slice(None)) -> TrainedNoise | None:
        """The noise of a measurement beside this one; None where it is not additive."""
        if not self.additive:
            return None
        return TrainedNoise.of(noise_std, self.std[which], self.factors)

    def placed(
        self, data: Array, noise_std: Array, which: Index
    ) -> tuple[Array, tuple[float, float]]:
        """Data of some sensors among those of all, NaN elsewhere, and :meth:`level` of their noise.

        Args:
            data: rows of one measurement each, (n, k).
            noise_std: of the measurement, shape (k,).
            which: the data that were measured, shape (k,).

        Raises:
            ShapeError: the shapes do not fit.
        """
        data, k = np.atleast_2d(np.asarray(data, dtype=np.float64)), len(which)
        if data.shape[1:] != (k,) or np.shape(noise_std) != (k,):
            raise ShapeError(
                f"expected rows of {k} data with {k} σ, got the shapes {data.shape} and "
                f"{np.shape(noise_std)}"
            )
        whole = np.full((len(data), len(self.std)), np.nan)
        whole[:, which] = data
        return whole, self.level(noise_std, which)


def noise_law(
    problem: Problem, sensors: Sensors, std: Array, factors: tuple[float, float]
) -> NoiseLaw:
    """How data of a problem scatter about predictions at sensors.

    Raises:
        ConfigError: their likelihood is a score, from which nothing can be drawn.
    """
    own = likelihood(problem)(sensors)
    if own is not None and own.kind is LikelihoodKind.GAUSSIAN:
        return NoiseLaw(None, own.std, factors)
    if own is not None:
        try:
            own.draw(np.zeros((1, own.size)), np.random.default_rng(0))
        except CapabilityError:
            raise ConfigError(
                "the data of this problem have a score and no likelihood, so that no data can be "
                "drawn to train an inverse on; choose a likelihood (masks.score = bernoulli)"
            ) from None
    return NoiseLaw(own, std, factors)


@dataclass
class Noised(Redrawn):
    """Inputs of a network as rows that are drawn when they are read.

    Attributes:
        values: predictions, shape (n, n_obs).
        law: how data scatter about them.
        encode: data (k, n_obs) and levels (k,) to inputs (k, width).
        seed: of the draws.
        width: of one input.
        epoch: which draws; :meth:`begin` sets it.
    """

    values: Array
    law: NoiseLaw
    encode: Callable[[Array, Array], Array]
    seed: int
    width: int
    epoch: int = 0

    @property
    def shape(self) -> tuple[int, int]:
        """Of all inputs."""
        return len(self.values), self.width

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, rows: Any) -> Array:
        drawn = [self.law.draw(self.values[k], stream(self.seed, "noise", number))
                 for k, number in self.numbered(rows)]  # fmt: skip
        data = np.stack([data for data, _ in drawn])
        return self.encode(data, np.array([level for _, level in drawn]))
