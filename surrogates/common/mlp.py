"""A small fully connected network, and the map of xi that networks share.

It is trained by torch and evaluated by NumPy in float64.
NumPy keeps inference free of torch, of its per-call overhead and of rounding in derivatives.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from pdeinv.model.forward import Linearization
from pdeinv.typing import Array

from .bound import ALL
from .scaling import Standard
from .torch_env import seeded, torch

__all__ = ["Decoded", "Mlp", "build_module", "seeded_mlp"]


def _sigmoid(a: Array) -> Array:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * a)))


def _silu(a: Array) -> Array:
    return np.asarray(a * _sigmoid(a))


def _silu_slope(a: Array) -> Array:
    s = _sigmoid(a)
    return np.asarray(s * (1.0 + a * (1.0 - s)))


def build_module(n_in: int, widths: tuple[int, ...], n_out: int) -> Any:
    """The torch network whose weights :class:`Mlp` takes over; SiLU between linear layers."""
    layers: list[Any] = []
    for a, b in pairwise([n_in, *widths, n_out]):
        layers += [torch.nn.Linear(a, b), torch.nn.SiLU()]
    return torch.nn.Sequential(*layers[:-1])


def seeded_mlp(seed: int, name: str, sizes: tuple[int, tuple[int, ...], int]) -> Any:
    """The same with the starting weights of a named stream; inputs, hidden layers, outputs."""
    return seeded(seed, name, 0, lambda: build_module(*sizes))


@dataclass(frozen=True)
class Mlp:
    """y = W_k s(... s(W_1 x + b_1) ...) + b_k with s(a) = a / (1 + e^(-a)).

    Attributes:
        weights: W_i, each (n_i, n_(i-1)).
        biases: b_i.
    """

    weights: tuple[Array, ...]
    biases: tuple[Array, ...]

    @classmethod
    def of(cls, module: Any) -> Mlp:
        """With the weights of a trained ``Sequential``."""
        return cls.from_arrays(
            {k: v.detach().cpu().numpy() for k, v in module.state_dict().items()}
        )

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> Mlp:
        """From torch's names of a ``Sequential``: 0.weight, 0.bias, 2.weight, ..."""
        steps = sorted({int(k.split(".")[0]) for k in arrays})
        return cls(
            tuple(np.asarray(arrays[f"{i}.weight"], dtype=np.float64) for i in steps),
            tuple(np.asarray(arrays[f"{i}.bias"], dtype=np.float64) for i in steps),
        )

    def arrays(self) -> dict[str, Array]:
        """The inverse of :meth:`from_arrays`."""
        parts = zip(self.weights, self.biases, strict=True)
        return {
            f"{2 * i}.{kind}": value
            for i, (w, b) in enumerate(parts)
            for kind, value in (("weight", w), ("bias", b))
        }

    def __call__(self, x: Array) -> Array:
        """The value at (..., n_in)."""
        for w, b in zip(self.weights[:-1], self.biases[:-1], strict=True):
            x = _silu(x @ w.T + b)
        return np.asarray(x @ self.weights[-1].T + self.biases[-1])

    def linearize(self, x: Array) -> Linearization:
        """Value, tangent action and adjoint action at ``x`` of shape (n_in,)."""
        slopes = []
        for w, b in zip(self.weights[:-1], self.biases[:-1], strict=True):
            a = w @ x + b
            slopes.append(_silu_slope(a))
            x = _silu(a)
        value = self.weights[-1] @ x + self.biases[-1]

        def jvp(dx: Array) -> Array:
            for w, slope in zip(self.weights[:-1], slopes, strict=True):
                dx = slope * (w @ dx)
            return np.asarray(self.weights[-1] @ dx)

        def vjp(v: Array) -> Array:
            v = self.weights[-1].T @ v
            for w, slope in zip(self.weights[-2::-1], reversed(slopes), strict=True):
                v = w.T @ (slope * v)
            return np.asarray(v)

        return Linearization(value, jvp, vjp)


@dataclass(frozen=True)
class Decoded:
    """d(xi) = mean + scale · network((xi - m)/s) D.

    Attributes:
        inputs: scaling of xi.
        network: scaled xi to coefficients (n_modes,).
        scale: one number that the coefficients are multiplied by.
        mean: shape (n_obs,).
        decoder: D, shape (n_modes, n_obs).
    """

    inputs: Standard
    network: Mlp
    scale: float
    mean: Array
    decoder: Array

    capabilities = ALL

    def __call__(self, xi: Array) -> Array:
        """Data (..., n_obs) of (..., dim)."""
        z = self.network(self.inputs(xi)) * self.scale
        return np.asarray(self.mean + z @ self.decoder)

    def linearize(self, xi: Array) -> Linearization:
        """Value and derivative at one xi."""
        at = self.network.linearize(self.inputs(xi))
        decoder = self.scale * self.decoder
        return Linearization(
            self.mean + at.value @ decoder,
            lambda v: at.jvp(v / self.inputs.std) @ decoder,
            lambda w: at.vjp(decoder @ w) / self.inputs.std,
        )

    def tangents(self, xi: Array, probes: Array) -> Array:
        """dG(xi_i)[p_ik], shape (n, k, n_obs), for (n, dim) and (n, k, dim)."""
        pairs = zip(xi, probes, strict=True)
        return np.stack([np.stack([self.linearize(x).jvp(p) for p in ps]) for x, ps in pairs])
