"""The networks from inputs to mean and variance of ξ, and their loss.

An input is the level of the noise, then an image or a vector, in one row. Images go through
residual convolutions of stride two without normalisation of batches, vectors through linear layers.

References: He, Zhang, Ren and Sun (2016), Deep residual learning for image recognition; Nix and
Weigend (1994), Estimating the mean and variance of the target probability distribution.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

from ..common.torch_env import built, torch

__all__ = ["build", "gaussian_loss"]

LIMIT = 8.0
"""Of |ln variance|; the prior has 0."""


def build(shape: tuple[int, ...], dim: int, width: int, widths: tuple[int, ...]) -> Any:
    """The network from (batch, 1 + inputs) to (batch, 2 dim): means, then ln of variances.

    Args:
        shape: (channels, ...) of an image in two or three dimensions, or one length.
        dim: of ξ.
        width: channels of the first convolution.
        widths: of the linear layers.
    """
    if len(shape) == 1:
        return built(_of_vector, {"head": _linear(1 + shape[0], widths, 2 * dim)})
    d, sizes = len(shape) - 1, shape[1:]
    first, second = (_block(d, a, b) for a, b in pairwise([shape[0], width, 2 * width]))
    for _ in range(2):
        sizes = tuple(-(-n // 2) for n in sizes)
    flat = 2 * width * math.prod(sizes)
    reduce = torch.nn.Linear(flat, widths[0])
    head = _linear(1 + widths[0], widths[1:], 2 * dim)

    def of_image(module: Any, x: Any) -> Any:
        image = x[:, 1:].reshape(len(x), *shape)
        found = module.second(module.first(image)).flatten(1)
        found = torch.nn.functional.silu(module.reduce(found))
        return _bounded(module.head(torch.cat([x[:, :1], found], dim=1)))

    return built(of_image, {"first": first, "second": second, "reduce": reduce, "head": head})


def _of_vector(module: Any, x: Any) -> Any:
    return _bounded(module.head(x))


def _bounded(found: Any) -> Any:
    """Means as they are, ln of variances within limits that have a slope everywhere."""
    mean, logs = found.chunk(2, dim=1)
    return torch.cat([mean, LIMIT * torch.tanh(logs / LIMIT)], dim=1)


def _linear(n_in: int, widths: tuple[int, ...], n_out: int) -> Any:
    layers: list[Any] = []
    for a, b in pairwise([n_in, *widths, n_out]):
        layers += [torch.nn.Linear(a, b), torch.nn.SiLU()]
    return torch.nn.Sequential(*layers[:-1])


def _block(d: int, n_in: int, n_out: int) -> Any:
    """Half the places along each axis, then x + f(x) with two convolutions."""
    conv = torch.nn.Conv2d if d == 2 else torch.nn.Conv3d
    inner = torch.nn.Sequential(
        conv(n_out, n_out, 3, padding=1), torch.nn.SiLU(), conv(n_out, n_out, 3, padding=1)
    )

    def forward(module: Any, x: Any) -> Any:
        down = torch.nn.functional.silu(module.down(x))
        return torch.nn.functional.silu(down + module.inner(down))

    return built(forward, {"down": conv(n_in, n_out, 3, stride=2, padding=1), "inner": inner})


def gaussian_loss(predicted: Any, target: Any) -> Any:
    """-ln N(ξ; mean, variance) without its constant, a mean over samples of the sum over ξ."""
    mean, logs = predicted.chunk(2, dim=1)
    return 0.5 * (logs + (target - mean).square() * torch.exp(-logs)).sum(dim=1).mean()
