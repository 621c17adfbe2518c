"""A small network for what an affine discrepancy leaves over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pdeinv.model.forward import Linearization
from pdeinv.typing import Array

from ..common.fitting import FitRun, Split
from ..common.mlp import Mlp, build_module
from ..training.train import Data, TrainingConfig, import_torch, seeded, train

__all__ = ["ResidualNetwork", "Sample"]

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


@dataclass(frozen=True)
class ResidualNetwork:
    """network(z) D, a smooth map to the data.

    Attributes:
        network: scaled unknown to scaled coefficients.
        decoder: D with the scale of the coefficients, shape (n_modes, n_obs).
    """

    network: Mlp
    decoder: Array

    def __call__(self, z: Array) -> Array:
        """The value at (..., dim)."""
        return np.asarray(self.network(z) @ self.decoder)

    def linearize(self, z: Array) -> Linearization:
        """Value and derivative at one point."""
        at = self.network.linearize(z)
        return Linearization(
            at.value @ self.decoder,
            lambda dz: at.jvp(dz) @ self.decoder,
            lambda w: at.vjp(self.decoder @ w),
        )

    @classmethod
    def fit(
        cls, sample: Sample, decoder: Array, seed: int, epochs: int | None = None
    ) -> tuple[ResidualNetwork, int]:
        """Train on nine tenths, stop by the rest; or on all of them for given ``epochs``.

        Returns:
            The network and the epoch whose weights it has.
        """
        scale = max(float(np.sqrt(np.mean(sample.y**2))), 1e-300)
        sizes = (sample.z.shape[1], WIDTHS, sample.y.shape[1])
        module = seeded(seed, "discrepancy", 0, lambda: build_module(*sizes))
        root = 1 / np.sqrt(sample.variance[:, None])
        inputs, target = np.concatenate([sample.z, root], axis=1), root * sample.y / scale
        split = Split.of(len(target), seed)
        rows = np.concatenate([split.train, split.test])
        config = CONFIG
        if epochs is not None:
            rows, config = np.arange(len(target)), CONFIG.model_copy(update={"epochs": epochs})
        data = Data(inputs[rows], target[rows], inputs[split.valid], target[split.valid])
        history = train(_weighted(module), data, _square, config, seed, FitRun())
        weights = {k: v.detach().numpy() for k, v in module.state_dict().items()}
        return cls(Mlp.from_arrays(weights), scale * decoder), history.best_epoch

    def arrays(self) -> dict[str, Array]:
        """All numbers, for storage."""
        return {
            **{f"network.{k}": v for k, v in self.network.arrays().items()},
            "network_decoder": self.decoder,
        }

    @classmethod
    def from_arrays(cls, a: Mapping[str, Any]) -> ResidualNetwork | None:
        """The inverse of :meth:`arrays`; None where there is none."""
        if "network_decoder" not in a:
            return None
        network = {k.removeprefix("network."): v for k, v in a.items() if k.startswith("network.")}
        return cls(Mlp.from_arrays(network), a["network_decoder"])


def _weighted(network: Any) -> Any:
    """``network`` of all inputs but the last, times the last, the root of a sample's weight."""
    torch = import_torch()

    class Weighted(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, x: Any) -> Any:
            return self.network(x[:, :-1]) * x[:, -1:]

    return Weighted()


def _square(predicted: Any, target: Any) -> Any:
    """Squared error summed over modes."""
    return (predicted - target).square().sum(dim=1).mean()
