"""A U-Net with integral attention between its resolutions.

Encoder and decoder are two convolutions with group normalisation at each resolution, halved by
means and doubled by bilinear interpolation. Attention is without softmax: with queries q, keys k
and values v at the nodes x, and weights w(x) that are 1/area in the body,

    v(x) + O ∫ (q(x)·k(y)) v(y) w(y) dy = v(x) + O q(x)ᵀ ∫ k(y) v(y)ᵀ w(y) dy,

which costs as many operations as there are nodes. 'fourier' normalises q and k, 'galerkin' k and v.
It stands at the coarsest resolution (q, k, v of the same features) and where the decoder joins the
encoder (q, k of the coarse features, v of the fine). Without attention features are joined as they
are: the plain U-Net.

References: Ronneberger, Fischer and Brox (2015), U-Net; Cao (2021), Choose a transformer: Fourier
or Galerkin; Guo, Cao and Chen (2023), Transformer meets boundary value inverse problems.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from ..common.normalization import group_norm
from ..common.torch_env import built, torch

__all__ = ["Attention", "UnetSize", "unet"]

Attention = Literal["fourier", "galerkin"]
"""Which two of queries, keys and values are normalised."""

SMALL = 0.1
"""What the last layer of an attention is multiplied by at the start."""


@dataclass(frozen=True)
class UnetSize:
    """What a network is built of.

    Attributes:
        inputs: channels of the input.
        width: channels at the finest resolution; doubled at each coarser one.
        depth: how often the resolution is halved.
        attention: its kind; None for the plain U-Net.
        heads: of the attention.
        outputs: channels of the output.
    """

    inputs: int
    width: int
    depth: int
    attention: Attention | None
    heads: int
    outputs: int = 1


def unet(size: UnetSize, inside: Any) -> Any:
    """The network from (batch, inputs, y, x) to (batch, outputs, y, x).

    Args:
        size: of the network.
        inside: 1 in the body, shape (y, x).
    """
    widths = [size.width * 2**k for k in range(size.depth + 1)]
    down = [_block(a, b) for a, b in zip([size.width, *widths], widths, strict=False)]
    up = [_block(a + b, a) for a, b in pairwise(widths)]
    attend = [
        _attention(size, b, a) for a, b in zip(widths, [*widths[1:], widths[-1]], strict=True)
    ]
    parts = {
        "lift": torch.nn.Conv2d(size.inputs, size.width, 1),
        "down": torch.nn.ModuleList(down),
        "up": torch.nn.ModuleList(up),
        "attend": torch.nn.ModuleList(a for a in attend if a is not None),
        "last": torch.nn.Conv2d(size.width, size.outputs, 1),
    }

    def forward(module: Any, x: Any) -> Any:
        return _through(module, x, size.depth)

    return built(forward, parts, {"inside": torch.as_tensor(inside, dtype=torch.float64)})


def _through(module: Any, x: Any, depth: int) -> Any:
    """Down, and up again along the same resolutions."""
    halved, inside = torch.nn.functional.avg_pool2d, module.inside.to(x.dtype)[None, None]
    x, skips, weights = module.lift(x), [], [inside]
    for k in range(depth):
        x = module.down[k](x)
        skips.append(x)
        x = halved(x, 2, ceil_mode=True)
        weights.append(halved(weights[-1], 2, ceil_mode=True))
    x = module.down[depth](x)
    attends = len(module.attend) > 0
    if attends:
        x = module.attend[depth](x, x, weights[depth])
    for k in reversed(range(depth)):
        skip = skips[k]
        x = torch.nn.functional.interpolate(x, size=skip.shape[2:], mode="bilinear")
        skip = module.attend[k](x, skip, weights[k]) if attends else skip
        x = module.up[k](torch.cat([x, skip], dim=1))
    return module.last(x)


def _block(n_in: int, n_out: int) -> Any:
    layers: list[Any] = []
    for a in (n_in, n_out):
        conv = torch.nn.Conv2d(a, n_out, 3, padding=1)
        layers += [conv, group_norm(n_out), torch.nn.GELU()]
    return torch.nn.Sequential(*layers)


def _attention(size: UnetSize, asking: int, valued: int) -> Any:
    """From features that ask, features that answer, and weights of nodes; None without."""
    if size.attention is None:
        return None
    heads = next(h for h in range(min(size.heads, valued), 0, -1) if valued % h == 0)
    shape = (heads, valued // heads)
    query, key, value = (torch.nn.Conv2d(n, valued, 1) for n in (asking, asking, valued))
    one, two = (torch.nn.LayerNorm(shape[1]) for _ in range(2))
    out = torch.nn.Conv2d(valued, valued, 1)
    with torch.no_grad():
        for weights in out.parameters():
            weights.mul_(SMALL)
    fourier = size.attention == "fourier"

    def tokens(x: Any) -> Any:
        return x.flatten(2).reshape(len(x), *shape, -1).transpose(2, 3)

    class Integral(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.query, self.key, self.value, self.out = query, key, value, out
            self.one, self.two = one, two

        def forward(self, asks: Any, values: Any, inside: Any) -> Any:
            q, k = tokens(self.query(asks)), tokens(self.key(asks))
            v = tokens(self.value(values))
            q, k, v = (self.one(q), self.two(k), v) if fourier else (q, self.one(k), self.two(v))
            weight = inside.flatten()[:, None] / inside.sum()
            found = q @ ((k * weight).transpose(2, 3) @ v)
            return values + self.out(found.transpose(2, 3).reshape(values.shape))

    return Integral()
