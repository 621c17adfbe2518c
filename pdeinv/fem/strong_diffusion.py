"""The strong form of ∇·(k∇u) and of fluxes through the sides of a box."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pdeinv.bayes.prior import FieldPrior, Prior
from pdeinv.errors import ConfigError
from pdeinv.fem.spacetime import SpaceTime
from pdeinv.fem.splines import spline_field
from pdeinv.model.coefficient import Affine
from pdeinv.model.observed import Sensors
from pdeinv.model.sensors import points_of
from pdeinv.model.spaces import Variable
from pdeinv.model.strong_form import Box, Coefficients, Derivatives, Side
from pdeinv.typing import Array

__all__ = [
    "divergence",
    "known_field",
    "length_of",
    "outward_flux",
    "prescribed",
    "require_smooth",
    "rms",
    "samples",
    "smooth_field",
    "typical_of",
    "values_at",
]

Reader = Callable[[Derivatives], Any]
JUMPS = ("piecewise", "two-phase", "level-set")


def require_smooth(prior: Prior, config: Any, what: str) -> None:
    """Refuse a coefficient whose derivative the strong form needs and which has none.

    Raises:
        ConfigError: the field jumps, or lives on the nodes of a mesh.
    """
    kind, cells = config.kind, getattr(config, "cells", None)
    if kind in JUMPS or (kind == "uniform" and cells is not None):
        raise ConfigError(
            f"the {what} of kind '{kind}' jumps between cells or phases, where the strong form "
            "does not hold; use a log-gaussian field or one number, or a finite-element method"
        )
    if not isinstance(prior, FieldPrior) or getattr(config, "representation", "") == "spde":
        raise ConfigError(
            f"the {what} lives on the nodes of a mesh, where its gradient jumps; use "
            "representation 'kl' or 'fft' for the strong form"
        )


def smooth_field(name: str, variable: Variable, points: Array) -> Coefficients:
    """An unknown field with its slopes ``name_0``, ``name_1``, ... at points (n, d).

    A field on a grid is its cubic spline, which differs from the bilinear interpolation of the
    finite-element models by O(h²) of the grid; a single number has slopes zero.
    """
    d = points.shape[1]
    if not variable.dims:
        zero = np.zeros(len(points))
        flat: Coefficients = {name: Affine(np.ones((len(points), 1)))}
        return {**flat, **{f"{name}_{i}": zero for i in range(d)}}
    axes = [variable.coords[dim][1] for dim in variable.dims[::-1]]
    slopes = {f"{name}_{i}": spline_field(axes, points, along=i) for i in range(d)}
    return {name: spline_field(axes, points), **slopes}


def known_field(name: str, function: SpaceTime, points: Array) -> Coefficients:
    """A known field with its slopes at points (n, d), in the same layout."""
    d = points.shape[1]
    if not isinstance(function.value, str):
        slopes = {f"{name}_{i}": np.zeros(len(points)) for i in range(d)}
        return {name: function(points), **slopes}
    import torch

    x = torch.as_tensor(points, dtype=torch.float64).requires_grad_()
    value = function.tensors(x)
    grad = torch.zeros_like(x)
    if value.requires_grad:
        (grad,) = torch.autograd.grad(value.sum(), x)
    return {
        name: value.detach().numpy().copy(),
        **{f"{name}_{i}": grad[:, i].numpy().copy() for i in range(d)},
    }


def divergence(u: Derivatives, c: Mapping[str, Any], name: str, d: int) -> Any:
    """∇·(k∇u) = k Δu + ∇k·∇u."""
    laplacian: Any = sum(u.second(i) for i in range(d))
    return c[name] * laplacian + sum(c[f"{name}_{i}"] * u.first(i) for i in range(d))


def length_of(box: Box) -> float:
    """The length that counts for diffusion, 1/L² = Σ 1/L_i²."""
    return float(sum((b - a) ** -2 for a, b in box) ** -0.5)


def typical_of(prior: Prior) -> float:
    """The geometric mean of a positive field at xi = 0."""
    return float(np.exp(np.mean(np.log(prior.unwhiten(np.zeros(prior.dim))))))


def prescribed(function: SpaceTime) -> Callable[[Any], Any]:
    """A known function on a side as a tensor (n, 1) of points."""
    return lambda points: function.tensors(points)[:, None]


def values_at(axes: tuple[str, ...]) -> Callable[[Sensors], tuple[Array, Reader]]:
    """How data that are values of u at sensors with these coordinates are read off."""
    return lambda sensors: (points_of(sensors, axes), lambda u: u.value[:, 0])


def outward_flux(u: Derivatives, k: Any, side: Side) -> Any:
    """−k ∂u/∂n."""
    return -side.outward * k * u.first(side.axis)


def rms(values: Array) -> float:
    """The root mean square."""
    return float(np.sqrt(np.mean(np.square(values))))


def samples(box: Box, n: int = 12) -> Array:
    """Midpoints of a regular grid of the box, to learn how large functions are."""
    axes = [a + (b - a) * (np.arange(n) + 0.5) / n for a, b in box]
    return np.stack([g.ravel() for g in np.meshgrid(*axes, indexing="ij")], axis=1)
