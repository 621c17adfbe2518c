"""A fully connected network of coordinates that carries its derivatives along.

Values, first derivatives and pure second derivatives pass through each layer together (Taylor mode),
which costs as much for many outputs as for one; autograd then differentiates by the weights alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from pdeinv.strong import StrongForm
from pdeinv.typing import Array

from .config import PinnConfig

__all__ = ["Jets", "Network"]


@dataclass(frozen=True)
class Jets:
    """A function at n points: tensors u (n, k), ∂u (axes, n, k) and ∂²u (curved axes, n, k).

    Attributes:
        value: u.
        slopes: first derivatives along every axis.
        curves: second derivatives along the axes ``curved``.
        curved: those axes.
    """

    value: Any
    slopes: Any
    curves: Any
    curved: tuple[int, ...]

    def first(self, axis: int) -> Any:
        """∂u along an axis."""
        return self.slopes[axis]

    def second(self, axis: int) -> Any:
        """∂²u along an axis, twice."""
        return self.curves[self.curved.index(axis)]


@dataclass(frozen=True)
class Network:
    """N(x; θ): the box mapped to [−1, 1]^d, optional Fourier features, then a perceptron.

    Attributes:
        low: low end of each axis.
        stretch: 2 / length of each axis.
        sizes: units of each layer, input and output included.
        curved: axes of second derivatives.
        activation: ``tanh`` or ``sine``.
        features: frequencies B of fixed features sin(B x̂), cos(B x̂), shape (n, d); n may be 0.
    """

    low: Array
    stretch: Array
    sizes: tuple[int, ...]
    curved: tuple[int, ...]
    activation: str
    features: Array

    @classmethod
    def of(cls, form: StrongForm, config: PinnConfig, rng: np.random.Generator) -> Network:
        """The network that suits a strong form; only its fixed frequencies are random."""
        bands = config.feature_std * rng.standard_normal((config.features, form.dim))
        n_in = 2 * config.features or form.dim
        sizes = (n_in, *[config.width] * config.depth, len(form.outputs))
        low = np.array([a for a, _ in form.box])
        return cls(low, 2.0 / form.lengths, sizes, form.curved, config.activation, bands)

    @property
    def n_weights(self) -> int:
        """The length of θ."""
        return sum(a * b + b for a, b in pairwise(self.sizes))

    def start(self, rng: np.random.Generator) -> Array:
        """Glorot's normal weights and zero biases (Glorot and Bengio 2010)."""
        parts = []
        for a, b in pairwise(self.sizes):
            parts.append(np.sqrt(2.0 / (a + b)) * rng.standard_normal(a * b))
            parts.append(np.zeros(b))
        return np.concatenate(parts)

    def _layers(self, theta: Any) -> list[tuple[Any, Any]]:
        layers, at = [], 0
        for a, b in pairwise(self.sizes):
            layers.append((theta[at : at + a * b].view(b, a), theta[at + a * b : at + a * b + b]))
            at += a * b + b
        return layers

    def __call__(self, theta: Any, points: Any) -> Jets:
        """The network and its derivatives by the coordinates.

        Args:
            theta: tensor (n_weights,).
            points: tensor (n, d), in physical coordinates.
        """
        import torch

        n, d = points.shape
        stretch = points.new_tensor(self.stretch)
        h = points.new_zeros(1 + d + len(self.curved), n, d)
        h[0] = (points - points.new_tensor(self.low)) * stretch - 1.0
        for i in range(d):
            h[1 + i, :, i] = stretch[i]
        if len(self.features):
            bands = points.new_tensor(np.concatenate([self.features, self.features]))
            shift = points.new_zeros(len(bands))
            shift[len(self.features) :] = torch.pi / 2
            h = self._bent(_affine(h, bands, shift), "sine")
        *hidden, last = self._layers(theta)
        for weight, bias in hidden:
            h = self._bent(_affine(h, weight, bias), self.activation)
        h = _affine(h, *last)
        return Jets(h[0], h[1 : 1 + d], h[1 + d :], self.curved)

    def _bent(self, z: Any, activation: str) -> Any:
        """The activation s: s(z), s' z_i, s'' z_i² + s' z_ii."""
        import torch

        d = len(self.low)
        if activation == "tanh":
            value = torch.tanh(z[0])
            slope = 1.0 - value * value
            bend = -2.0 * value * slope
        else:
            value, slope = torch.sin(z[0]), torch.cos(z[0])
            bend = -value
        first = z[1 : 1 + d]
        chosen = first[list(self.curved)]
        second = bend * chosen * chosen + slope * z[1 + d :]
        return torch.cat([value[None], slope * first, second])


def _affine(h: Any, weight: Any, bias: Any) -> Any:
    """W h + b; derivatives do not see b."""
    import torch

    z = h @ weight.T
    return torch.cat([z[:1] + bias, z[1:]])
