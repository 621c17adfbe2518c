"""An inverse at the sensors of a measurement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from pdeinv.model.learned import Estimate
from pdeinv.model.spaces import Space
from pdeinv.typing import Array

from ..common.split import Index
from ..training.weights import answers
from .inputs import Inputs
from .noising import NoiseLaw
from .spread import mixed

__all__ = ["BoundInverse", "asked"]

BLOCK = 256
"""Rows that go through a network at once."""


def asked(networks: Sequence[Any], inputs: Array) -> Estimate:
    """What networks in double precision say of inputs (n, width), before any calibration."""
    found = []
    for network in networks:
        mean, logs = np.split(answers(network, inputs, BLOCK), 2, axis=1)
        found.append(Estimate(mean, np.exp(0.5 * logs)))
    return mixed(found)


@dataclass(frozen=True)
class BoundInverse:
    """From data at some of the trained sensors to ξ; see :class:`pdeinv.model.learned.Inverse`.

    Attributes:
        networks: in double precision.
        inputs: data at all trained sensors to inputs of a network.
        law: how data scatter.
        factor: that standard deviations are multiplied by, shape (dim,).
        chosen: which of the trained sensors the data are of, shape (n_d,).
        space: of ξ.
        d_space: of the data.
    """

    networks: Sequence[Any]
    inputs: Inputs
    law: NoiseLaw
    factor: Array
    chosen: Index
    space: Space
    d_space: Space

    of: Literal["xi"] = "xi"

    def __call__(self, data: Array, noise_std: Array) -> Estimate:
        """Estimates (n, dim) from data (n, n_d) with σ (n_d,).

        Raises:
            ShapeError: the shapes do not fit.
        """
        whole, (level, stretch) = self.law.placed(data, noise_std, self.chosen)
        inputs = np.insert(self.inputs(whole), 0, level, axis=1)
        found = asked(self.networks, inputs)
        beside = self.law.beside(noise_std, self.chosen)
        return Estimate(found.mean, found.std * self.factor * stretch, noise=beside)
