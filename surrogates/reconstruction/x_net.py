"""Latent images of data and body with one bijection between them, used both ways.

Encoder and decoder of the data's array and of the image lead to latent images of one shape and
back; an invertible U-Net (:mod:`.invertible`) translates between them. From data to image it is
used as it stands, from image to data the other way round, so that both directions share its
weights and each is trained by what the other learns:

    image = D_x(T(E_d(data, noise))),   data = D_d(T⁻¹(E_x(image))).

The loss is the mean |error| of the scaled image plus ``forward`` times that of the scaled data
without noise; ``forward = 0`` trains the inverse alone, the publication's control.

Unlike there noise is drawn in training and its level is an input, groups are normalised, and the
loss has no squared part and no part for cycles.

Reference: Gupta et al. (2025), A unified framework for forward and inverse problems in subsurface
imaging using latent space translations (Invertible X-Net).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

import numpy as np
from pydantic import Field

from pdeinv.config import Width
from pdeinv.errors import ShapeError
from pdeinv.typing import Array

from ..common.lesson import Lesson
from ..common.record import Judgement, heldout_errors
from ..common.split import Index
from ..common.torch_env import built, torch
from ..training.config import Data
from ..training.redrawn import Beside
from ..training.weights import answers
from .array_reader import (
    ArrayReader,
    ArrayReaderConfig,
    Scaled,
    Size,
    assembled,
    bent,
    coarse,
    image_of,
    strides,
    table,
)
from .invertible import InvertibleSize, back, invertible, there
from .labels import images_of
from .latent_unet import array_encoder, image_decoder, resampled
from .members import Members, Teaching
from .networks import BLOCK
from .rule import Course

__all__ = ["XNet", "XNetConfig"]


class XNetConfig(ArrayReaderConfig):
    """Options of ``x-net``."""

    width: Width = Field(
        16, description="channels of the widest arrays and of the latent images; odd counts as even"
    )
    latent: int = Field(
        20, ge=2, le=1024, description="nodes of a latent image along its longer axis, about"
    )
    depth: int = Field(2, ge=1, le=5, description="how often the bijection halves latent images")
    couplings: int = Field(
        2, ge=1, le=64, description="pairs of couplings at each resolution, down and up"
    )
    forward: float = Field(
        1.0, ge=0, description="weight of the error of data predicted from images"
    )

    @property
    def channels(self) -> int:
        """Of latent images."""
        return self.width + self.width % 2


def _latent(size: Size) -> tuple[tuple[int, int], int]:
    """Nodes of latent images, multiples of what the bijection halves, and halvings to the image."""
    at, times = coarse(size.shape, size.config.latent)
    unit = 2**size.config.depth
    return (-(-at[0] // unit) * unit, -(-at[1] // unit) * unit), times


def _lengths(size: Size, at: tuple[int, int]) -> list[tuple[int, int]]:
    """Rows and columns of the array after every step of its encoder, the whole first."""
    found = [size.gather.shape[1:]]
    for step in strides(*found[0], max(at)):
        found.append((-(-found[-1][0] // step[0]), -(-found[-1][1] // step[1])))
    return found


def _array_decoder(size: Size, at: tuple[int, int]) -> Any:
    """From latent images to the array (batch, experiments, rows, columns)."""
    lengths, layers, before = _lengths(size, at), [], size.config.channels
    for k in reversed(range(len(lengths))):
        after = size.channels(k)
        layers += [torch.nn.Sequential(*bent(torch.nn.Conv2d(before, after, 3, 1, 1), after))]
        before = after

    def forward(module: Any, z: Any) -> Any:
        for one, length in zip(module.layers, reversed(lengths), strict=True):
            z = one(resampled(z, length))
        return module.last(z)

    last = torch.nn.Conv2d(before, size.gather.shape[0], 3, 1, 1)
    return built(forward, {"layers": torch.nn.ModuleList(layers), "last": last})


def _image_encoder(size: Size, at: tuple[int, int], times: int) -> Any:
    """From (batch, 1, y, x) to latent images."""
    channels = size.config.channels
    layers = bent(torch.nn.Conv2d(1, channels, 3, 1, 1), channels)
    for _ in range(times):
        layers += bent(torch.nn.Conv2d(channels, channels, 3, 2, 1), channels)
    inner = torch.nn.Sequential(*layers, torch.nn.Conv2d(channels, channels, 3, 1, 1))

    def forward(module: Any, x: Any) -> Any:
        return resampled(module.inner(x), at)

    return built(forward, {"inner": inner})


def told(module: Any, images: Any) -> Any:
    """Scaled data (batch, n_obs) that scaled images (batch, p) make."""
    z = module.image_encoder(images.reshape(-1, 1, *module.size.shape))
    cells = module.data_decoder(back(module.translation, z)).flatten(1)
    return cells.index_select(1, module.place)


def _both(size: Size) -> Callable[[Any, Any], Any]:
    """Images of level and data; where images stand beside them, their data behind."""
    width = 1 + len(size.gather.place)

    def forward(module: Any, x: Any) -> Any:
        seen = table(module, x[:, 1:width], x[:, :1], size)
        z = there(module.translation, module.data_encoder(seen))
        image = image_of(module, module.image_decoder(z), size)
        if x.shape[1] == width:
            return image
        return torch.cat([image, told(module, x[:, width:])], dim=1)

    return forward


def _loss(p: int, weight: float, predicted: Any, target: Any) -> Any:
    """Mean |error| of p numbers of an image, and ``weight`` times that of the data behind them."""
    off = (predicted - target).abs()
    return off[:, :p].mean() + weight * off[:, p:].mean()


@dataclass(frozen=True)
class XNet(ArrayReader):
    """Latent images of data and body with one invertible network between them, both ways."""

    name = "x-net"
    Config = XNetConfig

    @classmethod
    def parts(cls, size: Size) -> Mapping[str, Any]:
        """Encoders and decoders of both, and the bijection."""
        config, (at, times) = size.config, _latent(size)
        return {
            "data_encoder": array_encoder(size, at, config.channels),
            "translation": invertible(
                InvertibleSize(config.channels, config.depth, config.couplings)
            ),
            "image_decoder": image_decoder(config.channels, times),
            "image_encoder": _image_encoder(size, at, times),
            "data_decoder": _array_decoder(size, at),
        }

    @classmethod
    def network(cls, size: Size) -> Any:
        """From level and scaled data, and images where there are any, to images, and data."""
        return assembled(size, cls.parts(size), _both(size))

    @classmethod
    def teaching(cls, course: Course, raw: Members) -> Teaching:
        """Images are shown beside the data, and data without noise are asked for as well."""
        scale = cast(Scaled, raw.reader).data

        def paired(data: Data, mine: Index, stop: Index) -> Data:
            clean = [scale(course.values(rows)) for rows in (mine, stop)]
            return Data(
                Beside(data.train_x, data.train_y),
                np.concatenate([data.train_y, clean[0]], axis=1),
                np.concatenate([data.valid_x, data.valid_y], axis=1),
                np.concatenate([data.valid_y, clean[1]], axis=1),
            )

        config = course.lesson.config
        loss = partial(_loss, len(raw.scale.mean), config.forward)
        return Teaching(cls.name, config.members, paired=paired, loss=loss)

    def predicted(self, images: Array) -> Array:
        """The data at all trained sensors that images make, without noise.

        Args:
            images: coefficients at the nodes of the training's grid, shape (n, p).

        Returns:
            Shape (n, n_obs), in the units of the data.

        Raises:
            ShapeError: images of another size.
        """
        rule = cast(Members, self.rule)
        images, p = np.atleast_2d(np.asarray(images, dtype=np.float64)), len(rule.scale.mean)
        if images.ndim != 2 or images.shape[1] != p:
            raise ShapeError(f"expected images of {p} nodes, got the shape {images.shape}")
        scale, inputs = cast(Scaled, rule.reader).data, rule.scale.target(images)
        found = [answers(partial(told, one), inputs, BLOCK) for one in rule.networks]
        return np.asarray(scale.mean + scale.std * np.mean(found, axis=0))

    def judge(self, lesson: Lesson) -> Judgement:
        """Errors of images as for all kinds, and of data predicted from true images."""
        found, rows = super().judge(lesson), lesson.split.test
        true = lesson.dataset.values[rows]
        said = self.predicted(images_of(lesson.dataset, rows))
        off = heldout_errors(said, true, self.record.noise_std, lesson.values.mean(axis=0))
        ahead = {f"forward_{k}": v for k, v in off.items()}
        return replace(found, errors={**found.errors, **ahead})
