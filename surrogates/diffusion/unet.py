"""The network of a learned prior on the grid of its training: a U-Net.

Reference: Ronneberger, Fischer and Brox (2015), U-Net.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from ..common.normalization import group_norm
from ..common.torch_env import built, torch
from .film import LEAST, film, moved, teller, zeroed

__all__ = ["unet"]


def unet(width: int, scales: int, numbers: int) -> Any:
    """From images (batch, 2, y, x) and the level to (batch, y, x); zero before it is trained.

    Args:
        width: channels of the finest scale; coarser ones have twice as many.
        scales: grids, each half as fine as the one before.
        numbers: that tell the level.
    """
    widths = [width, *[2 * width] * (scales - 1)]
    told = 4 * width
    nn = torch.nn
    parts = {
        "told": teller(numbers, told),
        "first": nn.Conv2d(2, width, 3, padding=1),
        "down": nn.ModuleList(_block(a, b, told) for a, b in pairwise([width, *widths])),
        "middle": _block(widths[-1], widths[-1], told),
        "up": nn.ModuleList(
            _block(a + b, b, told) for a, b in zip([*widths[1:], widths[-1]], widths, strict=True)
        ),
        "norm": group_norm(width, LEAST),
        "last": zeroed(nn.Conv2d(width, 1, 3, padding=1)),
    }
    return built(_through, parts)


def _through(module: Any, pair: tuple[Any, Any]) -> Any:
    """Down to the coarsest grid and up again, with what each scale was on the way."""
    images, level = pair
    told = module.told(level)
    rows, columns = images.shape[2:]
    multiple = 2 ** (len(module.down) - 1)
    more = (-columns % multiple, -rows % multiple)
    x = torch.nn.functional.pad(images, (0, more[0], 0, more[1]), mode="replicate")
    x, seen = module.first(x), []
    for i, block in enumerate(module.down):
        x = block((x if i == 0 else torch.nn.functional.avg_pool2d(x, 2), told))
        seen.append(x)
    x = module.middle((x, told))
    for i in reversed(range(len(module.up))):
        x = module.up[i]((torch.cat([x, seen[i]], dim=1), told))
        if i > 0:
            x = torch.nn.functional.interpolate(x, scale_factor=2, mode="nearest")
    x = module.last(torch.nn.functional.silu(module.norm(x)))
    return x[:, 0, :rows, :columns]


def _block(n_in: int, n_out: int, told: int) -> Any:
    """x + f(x) with two convolutions, the middle scaled and shifted by the level."""
    nn = torch.nn
    parts = {
        "norm_in": group_norm(n_in, LEAST),
        "conv_in": nn.Conv2d(n_in, n_out, 3, padding=1),
        "film": film(told, n_out),
        "norm_out": group_norm(n_out, LEAST),
        "conv_out": nn.Conv2d(n_out, n_out, 3, padding=1),
        "past": nn.Identity() if n_in == n_out else nn.Conv2d(n_in, n_out, 1),
    }

    def forward(module: Any, pair: tuple[Any, Any]) -> Any:
        x, level = pair
        inner = module.conv_in(torch.nn.functional.silu(module.norm_in(x)))
        inner = moved(module.norm_out(inner), module.film(level))
        return module.past(x) + module.conv_out(torch.nn.functional.silu(inner))

    return built(forward, parts)
