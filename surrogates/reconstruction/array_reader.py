"""Networks on the array of the data: experiments are channels, places and times rows and columns.

They read whole data: traces that were left out in training leave zeros, and no more may be missing.
What a kind of them says is the parts of its network, in the order in which data go through them.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from pdeinv.bayes.prior import Prior
from pdeinv.errors import SurrogateRejected
from pdeinv.model.observed import Sensors
from pdeinv.plugins.problem import Problem
from pdeinv.typing import Array

from ..common.normalization import group_norm
from ..common.record import Record
from ..common.scaling import Standard
from ..common.storage import under, within
from ..common.torch_env import built, torch
from .bound import BoundImages
from .gather import Gather
from .members import Members, Scale, Teaching, taught_members
from .modes import DataModes, Seen
from .network_config import NetworkConfig
from .rule import Course
from .surrogate import Reconstruction

__all__ = [
    "ArrayReader",
    "SHORT",
    "ArrayReaderConfig",
    "Scaled",
    "Size",
    "assembled",
    "bent",
    "coarse",
    "encoder",
    "image_of",
    "narrowed",
    "network",
    "strides",
    "table",
    "widened",
]

MOST = 8
"""Channels of the narrowest arrays, as a multiple of ``width``."""

SHORT = 5
"""Nodes of an axis that an encoder to a vector halves no further."""


class ArrayReaderConfig(NetworkConfig):
    """Options of all of them."""

    members: int = Field(1, ge=1, le=20, description="networks, each with a seed of its own")
    learning_rate: float = Field(1e-3, gt=0, description="at the start; follows half a cosine to 0")


@dataclass(frozen=True)
class Size:
    """What a network is built of.

    Attributes:
        config: the options; ``width`` is that of the widest arrays.
        gather: the array of the data.
        shape: nodes along y and x.
        inside: 1 in the body, shape (p,).
    """

    config: Any
    gather: Gather
    shape: tuple[int, int]
    inside: Array

    def channels(self, k: int) -> int:
        """After k halvings."""
        return int(self.config.width) * min(MOST, 1 << (k // 2))


def coarse(shape: tuple[int, int], most: int) -> tuple[tuple[int, int], int]:
    """Nodes along y and x of an image halved until it has so few, and how often that is."""
    times = 0
    while max(-(-n // 2**times) for n in shape) > most:
        times += 1
    return (-(-shape[0] // 2**times), -(-shape[1] // 2**times)), times


def strides(rows: int, columns: int, short: int) -> list[tuple[int, int]]:
    """Which axes are halved, step by step: the longer one, both where neither is twice the other.

    Lengths after a step are rounded up; an axis of ``short`` nodes is not halved further.
    """
    found, at = [], [rows, columns]
    while max(at) > short:
        step = [2 if n > short and 2 * n > max(at) else 1 for n in at]
        at = [-(-n // s) for n, s in zip(at, step, strict=True)]
        found.append((step[0], step[1]))
    return found


def bent(layer: Any, channels: int) -> list[Any]:
    """A layer, normalised and bent."""
    return [layer, group_norm(channels), torch.nn.LeakyReLU(0.2)]


def narrowed(size: Size, short: int) -> tuple[list[Any], tuple[int, int, int]]:
    """Layers that halve the array until its axes are ``short``; channels, rows and columns then."""
    count, rows, columns = size.gather.shape
    layers, before = [], count + 1
    for k, step in enumerate(strides(rows, columns, short)):
        after = size.channels(k)
        layers += bent(torch.nn.Conv2d(before, after, 3, step, 1), after)
        rows, columns, before = -(-rows // step[0]), -(-columns // step[1]), after
    return layers, (before, rows, columns)


def encoder(size: Size, latent: int) -> Any:
    """From (batch, experiments + 1, rows, columns) to vectors (batch, latent)."""
    layers, (channels, rows, columns) = narrowed(size, SHORT)
    last = torch.nn.Linear(channels * rows * columns, latent)
    return torch.nn.Sequential(*layers, torch.nn.Flatten(), last)


def widened(size: Size, times: int) -> list[Any]:
    """Layers that double an image of ``size.channels(times)`` so often, then make it one value."""
    layers, before = [], size.channels(times)
    for k in reversed(range(times)):
        after = size.channels(k)
        layers += bent(torch.nn.ConvTranspose2d(before, after, 4, 2, 1), after)
        layers += bent(torch.nn.Conv2d(after, after, 3, 1, 1), after)
        before = after
    return [*layers, torch.nn.Conv2d(before, 1, 3, 1, 1)]


def table(module: Any, values: Any, level: Any, size: Size) -> Any:
    """Data (batch, n_obs) and levels (batch, 1) as (batch, experiments + 1, rows, columns).

    Args:
        module: the network; its ``place`` says where each datum stands.
        values: scaled data.
        level: the last channel.
        size: of the network.
    """
    count, rows, columns = size.gather.shape
    cells = values.new_zeros(len(values), count * rows * columns)
    cells = cells.index_copy(1, module.place, values).reshape(-1, count, rows, columns)
    level = level.reshape(-1, 1, 1, 1).expand(-1, 1, rows, columns)
    return torch.cat([cells, level], dim=1)


def image_of(module: Any, found: Any, size: Size) -> Any:
    """(batch, 1, at least y, at least x) cut to images (batch, p), 0 outside the body."""
    image = found[:, 0, : size.shape[0], : size.shape[1]].flatten(1)
    return image * module.inside.to(found.dtype)


def assembled(size: Size, parts: Mapping[str, Any], forward: Callable[[Any, Any], Any]) -> Any:
    """A module that knows where data stand and where the body is, and the size it was built of."""
    place = torch.as_tensor(np.asarray(size.gather.place, dtype=np.int64))
    inside = torch.as_tensor(size.inside, dtype=torch.float64)
    module = built(forward, parts, {"place": place, "inside": inside})
    module.size = size
    return module


def network(size: Size, parts: Mapping[str, Any]) -> Any:
    """From (batch, 1 + n_obs) of level and scaled data to scaled images (batch, p).

    Args:
        size: of the network.
        parts: from (batch, experiments + 1, rows, columns), whose last channel is the level, one
            after the other to (batch, 1, at least y, at least x).
    """

    def forward(module: Any, x: Any) -> Any:
        found = table(module, x[:, 1:], x[:, :1], size)
        for name in parts:
            found = getattr(module, name)(found)
        return image_of(module, found, size)

    return assembled(size, parts, forward)


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
class ArrayReader(Reconstruction):
    """A network from the array of the data to the image; a kind states its ``parts``."""

    packages: ClassVar[frozenset[str]] = frozenset({"torch"})

    @classmethod
    @abstractmethod
    def parts(cls, size: Size) -> Mapping[str, Any]:
        """The modules that data go through, by name; see :func:`network`."""

    @classmethod
    def network(cls, size: Size) -> Any:
        """From level and scaled data to scaled images."""
        return network(size, cls.parts(size))

    @classmethod
    def teaching(cls, course: Course, raw: Members) -> Teaching:
        """How the network is trained."""
        return Teaching(cls.name, course.lesson.config.members)

    @classmethod
    def taught(cls, course: Course) -> Members:
        """The network, trained.

        Raises:
            ConfigError: images that are not of the plane.
        """
        lesson, shape = course.lesson, course.labels.plane(cls.name)
        measured = course.measured(lesson.split.train, "scale")
        reader = Scaled(Standard.fit(measured.values))
        scale = Scale.of(course)
        gather = Gather.of(lesson.dataset.sensors, lesson.problem.axes)
        raw = cls._untaught(Size(lesson.config, gather, shape, scale.inside), reader, scale)
        return taught_members(course, raw, cls.teaching(course, raw))

    @classmethod
    def rule_of(cls, arrays: Mapping[str, Array], data: DataModes, record: Record) -> Members:
        """The stored one."""
        config = cls.Config.model_validate(record.config)
        reader = Scaled(Standard(arrays["data_mean"], arrays["data_std"]))
        gather = Gather.from_arrays(within("gather.", arrays))
        scale = Scale.from_arrays(within("scale.", arrays))
        rows, columns = record.extra["image_shape"]
        size = Size(config, gather, (int(rows), int(columns)), scale.inside)
        return cls._untaught(size, reader, scale).restored(arrays)

    @classmethod
    def _untaught(cls, size: Size, reader: Scaled, scale: Scale) -> Members:
        """The network, without its weights."""
        numbers = {"data_mean": reader.data.mean, "data_std": reader.data.std}
        stored = {**under("gather.", size.gather.arrays()), **numbers}
        facts = {"array": list(size.gather.shape)}
        return Members(reader, lambda: cls.network(size), scale, stored=stored, facts=facts)

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
