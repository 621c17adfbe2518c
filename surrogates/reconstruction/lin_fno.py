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
from functools import cached_property, partial
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from pdeinv.config import Width
from pdeinv.model.learned import Estimate
from pdeinv.typing import Array

from ..common.record import Record
from ..common.storage import under, within
from ..common.torch_env import built, torch
from ..operators.network import Architecture, build, padded_size
from ..training.weights import answers, from_arrays, in_double
from .linear_image import Linear, taught_linear
from .members import (
    Members,
    Scale,
    Teaching,
    facts_of,
    restored_weights,
    stored_weights,
    taught_member,
)
from .modes import DataModes, Seen
from .network_config import NetworkConfig
from .networks import BLOCK
from .rule import Course
from .surrogate import Reconstruction

__all__ = ["LinFno", "LinFnoConfig"]

CHANNELS = 3
"""Inputs of a network: the linear image, its standard deviation, the level of the noise."""

SMALL = 0.1
"""What the last layer is multiplied by at the start."""


class LinFnoConfig(NetworkConfig):
    """Options of ``lin-fno``."""

    members: int = Field(2, ge=1, le=20, description="networks, each with a seed of its own")
    modes: Width = Field(8, description="frequencies kept along each axis")
    width: Width = Field(16, description="channels")
    layers: int = Field(2, ge=1, le=8, description="Fourier layers")
    padding: float = Field(0.1, ge=0, le=1, description="share by which the grid is extended")


@dataclass(frozen=True)
class Refined:
    """Linear images with the mean correction of several networks.

    Attributes:
        linear: the linear reconstruction.
        scale: of images, about the mean of the linear ones.
        shape: nodes along y and x.
        architecture: their size.
        weights: of each network, by name.
        facts: for the record.
    """

    linear: Linear
    scale: Scale
    shape: tuple[int, int]
    architecture: Architecture
    weights: tuple[Mapping[str, Array], ...]
    facts: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def networks(self) -> list[Any]:
        """In double precision."""
        return [
            in_double(from_arrays(lambda: network(self.architecture, self.scale, self.shape), w))
            for w in self.weights
        ]

    def __call__(self, seen: Seen) -> Estimate:
        """Mean of the networks; variance of the linear image and of the networks about it."""
        first = self.linear(seen)
        inputs, scale = _channels(self.scale, first, seen.level), self.scale
        found = np.stack([answers(one, inputs, BLOCK) for one in self.networks])
        std = np.sqrt(first.std**2 + (scale.size * found.std(axis=0)) ** 2)
        mean = scale.mean + scale.size * found.mean(axis=0)
        return replace(first, mean=np.where(scale.inside > 0, mean, first.mean), std=std)

    def arrays(self) -> dict[str, Array]:
        """Of the linear part, the scales and the networks."""
        scale = under("scale_", self.scale.arrays())
        return {**under("linear.", self.linear.arrays()), **scale, **stored_weights(self.weights)}


def network(architecture: Architecture, scale: Scale, shape: tuple[int, int]) -> Any:
    """From (batch, CHANNELS · p) to scaled images (batch, p): the first input and a correction.

    The last layer begins small, so that training begins at the linear image.
    """
    rows, columns = shape
    inner = build(architecture, scale.inside.reshape(shape))
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
        scale = Scale.of(course, linear.images.mean)
        rows, columns = (min(config.modes, padded_size(n, config.padding) - 1) for n in shape)
        architecture = Architecture(
            (rows, columns), config.width, config.layers, config.padding, inputs=CHANNELS
        )
        raw = Members(
            partial(_inputs, linear, scale), lambda: network(architecture, scale, shape), scale
        )
        teaching = Teaching(cls.name, config.members)
        made = [taught_member(course, raw, teaching, k) for k in range(config.members)]
        facts = {**linear.facts, "architecture": architecture.as_json(), **facts_of(made)}
        return Refined(linear, scale, shape, architecture, tuple(w for w, _ in made), facts)

    @classmethod
    def rule_of(cls, arrays: Mapping[str, Array], data: DataModes, record: Record) -> Refined:
        """The stored one."""
        rows, columns = (int(n) for n in record.extra["image_shape"])
        return Refined(
            Linear.from_arrays(within("linear.", arrays), data),
            Scale.from_arrays(within("scale_", arrays)),
            (rows, columns),
            Architecture.from_json(record.extra["architecture"]),
            restored_weights(arrays, int(record.config["members"])),
        )


def _inputs(linear: Linear, scale: Scale, seen: Seen) -> Array:
    """(n, CHANNELS · p) of linear images, their spread and ln of the multiple of σ."""
    return _channels(scale, linear(seen), seen.level)


def _channels(scale: Scale, found: Estimate, level: Array) -> Array:
    image = (found.mean - scale.mean) / scale.size
    channels = [image, found.std / scale.size, np.repeat(level[:, None], image.shape[1], axis=1)]
    return np.concatenate([scale.inside * c for c in channels], axis=1)
