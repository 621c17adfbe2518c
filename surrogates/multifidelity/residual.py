"""A small network for what an affine discrepancy leaves over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pdeinv.plugins.fitting import FitRun
from pdeinv.typing import Array

from ..common.mlp import Decoded, Mlp, seeded_mlp
from ..common.scaling import Standard
from ..common.split import Split
from ..common.torch_env import built
from ..training.config import Data, TrainingConfig, summed_squares
from ..training.train import train

__all__ = ["Sample", "fit_residual", "residual_network"]

WIDTHS = (64, 64)
CONFIG = TrainingConfig(epochs=600, batch_size=32, learning_rate=3e-3, patience=80)


@dataclass(frozen=True)
class Sample:
    """What a residual network learns from.

    Attributes:
        z: scaled unknowns, shape (n, dim).
        y: residuals in noise-whitened modes, shape (n, n_modes).
        variance: how much less each counts, shape (n,).
    """

    z: Array
    y: Array
    variance: Array


def residual_network(network: Mlp, decoder: Array) -> Decoded:
    """network(z) D, a map of scaled unknowns to the data, for D of shape (n_modes, n_obs)."""
    n_in, n_obs = network.weights[0].shape[1], decoder.shape[1]
    unscaled = Standard(np.zeros(n_in), np.ones(n_in))
    return Decoded(unscaled, network, 1.0, np.zeros(n_obs), decoder)


def fit_residual(
    sample: Sample, decoder: Array, seed: int, epochs: int | None = None
) -> tuple[Decoded, int]:
    """Train on nine tenths, stop by the rest; or on all of them for given ``epochs``.

    Returns:
        The network and the epoch whose weights it has.
    """
    scale = max(float(np.sqrt(np.mean(sample.y**2))), 1e-300)
    module = seeded_mlp(seed, "discrepancy", (sample.z.shape[1], WIDTHS, sample.y.shape[1]))
    root = 1 / np.sqrt(sample.variance[:, None])
    inputs, target = np.concatenate([sample.z, root], axis=1), root * sample.y / scale
    split = Split.of(len(target), seed)
    rows, config = np.concatenate([split.train, split.test]), CONFIG
    if epochs is not None:
        rows, config = np.arange(len(target)), CONFIG.model_copy(update={"epochs": epochs})
    data = Data(inputs[rows], target[rows], inputs[split.valid], target[split.valid])
    history = train(_weighted(module), data, summed_squares, config, seed, FitRun())
    return residual_network(Mlp.of(module), scale * decoder), history.best_epoch


def _weighted(network: Any) -> Any:
    """``network`` of all inputs but the last, times the last, the root of a sample's weight."""
    return built(lambda module, x: module.network(x[:, :-1]) * x[:, -1:], {"network": network})
