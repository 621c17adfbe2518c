"""The network of a learned prior: a Wiener filter, and a backbone for what it cannot know.

D(y, s) = W y + e(s) F: W is the best linear denoiser mode by mode, e(s) the root mean square error
that it would have of a Gaussian, F a backbone that sees W y, y and ln s. So F has to be of unit
size at every level, as in the preconditioning of Karras et al. (2022), whose part the filter takes
here, and a network that has learned nothing is the Wiener filter.

Reference: Karras, Aittala, Aila and Laine (2022), Elucidating the design space of diffusion-based
generative models.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..common.torch_env import built, torch
from .cosines import LOG_CENTRE, LOG_SPREAD, Cosines
from .unet import unet
from .uno import uno

__all__ = ["Backbone", "build", "denoised", "level_loss"]

WAVES = 4
"""Pairs of sine and cosine of the level that blocks see, beside itself."""

FARTHEST = 3.0
"""Levels farther than this from the middle of the trained ones, in their spread, count as that."""


@dataclass(frozen=True)
class Backbone:
    """What learns beyond the Wiener filter.

    Attributes:
        kind: ``unet`` of convolutions between nodes, or ``uno`` of spectral layers.
        width: channels of the finest scale; coarser ones have twice as many.
        scales: grids, each half as fine as the one before.
        modes: cosines that spectral layers keep along an axis.
    """

    kind: str
    width: int
    scales: int
    modes: int

    def built(self) -> Any:
        """From images (batch, 2, y, x) and the level to (batch, y, x); zero before training."""
        numbers = 1 + 2 * WAVES
        if self.kind == "uno":
            return uno(self.width, self.scales, self.modes, numbers)
        return unet(self.width, self.scales, numbers)


def build(cosines: Cosines, backbone: Backbone, trained: Cosines | None = None) -> Any:
    """From (batch, 1 + p), level and ζ, to (batch, p + 1): scaled fields, then their weight.

    Args:
        cosines: the coordinates.
        backbone: what is trained.
        trained: coordinates of the training where they are others; its scales stay.
    """
    rows, columns = cosines.shape
    trained = trained or cosines
    size, buffers = trained.size, _buffers(cosines, trained)

    def forward(module: Any, x: Any) -> Any:
        level = x[:, :1, None]
        zeta = x[:, 1:].reshape(len(x), rows, columns)
        first, more, error = _parts(module, zeta, level, size)
        clean = (first + error * more) / size
        weight = (size / error) ** 2
        return torch.cat([clean.flatten(1), weight.flatten(1)], dim=1)

    # the name of the first kind, under which weights are kept
    return built(forward, {"unet": backbone.built()}, buffers)


def _buffers(cosines: Cosines, trained: Cosines) -> dict[str, Any]:
    """What the network knows of the coordinates; stored with them and not with its weights."""
    up, across = cosines.matrices
    known = {
        "up": up,
        "across": across,
        "up_back": np.linalg.inv(up),
        "across_back": np.linalg.inv(across),
        "amplitude": cosines.amplitude,
        "variance": cosines.variance,
        "trained_variance": trained.variance,
        "trained_power": trained.power,
    }
    return {k: torch.as_tensor(np.ascontiguousarray(v)) for k, v in known.items()}


def _parts(module: Any, zeta: Any, level: Any, size: float) -> tuple[Any, Any, Any]:
    """The filtered field, what the backbone adds in units of the filter's error, and that error."""
    known = {k: v.to(zeta.dtype) for k, v in module.named_buffers(recurse=False)}
    kept = known["variance"] / (known["variance"] + level**2)
    power, variance = known["trained_power"], known["trained_variance"]
    total = variance + level**2
    error = (power * (variance / total) * level**2).sum(dim=(1, 2), keepdim=True).sqrt()
    noisy_size = (power * total).sum(dim=(1, 2), keepdim=True).sqrt()
    modes = known["amplitude"] * zeta
    both = torch.stack([kept * modes, modes], dim=1)
    first, noisy = (known["up"] @ both @ known["across"].T).unbind(dim=1)
    images = torch.stack([first / size, noisy / noisy_size], dim=1)
    more = module.unet((images, _told(level[:, :, 0])))
    return first, more, error


def _told(level: Any) -> Any:
    """A level as numbers, (batch, 1 + 2 WAVES)."""
    t = ((level.log() - LOG_CENTRE) / LOG_SPREAD).clamp(-FARTHEST, FARTHEST)
    waves = [f(0.5 * k * t) for k in range(1, WAVES + 1) for f in (torch.sin, torch.cos)]
    return torch.cat([t, *waves], dim=1)


def denoised(module: Any, zeta: Any, level: float, shape: tuple[int, int], size: float) -> Any:
    """ζ (batch, p) denoised, by a network in the type of ``zeta``.

    Args:
        module: of :func:`build`.
        zeta: on a grid of that ``shape``.
        level: of the noise.
        shape: rows and columns.
        size: of the training's fields, which the network's are scaled by.
    """
    rows, columns = shape
    x = torch.cat([torch.full_like(zeta[:, :1], level), zeta], dim=1)
    clean = size * module(x)[:, :-1].reshape(len(zeta), rows, columns)
    modes = module.up_back.to(zeta.dtype) @ clean @ module.across_back.to(zeta.dtype).T
    return (modes / module.amplitude.to(zeta.dtype)).flatten(1)


def level_loss(predicted: Any, target: Any) -> Any:
    """The mean squared error of the fields at each level in units of the Wiener filter's."""
    clean, weight = predicted[:, :-1], predicted[:, -1]
    return (weight * (clean - target).square().mean(dim=1)).mean()
