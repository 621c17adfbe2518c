"""A U-Net that is a bijection between images of one shape: the same weights there and back.

At each resolution stand additive couplings: of two halves of the channels one is changed by a
network of the other, a ← a + F(b), b ← b + G(a), which is undone by subtraction. Half of the
channels go on to the next resolution, each square of four nodes as four channels of one, so that no
number is lost; they come back the same way. The inverse is exact but for rounding.

References: Dinh, Krueger and Bengio (2015), NICE: non-linear independent components estimation;
Etmann, Ke and Schönlieb (2020), iUNets: learnable invertible up- and downsampling for large-scale
inverse problems.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..common.torch_env import built, torch
from .array_reader import bent

__all__ = ["InvertibleSize", "back", "invertible", "there"]

SMALL = 0.1
"""What the last layer of a coupling is multiplied by at the start."""


@dataclass(frozen=True)
class InvertibleSize:
    """What a bijection is built of.

    Attributes:
        channels: of its images, even.
        depth: how often half of the channels are halved in resolution.
        couplings: pairs at each resolution, on the way down and on the way up.
    """

    channels: int
    depth: int
    couplings: int


def invertible(size: InvertibleSize) -> Any:
    """The weights that :func:`there` and :func:`back` share."""
    levels = [size.channels * 2**k for k in range(size.depth + 1)]
    down = [_pairs(c, size.couplings) for c in levels]
    up = [_pairs(c, size.couplings) for c in levels[:-1]]
    parts = {"down": torch.nn.ModuleList(down), "up": torch.nn.ModuleList(up)}
    return built(there, parts)


def _pairs(channels: int, couplings: int) -> Any:
    """Networks F, G, F, G, ... of half of the channels."""
    return torch.nn.ModuleList(_coupling(channels // 2) for _ in range(2 * couplings))


def _coupling(channels: int) -> Any:
    last = torch.nn.Conv2d(channels, channels, 3, 1, 1)
    with torch.no_grad():
        for weights in last.parameters():
            weights.mul_(SMALL)
    return torch.nn.Sequential(*bent(torch.nn.Conv2d(channels, channels, 3, 1, 1), channels), last)


def there(module: Any, z: Any, k: int = 0) -> Any:
    """Images (batch, channels, y, x) to images of that shape; y and x multiples of 2^depth."""
    z = _coupled(module.down[k], z)
    if k == len(module.up):
        return z
    kept, deep = z.chunk(2, dim=1)
    deep = there(module, torch.nn.functional.pixel_unshuffle(deep, 2), k + 1)
    deep = torch.nn.functional.pixel_shuffle(deep, 2)
    return _coupled(module.up[k], torch.cat([kept, deep], dim=1))


def back(module: Any, z: Any, k: int = 0) -> Any:
    """The inverse of :func:`there`."""
    if k < len(module.up):
        kept, deep = _uncoupled(module.up[k], z).chunk(2, dim=1)
        deep = back(module, torch.nn.functional.pixel_unshuffle(deep, 2), k + 1)
        z = torch.cat([kept, torch.nn.functional.pixel_shuffle(deep, 2)], dim=1)
    return _uncoupled(module.down[k], z)


def _coupled(networks: Any, z: Any) -> Any:
    a, b = z.chunk(2, dim=1)
    for one in networks:
        a, b = b, a + one(b)
    return torch.cat([a, b], dim=1)


def _uncoupled(networks: Any, z: Any) -> Any:
    a, b = z.chunk(2, dim=1)
    for one in reversed(networks):
        a, b = b - one(a), a
    return torch.cat([a, b], dim=1)
