"""Images from data that solutions of the equation extend into the body, by a U-Net.

The departure of the data from their mean is extended by the problem, for impedance by harmonic
functions (:mod:`pdeinv.model.extensions`): a few fields for each experiment, which are where the
unknown is and cost no solve, once those of the measurements are there. The network sees these
fields, each of order one, the level of the noise, the body and its coordinates. Data that are not
there add nothing to their fields; in every epoch a share of the samples shows half of the
experiments or more, so that the network knows such data.

Reference: Guo, Cao and Chen (2023), Transformer meets boundary value inverse problems.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar
from zlib import crc32

import numpy as np
from pydantic import Field

from pdeinv.config import Width
from pdeinv.errors import ConfigError
from pdeinv.model.extensions import Extensions
from pdeinv.plugins import hooks
from pdeinv.rng import stream
from pdeinv.typing import Array

from ..common.record import Record
from ..common.storage import under, within
from ..common.torch_env import built, torch
from .members import Members, Scale, Teaching, taught_members
from .modes import DataModes, Seen
from .network_config import NetworkConfig
from .rule import Course
from .surrogate import Reconstruction
from .unet import Attention, UnetSize, unet

__all__ = ["EitTransformer", "EitTransformerConfig", "InverseUnet", "InverseUnetConfig"]

GIVEN = 4
"""Channels besides the extended data: the level of the noise, the body, and two coordinates."""


class InverseUnetConfig(NetworkConfig):
    """Options of ``inverse-unet``."""

    members: int = Field(1, ge=1, le=20, description="networks, each with a seed of its own")
    width: Width = Field(24, description="channels at the finest resolution, twice at the next")
    depth: int = Field(2, ge=1, le=5, description="how often the resolution is halved")
    bagging: float = Field(
        0.2, ge=0, le=1, description="share of samples that show half of the experiments or more"
    )


class EitTransformerConfig(InverseUnetConfig):
    """Options of ``eit-transformer``."""

    width: Width = Field(22, description="channels at the finest resolution, twice at the next")
    attention: Attention = Field(
        "fourier", description="'fourier' normalises queries and keys, 'galerkin' keys and values"
    )
    heads: int = Field(2, ge=1, le=16, description="of the attention, at most")


@dataclass(frozen=True)
class Departures:
    """Data as inputs: the level of the noise, then y - ȳ, 0 where nothing was measured.

    Attributes:
        mean: ȳ, shape (n_obs,).
        extensions: of the data.
    """

    mean: Array
    extensions: Extensions

    def __call__(self, seen: Seen) -> Array:
        """Shape (n, 1 + n_obs)."""
        off = np.nan_to_num(seen.values - self.mean, nan=0.0)
        return np.concatenate([seen.level[:, None], off], axis=1)

    def bagged(self, inputs: Array, share: float, seed: int) -> Array:
        """Inputs with some experiments left out of a share of rows, by their own numbers."""
        out, count = inputs.copy(), self.extensions.channels
        for row in out:
            rng = stream(seed, "bag", crc32(row.tobytes()))
            if rng.random() < share:
                kept = rng.permutation(count)[: int(rng.integers((count + 1) // 2, count + 1))]
                row[1:][~np.isin(self.extensions.channel, kept)] = 0.0
        return out

    def size(self, inputs: Array) -> Array:
        """Root mean square of each extended channel of samples, shape (channels · components,)."""
        blocks = [
            np.sum(self.extensions(inputs[i : i + 64, 1:]) ** 2, axis=(0, 2))
            for i in range(0, len(inputs), 64)
        ]
        rms = np.sqrt(np.sum(blocks, axis=0) / (len(inputs) * self.extensions.fields.shape[2]))
        return np.where(rms > 0, rms, 1.0)

    def arrays(self) -> dict[str, Array]:
        """For storage."""
        e = self.extensions
        places = {"field": e.field, "channel": e.channel}
        whole: dict[str, Any] = {k: np.asarray(v, dtype=np.int64) for k, v in places.items()}
        return {"mean": self.mean, "fields": e.fields, **whole}

    @classmethod
    def from_arrays(cls, a: Mapping[str, Array]) -> Departures:
        """The inverse of :meth:`arrays`."""
        field, channel = (np.asarray(a[k], dtype=np.intp) for k in ("field", "channel"))
        return cls(a["mean"], Extensions(a["fields"], field, channel))


def network(size: UnetSize, reader: Departures, rms: Array, inside: Array) -> Any:
    """From (batch, 1 + n_obs) to scaled images (batch, p).

    Args:
        size: of the U-Net.
        reader: with the fields.
        rms: what extended channels are divided by.
        inside: 1 in the body, shape (y, x).
    """
    fields, places = reader.extensions.fields, [np.linspace(-1, 1, n) for n in inside.shape]
    y, x = np.meshgrid(*places, indexing="ij")
    buffers = {
        "fields": torch.as_tensor(fields.reshape(len(fields), -1), dtype=torch.float64),
        "slot": torch.as_tensor(reader.extensions.slot),
        "rms": torch.as_tensor(rms, dtype=torch.float64)[:, None, None],
        "given": torch.as_tensor(np.stack([inside, x, y]), dtype=torch.float64),
    }
    table = reader.extensions.channels, len(fields)

    def forward(module: Any, x: Any) -> Any:
        rows = x.new_zeros(len(x), table[0] * table[1]).index_add(1, module.slot, x[:, 1:])
        seen = rows.reshape(len(x), *table) @ module.fields.to(x.dtype)
        seen = seen.reshape(len(x), -1, *inside.shape) / module.rms.to(x.dtype)
        given = module.given.to(x.dtype).expand(len(x), -1, -1, -1)
        level = x[:, :1, None, None].expand(-1, -1, *inside.shape)
        body = given[:, :1]
        return (body * module.inner(torch.cat([body * seen, level, given], 1))).flatten(1)

    return built(forward, {"inner": unet(size, inside)}, buffers)


@dataclass(frozen=True)
class InverseUnet(Reconstruction):
    """A U-Net on data that the problem extends into the body."""

    name = "inverse-unet"
    Config = InverseUnetConfig
    packages: ClassVar[frozenset[str]] = frozenset({"torch"})

    @classmethod
    def taught(cls, course: Course) -> Members:
        """The networks, trained.

        Raises:
            ConfigError: the problem extends no data, or images are not of the plane.
        """
        lesson, config = course.lesson, course.lesson.config
        shape = course.labels.plane(cls.name)
        extensions = hooks.extensions(lesson.problem, lesson.dataset.sensors, shape)
        if extensions is None:
            raise ConfigError(
                f"surrogate '{cls.name}' needs data that solutions of the equation extend into the "
                f"body, which problem '{lesson.problem.name}' does not offer (eit does); use "
                "'lin-fno'"
            )
        reader = Departures(lesson.values.mean(axis=0), extensions)
        measured, levels = course.law.rows(lesson.values, lesson.seed, "scale")
        rms = reader.size(reader(Seen(measured, levels)))
        raw = _untaught(config, reader, rms, Scale.of(course), shape)

        def shown(inputs: Array, seed: int) -> Array:
            return reader.bagged(inputs, config.bagging, seed)

        return taught_members(course, raw, Teaching(cls.name, config.members, shown))

    @classmethod
    def rule_of(cls, arrays: Mapping[str, Array], data: DataModes, record: Record) -> Members:
        """The stored one."""
        config = cls.Config.model_validate(record.config)
        reader = Departures.from_arrays(within("reader.", arrays))
        scale = Scale.from_arrays(within("scale.", arrays))
        rows, columns = record.extra["image_shape"]
        raw = _untaught(config, reader, arrays["rms"], scale, (int(rows), int(columns)))
        return raw.restored(arrays)


@dataclass(frozen=True)
class EitTransformer(InverseUnet):
    """A U-Net with integral attention on data that the problem extends into the body."""

    name = "eit-transformer"
    Config = EitTransformerConfig


def _untaught(
    config: InverseUnetConfig, reader: Departures, rms: Array, scale: Scale, shape: tuple[int, int]
) -> Members:
    """Networks for images of a shape, without their weights."""
    attention = config.attention if isinstance(config, EitTransformerConfig) else None
    heads = config.heads if isinstance(config, EitTransformerConfig) else 1
    depth = min(config.depth, max(1, int(np.log2(min(shape))) - 1))
    size = UnetSize(len(rms) + GIVEN, config.width, depth, attention, heads)
    inside = scale.inside.reshape(shape)
    stored = {**under("reader.", reader.arrays()), "rms": rms}
    facts = {"experiments": reader.extensions.channels}
    return Members(
        reader, lambda: network(size, reader, rms, inside), scale, stored=stored, facts=facts
    )
