"""Derivative-informed training: a network is fitted to values and to Jacobian actions at once.

With a value z(xi) and actions z'(xi)[p_k] along probes p_k ~ N(0, I) the loss is

    E ‖ẑ - z‖² + w E_k ‖ẑ'[p_k] - z'[p_k]‖²,   w = weight · E ‖z‖² / E_k ‖z'[p_k]‖²,

an error in the Sobolev norm of the Gaussian measure. The network carries tangents beside values, so
that the loop sees one module, one input (xi, probes) and one output (value, actions).

Reference: O'Leary-Roseberry, Chen, Villa and Ghattas (2024), Derivative-informed neural operator.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pdeinv.errors import DataSchemaError
from pdeinv.io.datasets import TrainingSet
from pdeinv.typing import Array

from ..common.scaling import Pod, Standard
from ..common.torch_env import built, torch
from .config import Loss

__all__ = ["Actions", "action_error", "carrying_tangents", "sobolev_loss"]


@dataclass(frozen=True)
class Actions:
    """Jacobian actions of a data set.

    Attributes:
        probes: directions in xi, shape (n, k, dim).
        values: dG(xi_i)[p_ik], shape (n, k, n_obs).
    """

    probes: Array
    values: Array

    @classmethod
    def of(cls, dataset: TrainingSet) -> Actions | None:
        """Those that the data set holds, or None.

        Raises:
            DataSchemaError: they do not fit its samples, or are not finite.
        """
        if dataset.probes is None or dataset.actions is None:
            return None
        n, k = dataset.actions.shape[:2]
        expected = ((n, k, dataset.xi.shape[1]), (n, k, dataset.values.shape[1]))
        if n != dataset.size or (dataset.probes.shape, dataset.actions.shape) != expected:
            raise DataSchemaError(
                f"Jacobian actions of shape {dataset.actions.shape} along probes of shape "
                f"{dataset.probes.shape} do not fit {dataset.size} samples of "
                f"{dataset.xi.shape[1]} unknowns and {dataset.values.shape[1]} data; generate again"
            )
        if not (np.isfinite(dataset.probes).all() and np.isfinite(dataset.actions).all()):
            raise DataSchemaError("Jacobian actions are not finite everywhere; generate them again")
        return cls(dataset.probes, dataset.actions)

    @property
    def count(self) -> int:
        """Directions of one sample."""
        return int(self.probes.shape[1])

    def inputs(self, scaling: Standard) -> Array:
        """Directions in scaled xi, flat, shape (n, k · dim)."""
        return np.asarray((self.probes / scaling.std).reshape(len(self.probes), -1))

    def targets(self, pod: Pod, scale: float) -> Array:
        """Actions on the scaled coefficients, flat, shape (n, k · n_modes)."""
        coefficients = (self.values / pod.noise_std) @ pod.basis.T / scale
        return np.asarray(coefficients.reshape(len(self.values), -1))

    def balance(self, z: Array, along: Array) -> float:
        """E ‖z‖² / E_k ‖z'[p_k]‖² of scaled coefficients and their flat actions."""
        total = float(np.sum(along**2)) / self.count
        return float(np.sum(z**2)) / total if total > 0 else 1.0


def carrying_tangents(network: Any, count: int) -> Any:
    """``network`` (linear layers and SiLU) from (x, count tangents) to (value, count tangents).

    Forward mode by hand, which is cheaper than autograd's for so simple a network.
    """
    n_in = network[0].in_features

    def forward(module: Any, x: Any) -> Any:
        value, along = x[:, :n_in], x[:, n_in:].reshape(len(x), count, n_in)
        for layer in module.network:
            if isinstance(layer, torch.nn.Linear):
                value, along = layer(value), along @ layer.weight.T
            else:
                gate = torch.sigmoid(value)
                along = (gate * (1 + value * (1 - gate)))[:, None] * along
                value = value * gate
        return torch.cat([value, along.flatten(1)], dim=1)

    return built(forward, {"network": network})


def sobolev_loss(n_out: int, count: int, weight: float) -> Loss:
    """Squared error summed over outputs plus ``weight`` times that of the mean action."""

    def loss(predicted: Any, target: Any) -> Any:
        square = (predicted - target).square()
        return (square[:, :n_out].sum(1) + (weight / count) * square[:, n_out:].sum(1)).mean()

    return loss


def action_error(found: Array, true: Array, noise_std: Array) -> float:
    """Relative root-mean-square error of actions, data in units of σ."""
    error = np.linalg.norm((found - true) / noise_std)
    return float(error / max(float(np.linalg.norm(true / noise_std)), 1e-300))
