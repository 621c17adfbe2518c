"""A linear-Gaussian reconstruction whose image small Fourier neural operators correct.

The linear image holds what a Gaussian law can say of the data at their own noise. The operators see
that image, its standard deviation and the level of the noise, and learn what is left: sharp edges,
and what is crooked in the map. They never see the data, so that data may be missing, and noise
uneven, wherever the linear reconstruction takes them.

References: Kaipio and Somersalo (2005) for the linear part; Li et al. (2021), Fourier neural
operator for parametric partial differential equations; Jin, McCann, Froustey and Unser (2017), Deep
convolutional neural network for inverse problems in imaging, for the correction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from pdeinv.config import Width
from pdeinv.model.learned import Estimate
from pdeinv.rng import stream
from pdeinv.typing import Array

from ..common.record import Record
from ..common.storage import under, within
from ..common.torch_env import built, seeded, torch
from ..inverse.noising import Noised
from ..operators.network import Architecture, build, padded_size
from ..training.config import Data, TrainingConfig
from ..training.weights import answers, from_arrays, in_double
from .linear_image import Linear, taught_linear
from .members import Made, facts_of, fitted, restored_weights, stored_weights
from .modes import DataModes, Seen
from .networks import BLOCK
from .rule import Course
from .surrogate import ImageConfig, Reconstruction

__all__ = ["LinFno", "LinFnoConfig"]

CHANNELS = 3
"""Inputs of a network: the linear image, its standard deviation, the level of the noise."""

SMALL = 0.1
"""What the last layer is multiplied by at the start."""


class LinFnoConfig(ImageConfig, TrainingConfig):
    """Options of ``lin-fno``."""

    epochs: int = Field(60, ge=1, description="passes over the training samples at most")
    batch_size: int = Field(32, ge=1, description="samples of one gradient step, on all devices")
    learning_rate: float = Field(2e-3, gt=0, description="at the start; follows half a cosine to 0")
    patience: int = Field(20, ge=1, description="epochs without improvement before stopping")
    members: int = Field(2, ge=1, le=20, description="networks, each with a seed of its own")
    modes: Width = Field(8, description="frequencies kept along each axis")
    width: Width = Field(16, description="channels")
    layers: int = Field(2, ge=1, le=8, description="Fourier layers")
    padding: float = Field(0.1, ge=0, le=1, description="share by which the grid is extended")


@dataclass(frozen=True)
class Scales:
    """Of the inputs and outputs of a network.

    Attributes:
        mean: of the linear images, shape (p,).
        size: root mean square departure of the training's images from it in the body.
        shape: nodes along y and x.
        inside: 1 in the body, shape (p,).
    """

    mean: Array
    size: float
    shape: tuple[int, int]
    inside: Array

    def inputs(self, found: Estimate, level: Array) -> Array:
        """(n, CHANNELS · p) of linear images and ln of the multiple of σ."""
        image = (found.mean - self.mean) / self.size
        channels = [image, found.std / self.size, np.repeat(level[:, None], image.shape[1], axis=1)]
        return np.concatenate([self.inside * c for c in channels], axis=1)


@dataclass(frozen=True)
class Refined:
    """Linear images with the mean correction of several networks.

    Attributes:
        linear: the linear reconstruction.
        scales: of the networks.
        architecture: their size.
        weights: of each network, by name.
        facts: for the record.
    """

    linear: Linear
    scales: Scales
    architecture: Architecture
    weights: tuple[Mapping[str, Array], ...]
    facts: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def networks(self) -> list[Any]:
        """In double precision."""
        return [
            in_double(from_arrays(lambda: network(self.architecture, self.scales), w))
            for w in self.weights
        ]

    def __call__(self, seen: Seen) -> Estimate:
        """Mean of the networks; variance of the linear image and of the networks about it."""
        first = self.linear(seen)
        inputs = self.scales.inputs(first, seen.level)
        found = np.stack([answers(one, inputs, BLOCK) for one in self.networks])
        std = np.sqrt(first.std**2 + (self.scales.size * found.std(axis=0)) ** 2)
        inside = self.scales.inside > 0
        mean = self.scales.mean + self.scales.size * found.mean(axis=0)
        return replace(first, mean=np.where(inside, mean, first.mean), std=std)

    def arrays(self) -> dict[str, Array]:
        """Of the linear part, the scales and the networks."""
        s = self.scales
        scales = {"scale_mean": s.mean, "scale_size": np.array([s.size]), "scale_inside": s.inside}
        return {**under("linear.", self.linear.arrays()), **scales, **stored_weights(self.weights)}


def network(architecture: Architecture, scales: Scales) -> Any:
    """From (batch, CHANNELS · p) to scaled images (batch, p): the first input and a correction.

    The last layer begins small, so that training begins at the linear image.
    """
    rows, columns = scales.shape
    inner = build(architecture, scales.inside.reshape(scales.shape))
    with torch.no_grad():
        for weights in inner.inner.projection.fcs[-1].parameters():
            weights.mul_(SMALL)

    def forward(module: Any, x: Any) -> Any:
        images = x.reshape(len(x), CHANNELS, rows, columns)
        return (images[:, 0] + module.inner(images)).flatten(1)

    return built(forward, {"inner": inner})


@dataclass(frozen=True)
class LinFno(Reconstruction):
    """A linear-Gaussian reconstruction, refined by Fourier neural operators."""

    name = "lin-fno"
    Config = LinFnoConfig
    packages: ClassVar[frozenset[str]] = frozenset({"torch", "neuralop"})

    @classmethod
    def taught(cls, course: Course) -> Refined:
        """The linear part first, then each network on what that leaves.

        Raises:
            ConfigError: images that are not of the plane.
        """
        shape, config = course.labels.plane(cls.name), course.lesson.config
        linear = taught_linear(course, "wiener")
        inside = course.labels.inside.astype(np.float64)
        off = course.images(course.lesson.split.train) - linear.images.mean
        size = float(np.sqrt(np.mean(off[:, course.labels.inside] ** 2)))
        scales = Scales(linear.images.mean, size or 1.0, shape, inside)
        rows, columns = (min(config.modes, padded_size(n, config.padding) - 1) for n in shape)
        architecture = Architecture(
            (rows, columns), config.width, config.layers, config.padding, inputs=CHANNELS
        )
        made = [_member(course, linear, scales, architecture, k) for k in range(config.members)]
        facts = {**linear.facts, "architecture": architecture.as_json(), **facts_of(made)}
        return Refined(linear, scales, architecture, tuple(w for w, _ in made), facts)

    @classmethod
    def rule_of(cls, arrays: Mapping[str, Array], data: DataModes, record: Record) -> Refined:
        """The stored one."""
        rows, columns = record.extra["image_shape"]
        inside, size = arrays["scale_inside"], float(arrays["scale_size"][0])
        scales = Scales(arrays["scale_mean"], size, (int(rows), int(columns)), inside)
        linear = Linear.from_arrays(within("linear.", arrays), data)
        weights = restored_weights(arrays, int(record.config["members"]))
        return Refined(
            linear, scales, Architecture.from_json(record.extra["architecture"]), weights
        )


def _member(
    course: Course, linear: Linear, scales: Scales, architecture: Architecture, k: int
) -> Made:
    """Network ``k``, on its own draws of noise and stopped by its own samples."""
    lesson = course.lesson
    seed = int(stream(lesson.seed, "member", k).integers(2**31))
    mine, stop = course.parts(f"member-{k}")

    def encode(data: Array, levels: Array) -> Array:
        return scales.inputs(linear(Seen(data, levels)), levels)

    width = CHANNELS * len(scales.mean)
    noised = Noised(course.values(mine), course.law, encode, seed, width)
    seen = course.measured(stop, f"stop-{k}")
    targets = (course.images(rows) for rows in (mine, stop))
    train_y, valid_y = (scales.inside * (t - scales.mean) / scales.size for t in targets)
    valid_x = encode(seen.values, seen.level)
    module = seeded(seed, LinFno.name, k, lambda: network(architecture, scales))
    return fitted(course, module, Data(noised, train_y, valid_x, valid_y), seed, k)
