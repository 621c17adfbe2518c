"""A convolutional encoder of the data to a latent vector, and a convolutional decoder to the image.

Data are an array of experiments, places and times: experiments are channels. The encoder halves the
longer axis until both are short, so that long records are narrowed in time first. The latent vector
is all that the decoder sees of the data.

Unlike the published network it sees the level of the noise, has groups normalised instead of
batches, so that an image does not depend on those beside it, and no bound on its last layer.

Reference: Wu and Lin (2019), InversionNet: an efficient and accurate data-driven full waveform
inversion.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from pdeinv.bayes.prior import Prior
from pdeinv.config import Width
from pdeinv.errors import SurrogateRejected
from pdeinv.model.observed import Sensors
from pdeinv.plugins.problem import Problem
from pdeinv.typing import Array

from ..common.normalization import group_norm
from ..common.record import Record
from ..common.scaling import Standard
from ..common.storage import under, within
from ..common.torch_env import built, torch
from ..training.config import TrainingConfig
from .bound import BoundImages
from .gather import Gather
from .members import Members, Scale, Teaching, taught_members
from .modes import DataModes, Seen
from .rule import Course
from .surrogate import ImageConfig, Reconstruction

__all__ = ["InversionNet", "InversionNetConfig"]

SHORT = 5
"""Nodes of an axis that are not halved further."""

MOST = 8
"""Channels of the narrowest arrays, as a multiple of ``width``."""


class InversionNetConfig(ImageConfig, TrainingConfig):
    """Options of ``inversion-net``."""

    epochs: int = Field(60, ge=1, description="passes over the training samples at most")
    batch_size: int = Field(32, ge=1, description="samples of one gradient step, on all devices")
    learning_rate: float = Field(1e-3, gt=0, description="at the start; follows half a cosine to 0")
    patience: int = Field(20, ge=1, description="epochs without improvement before stopping")
    width: Width = Field(16, description="channels of the widest arrays; narrow ones have more")
    latent: Width = Field(128, description="numbers between encoder and decoder")


@dataclass(frozen=True)
class Size:
    """What a network is built of.

    Attributes:
        config: the options.
        gather: the array of the data.
        shape: nodes along y and x.
        inside: 1 in the body, shape (p,).
    """

    config: InversionNetConfig
    gather: Gather
    shape: tuple[int, int]
    inside: Array

    def channels(self, k: int) -> int:
        """After k halvings."""
        return self.config.width * min(MOST, 1 << (k // 2))


def strides(rows: int, columns: int) -> list[tuple[int, int]]:
    """Which axes are halved, step by step: the longer one, both where neither is twice the other.

    Lengths after a step are rounded up.
    """
    found, at = [], [rows, columns]
    while max(at) > SHORT:
        step = [2 if n > SHORT and 2 * n > max(at) else 1 for n in at]
        at = [-(-n // s) for n, s in zip(at, step, strict=True)]
        found.append((step[0], step[1]))
    return found


def _then(layer: Any, channels: int) -> list[Any]:
    """A layer, normalised and bent."""
    return [layer, group_norm(channels), torch.nn.LeakyReLU(0.2)]


def _encoder(size: Size) -> Any:
    """From (batch, experiments + 1, rows, columns) to (batch, latent)."""
    count, rows, columns = size.gather.shape
    layers, before = [], count + 1
    for k, step in enumerate(strides(rows, columns)):
        after = size.channels(k)
        layers += _then(torch.nn.Conv2d(before, after, 3, step, 1), after)
        rows, columns, before = -(-rows // step[0]), -(-columns // step[1]), after
    last = torch.nn.Linear(before * rows * columns, size.config.latent)
    return torch.nn.Sequential(*layers, torch.nn.Flatten(), last)


def _decoder(size: Size) -> Any:
    """From (batch, latent) to (batch, 1, at least y, at least x)."""
    times = len(strides(*size.shape))
    first = tuple(-(-n // 2**times) for n in size.shape)
    before = size.channels(times)
    layers = [torch.nn.Linear(size.config.latent, before * first[0] * first[1])]
    layers += [torch.nn.Unflatten(1, (before, *first))]
    for k in reversed(range(times)):
        after = size.channels(k)
        layers += _then(torch.nn.ConvTranspose2d(before, after, 4, 2, 1), after)
        layers += _then(torch.nn.Conv2d(after, after, 3, 1, 1), after)
        before = after
    return torch.nn.Sequential(*layers, torch.nn.Conv2d(before, 1, 3, 1, 1))


def network(size: Size) -> Any:
    """From (batch, 1 + n_obs) of level and scaled data to scaled images (batch, p)."""
    count, rows, columns = size.gather.shape
    place = torch.as_tensor(np.asarray(size.gather.place, dtype=np.int64))
    inside = torch.as_tensor(size.inside, dtype=torch.float64)

    def forward(module: Any, x: Any) -> Any:
        cells = x.new_zeros(len(x), count * rows * columns).index_copy(1, module.place, x[:, 1:])
        level = x[:, :1].reshape(-1, 1, 1, 1).expand(-1, 1, rows, columns)
        shown = torch.cat([cells.reshape(-1, count, rows, columns), level], dim=1)
        found = module.decoder(module.encoder(shown))
        image = found[:, 0, : size.shape[0], : size.shape[1]].flatten(1)
        return image * module.inside.to(x.dtype)

    parts = {"encoder": _encoder(size), "decoder": _decoder(size)}
    return built(forward, parts, {"place": place, "inside": inside})


@dataclass(frozen=True)
class Scaled:
    """Whole data as inputs: the level of the noise, then each datum in its own scale.

    Attributes:
        data: the scale of each datum.
    """

    data: Standard

    def __call__(self, seen: Seen) -> Array:
        """Shape (n, 1 + n_obs)."""
        return np.concatenate([seen.level[:, None], self.data(seen.values)], axis=1)


@dataclass(frozen=True)
class InversionNet(Reconstruction):
    """The data's array through a convolutional encoder and decoder, by way of a latent vector."""

    name = "inversion-net"
    Config = InversionNetConfig
    packages: ClassVar[frozenset[str]] = frozenset({"torch"})

    @classmethod
    def taught(cls, course: Course) -> Members:
        """The network, trained.

        Raises:
            ConfigError: images that are not of the plane.
        """
        lesson, shape = course.lesson, course.labels.plane(cls.name)
        measured = course.measured(lesson.split.train, "scale")
        reader = Scaled(Standard.fit(measured.values))
        gather = Gather.of(lesson.dataset.sensors)
        raw = _untaught(lesson.config, reader, gather, Scale.of(course), shape)
        return taught_members(course, raw, Teaching(cls.name, 1))

    @classmethod
    def rule_of(cls, arrays: Mapping[str, Array], data: DataModes, record: Record) -> Members:
        """The stored one."""
        config = InversionNetConfig.model_validate(record.config)
        reader = Scaled(Standard(arrays["data_mean"], arrays["data_std"]))
        gather = Gather.from_arrays(within("gather.", arrays))
        scale = Scale.from_arrays(within("scale.", arrays))
        rows, columns = record.extra["image_shape"]
        shape = int(rows), int(columns)
        return _untaught(config, reader, gather, scale, shape).restored(arrays)

    def bind(self, problem: Problem, prior: Prior, sensors: Sensors) -> BoundImages:
        """The inverse for all data that it was trained with, in any order.

        Raises:
            SurrogateRejected: as for every reconstruction, or some data are missing.
        """
        bound = super().bind(problem, prior, sensors)
        there, trained = len(np.unique(bound.chosen)), len(self.data.std)
        if there < trained:
            raise SurrogateRejected(
                f"surrogate '{self.name}' reads all {trained} data that it was trained with, got "
                f"{there} of them; use 'linear-image' or 'lin-fno', which take any part, or train "
                "on the data that there are (generate --obs)"
            )
        return bound


def _untaught(
    config: InversionNetConfig, reader: Scaled, gather: Gather, scale: Scale, shape: tuple[int, int]
) -> Members:
    """The network for images of a shape, without its weights."""
    size = Size(config, gather, shape, scale.inside)
    numbers = {"data_mean": reader.data.mean, "data_std": reader.data.std}
    stored = {**under("gather.", gather.arrays()), **numbers}
    facts = {"array": list(gather.shape)}
    return Members(reader, lambda: network(size), scale, stored=stored, facts=facts)
