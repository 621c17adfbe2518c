"""A fully connected network of coordinates that carries its derivatives along.

Values, first and pure second derivatives pass through each layer together (Taylor mode), which
costs as much for many outputs as for one; autograd then differentiates by the weights alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from pdeinv.memory import check_fits
from pdeinv.model.strong_form import Box, StrongForm
from pdeinv.typing import Array

from ..common.torch_env import TRAINED, torch
from .config import PinnConfig

__all__ = ["Jets", "Network", "Trace", "part_of"]

Triple = tuple[Any, Any, Any]
"""Value (n, w), first derivatives (d, n, w) and second derivatives (curved, n, w)."""


@dataclass(frozen=True)
class Jets:
    """A function at n points: tensors u (n, k), ∂u (axes, n, k) and ∂²u (curved axes, n, k).

    Attributes:
        value: u.
        slopes: first derivatives along every axis.
        curves: second derivatives along the axes ``curved``.
        curved: those axes.
        numbers: what is solved for beside u, by name, tensors (n, 1) or (1, 1).
    """

    value: Any
    slopes: Any
    curves: Any
    curved: tuple[int, ...]
    numbers: Mapping[str, Any] = field(default_factory=dict)

    def first(self, axis: int) -> Any:
        """∂u along an axis."""
        return self.slopes[axis]

    def second(self, axis: int) -> Any:
        """∂²u along an axis, twice."""
        return self.curves[self.curved.index(axis)]

    def number(self, name: str) -> Any:
        """A number that is solved for beside u, or that data read."""
        return self.numbers[name]


@dataclass(frozen=True)
class Trace:
    """What went into each trained layer, and its pre-activations, for derivatives row by row."""

    inputs: list[Triple] = field(default_factory=list)
    outputs: list[Triple] = field(default_factory=list)


@dataclass(frozen=True)
class Network:
    """N(x; θ): the box mapped to [−1, 1]^d, optional Fourier features, then a perceptron.

    Where u changes over less than the box, a width of that is mapped to a length of 2 instead; of a
    form that says where u of an unknown has to be learned, that part of the box is mapped.

    Attributes:
        low: low end of each axis, or of that width.
        stretch: 2 / length, or width, of each axis.
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
    def of(
        cls, form: StrongForm, config: PinnConfig, rng: np.random.Generator, m: Array | None = None
    ) -> Network:
        """The network that suits a strong form; only its fixed frequencies are random.

        Args:
            form: the strong form.
            config: of the network.
            rng: draws the frequencies.
            m: the unknown, or one that it may be.

        Raises:
            ConfigError: it cannot fit into memory.
        """
        bands = config.feature_std * rng.standard_normal((config.features, form.dim))
        n_in = 2 * config.features or form.dim
        sizes = (n_in, *[config.width] * config.depth, len(form.outputs))
        low, high = np.array(part_of(form, m)).T
        widths = high - low if form.widths is None else np.array(form.widths)
        if form.centres is not None:
            low = np.array(form.centres) - widths / 2
        found = cls(low, 2.0 / widths, sizes, form.curved, config.activation, bands)
        size = 8 * TRAINED * found.n_weights
        check_fits("a network of this size, while it trains,", size, "lower width or depth")
        return found

    @property
    def n_weights(self) -> int:
        """The length of θ."""
        return sum(a * b + b for a, b in pairwise(self.sizes))

    def start(self, rng: np.random.Generator, last: float = 1.0) -> Array:
        """Glorot's normal weights and zero biases (Glorot and Bengio 2010).

        The weights of the last layer are ``last`` times as large.
        """
        parts = []
        for a, b in pairwise(self.sizes):
            parts.append(np.sqrt(2.0 / (a + b)) * rng.standard_normal(a * b))
            parts.append(np.zeros(b))
        parts[-2] = parts[-2] * last
        return np.concatenate(parts)

    def _layers(self, theta: Any) -> list[tuple[Any, Any]]:
        layers, at = [], 0
        for a, b in pairwise(self.sizes):
            layers.append((theta[at : at + a * b].view(b, a), theta[at + a * b : at + a * b + b]))
            at += a * b + b
        return layers

    def __call__(self, theta: Any, points: Any, trace: Trace | None = None) -> Jets:
        """The network and its derivatives by the coordinates.

        Args:
            theta: tensor (n_weights,).
            points: tensor (n, d), in physical coordinates.
            trace: takes note of each layer.
        """
        n, d = points.shape
        stretch = points.new_tensor(self.stretch)
        value = (points - points.new_tensor(self.low)) * stretch - 1.0
        slopes = torch.diag(stretch)[:, None].expand(d, n, d)
        h: Triple = (value, slopes, points.new_zeros(len(self.curved), n, d))
        if len(self.features):
            bands = points.new_tensor(np.concatenate([self.features, self.features]))
            shift = points.new_zeros(len(bands))
            shift[len(self.features) :] = torch.pi / 2
            h = _bent(_affine(h, bands, shift), "sine", self.curved)
        layers = self._layers(theta)
        for i, (weight, bias) in enumerate(layers):
            z = _affine(h, weight, bias)
            if trace is not None:
                trace.inputs.append(h)
                trace.outputs.append(z)
            h = z if i == len(layers) - 1 else _bent(z, self.activation, self.curved)
        return Jets(*h, self.curved)


def part_of(form: StrongForm, m: Array | None) -> Box:
    """The part of the box where u of ``m`` has to be learned."""
    return form.box if form.focus is None or m is None else form.focus(m)


def _affine(h: Triple, weight: Any, bias: Any) -> Triple:
    """W h + b; derivatives do not see b."""
    value, slopes, curves = h
    return torch.addmm(bias, value, weight.T), slopes @ weight.T, curves @ weight.T


def _shape(z: Any, activation: str) -> tuple[Any, Any, Any, Any]:
    """The activation s(z) with its first three derivatives."""
    if activation == "tanh":
        value = torch.tanh(z)
        slope = 1.0 - value * value
        bend = -2.0 * value * slope
        return value, slope, bend, -2.0 * (slope * slope + value * bend)
    value, slope = torch.sin(z), torch.cos(z)
    return value, slope, -value, -slope


def _bent(h: Triple, activation: str, curved: tuple[int, ...]) -> Triple:
    """The activation s with its chain rule: s(z), s' z_i and s'' z_i² + s' z_ii.

    The backward pass is written out, which halves the time that autograd takes for it; it is not
    itself differentiable, so that second derivatives come from here and never from autograd.
    """
    axes = slice(0, len(curved)) if curved == tuple(range(len(curved))) else list(curved)

    class Bent(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, z: Any, first: Any, second: Any) -> Triple:
            value, slope, bend, third = _shape(z, activation)
            ctx.save_for_backward(first, second, slope, bend, third)
            along = first[axes]
            return value, slope * first, bend * along * along + slope * second

        @staticmethod
        @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator]
        def backward(ctx: Any, g: Any, g_first: Any, g_second: Any) -> Triple:
            first, second, slope, bend, third = ctx.saved_tensors
            along = first[axes]
            back = g * slope + bend * (g_first * first).sum(0)
            back += (g_second * (third * along * along + bend * second)).sum(0)
            back_first = slope * g_first
            back_first[axes] += 2.0 * bend * along * g_second
            return back, back_first, slope * g_second

    found: Triple = Bent.apply(*h)
    return found
