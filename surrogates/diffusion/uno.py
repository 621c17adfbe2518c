"""The network of a learned prior on any grid: spectral layers of cosines, in a U.

Layers act on the cosine series of their input, whose coefficients belong to the domain and not to
its grid, and go from one grid to another by them. Weights that were trained on one grid thus stand
for the same operator on another one, with the aliasing of short waves as their only difference.

References: Li et al. (2021), Fourier neural operator; Rahman, Ross and Azizzadenesheli (2023),
U-NO: U-shaped neural operators.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np

from pdeinv.typing import Array

from ..common.normalization import group_norm
from ..common.torch_env import built, torch
from .cosines import cosine_matrix
from .film import LEAST, film, moved, teller, zeroed

__all__ = ["uno"]

FEWEST = 4
"""Modes that the coarsest layers keep along an axis."""


def uno(width: int, scales: int, modes: int, numbers: int) -> Any:
    """From images (batch, 2, y, x) and the level to (batch, y, x); zero before it is trained.

    Args:
        width: channels of the finest scale; coarser ones have twice as many.
        scales: grids, each half as fine as the one before.
        modes: that layers of the finest scale keep along an axis; half as many on each coarser one.
        numbers: that tell the level.
    """
    widths = [width, *[2 * width] * (scales - 1)]
    kept = [max(FEWEST, modes >> i) for i in range(scales)]
    nn, told = torch.nn, 4 * width
    down = zip(pairwise([width, *widths]), kept, strict=True)
    up = zip([*widths[1:], widths[-1]], widths, kept, strict=True)
    parts = {
        "told": teller(numbers, told),
        "first": nn.Conv2d(2, width, 1),
        "down": nn.ModuleList(_block(a, b, k, told) for (a, b), k in down),
        "middle": _block(widths[-1], widths[-1], kept[-1], told),
        "up": nn.ModuleList(_block(a + b, b, k, told) for a, b, k in up),
        "norm": group_norm(width, LEAST),
        "last": zeroed(nn.Conv2d(width, 1, 1)),
    }
    return built(_through, parts)


def _through(module: Any, pair: tuple[Any, Any]) -> Any:
    """Down to the coarsest grid and up again, with what each scale was on the way."""
    images, level = pair
    told, n = module.told(level), len(module.down)
    grids = [tuple(_coarser(k, i) for k in images.shape[2:]) for i in range(n)]
    x, seen = module.first(images), []
    for block, grid in zip(module.down, grids, strict=True):
        x = block((_resampled(x, grid), told))
        seen.append(x)
    x = module.middle((x, told))
    for i in reversed(range(n)):
        x = module.up[i]((torch.cat([_resampled(x, grids[i]), seen[i]], dim=1), told))
    x = module.last(torch.nn.functional.silu(module.norm(x)))
    return x[:, 0]


def _coarser(nodes: int, scale: int) -> int:
    """Nodes along an axis, ends included, of a grid that is 2^scale times as coarse."""
    return int(-(-(nodes - 1) // 2**scale)) + 1


def _block(n_in: int, n_out: int, modes: int, told: int) -> Any:
    """x + f(x) with a spectral layer and one node by node, the middle moved by the level."""
    nn = torch.nn
    spread = n_in**-0.5
    parts = {
        "norm_in": group_norm(n_in, LEAST),
        "modes": nn.Parameter(spread * torch.randn(n_in, n_out, modes, modes)),
        "nodes": nn.Conv2d(n_in, n_out, 1),
        "film": film(told, n_out),
        "norm_out": group_norm(n_out, LEAST),
        "out": nn.Conv2d(n_out, n_out, 1),
        "past": nn.Identity() if n_in == n_out else nn.Conv2d(n_in, n_out, 1),
    }

    def forward(module: Any, pair: tuple[Any, Any]) -> Any:
        x, level = pair
        inner = torch.nn.functional.silu(module.norm_in(x))
        inner = _spectral(inner, module.modes) + module.nodes(inner)
        inner = moved(module.norm_out(inner), module.film(level))
        return module.past(x) + module.out(torch.nn.functional.silu(inner))

    return built(forward, parts)


def _spectral(x: Any, weights: Any) -> Any:
    """Coefficients of the longest waves, mixed between channels, wave by wave."""
    rows, columns = x.shape[2:]
    up, across = (min(n, weights.shape[2]) for n in (rows, columns))
    modes = _coefficients(x, up, across)
    mixed = torch.einsum("bikl,iokl->bokl", modes, weights[:, :, :up, :across])
    return _values(mixed, (rows, columns))


def _resampled(x: Any, grid: tuple[int, ...]) -> Any:
    """Images on another grid: their cosine series there, cut to the waves that it has."""
    rows, columns = x.shape[2:]
    if (rows, columns) == grid:
        return x
    return _values(_coefficients(x, min(rows, grid[0]), min(columns, grid[1])), grid)


def _coefficients(x: Any, up: int, across: int) -> Any:
    """Of so many cosines along each axis, (batch, channels, up, across)."""
    rows, columns = (_analysis(n) for n in x.shape[2:])
    return _as(rows[:up], x) @ x @ _as(columns[:across], x).T


def _values(modes: Any, grid: tuple[int, ...]) -> Any:
    """Of a cosine series at the nodes of a grid."""
    up, across = modes.shape[2:]
    rows, columns = (cosine_matrix(n) for n in grid)
    return _as(rows[:, :up], modes) @ modes @ _as(columns[:, :across], modes).T


@lru_cache(maxsize=32)
def _analysis(n: int) -> Array:
    """From values at n nodes to coefficients of n cosines."""
    return np.linalg.inv(cosine_matrix(n))


def _as(matrix: Array, like: Any) -> Any:
    return torch.as_tensor(np.ascontiguousarray(matrix), dtype=like.dtype, device=like.device)
