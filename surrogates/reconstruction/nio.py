"""Neural inverse operators: a DeepONet reads each experiment, a Fourier operator makes the image.

A branch network reads the response of one experiment, the same network all of them; its values are
the coefficients of trunk functions of place. The fields of all experiments are averaged and go
through a Fourier neural operator: any number of experiments in any order. Since the mean is linear,
it is taken over coefficients, before the trunk, which gives the same fields for less.

``form = "paper"`` is the published one: one field, responses without the identity of their
experiment, the lift of the operator left at its random start (in the published code no gradient
reaches it), and in every step a random number of experiments drawn with replacement. ``"mended"``
has several fields, the identity as an input, a lift that is trained, and parts of the experiments,
without replacement, for a share of the samples. Where the publication normalises batches, inputs
are standardised here: an inverse must not depend on who else is asked.

Reference: Molinaro, Yang, Engquist and Mishra (2023), Neural inverse operators for solving PDE
inverse problems.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast
from zlib import crc32

import numpy as np
from pydantic import Field

from pdeinv.bayes.prior import Prior
from pdeinv.config import Width
from pdeinv.errors import SurrogateRejected
from pdeinv.model.observed import Sensors
from pdeinv.plugins.problem import Problem
from pdeinv.rng import stream
from pdeinv.typing import Array

from ..common.record import Record
from ..common.scaling import Standard
from ..common.split import Index
from ..common.storage import under, within
from ..common.torch_env import built, torch
from ..operators.network import Architecture, build, padded_size
from .bound import BoundImages
from .experiments import Experiments, coordinate
from .members import Members, Scale, Teaching, taught_members
from .modes import DataModes, Seen
from .network_config import NetworkConfig
from .networks import lattice, layered
from .rule import Course
from .surrogate import Reconstruction

__all__ = ["Nio", "NioConfig"]


class NioConfig(NetworkConfig):
    """Options of ``nio``."""

    epochs: int = Field(120, ge=1, description="passes over the training samples at most")
    patience: int = Field(40, ge=1, description="epochs without improvement before stopping")
    members: int = Field(1, ge=1, le=20, description="networks, each with a seed of its own")
    form: Literal["mended", "paper"] = Field(
        "mended", description="with what stopped the published form mended, or as it was published"
    )
    experiment: str | None = Field(
        None, description="coordinate of the data that numbers experiments; unset: the first"
    )
    fields: Width = Field(8, description="fields that are read off each experiment; 1 in 'paper'")
    basis: Width = Field(48, description="trunk functions")
    widths: tuple[Width, ...] = Field((96, 96), min_length=1, description="layers of both networks")
    bagging: float = Field(
        0.2, ge=0, le=1, description="share of samples that show half of the experiments or more"
    )
    modes: Width = Field(8, description="frequencies kept along each axis")
    width: Width = Field(16, description="channels")
    layers: int = Field(2, ge=1, le=8, description="Fourier layers")
    padding: float = Field(0.1, ge=0, le=1, description="share by which the grid is extended")

    @property
    def published(self) -> bool:
        """Whether it is the published form."""
        return self.form == "paper"


@dataclass(frozen=True)
class Reader:
    """Data as the network is shown them: (n, 1 + L + L K) of level, weights and responses.

    Attributes:
        experiments: the table.
        scale: of the data, shape (n_obs,) each.
    """

    experiments: Experiments
    scale: Standard

    def __call__(self, seen: Seen) -> Array:
        """An experiment counts where all of its data are there.

        Raises:
            SurrogateRejected: none is whole.
        """
        table = self.experiments.table(self.scale(seen.values))
        weight = np.isfinite(table).all(axis=2).astype(np.float64)
        if not weight.any(axis=1).all():
            raise SurrogateRejected(
                "surrogate 'nio' reads whole experiments, and none of these has all of its data; "
                "use 'linear-image' or 'lin-fno', which take any part"
            )
        flat = np.nan_to_num(table, nan=0.0).reshape(len(table), -1)
        return np.concatenate([seen.level[:, None], weight, flat], axis=1)

    def arrays(self) -> dict[str, Array]:
        """For storage."""
        scale = {"data_mean": self.scale.mean, "data_std": self.scale.std}
        return {**scale, **under("experiments.", self.experiments.arrays())}

    @classmethod
    def from_arrays(cls, a: Mapping[str, Array]) -> Reader:
        """The inverse of :meth:`arrays`."""
        experiments = Experiments.from_arrays(within("experiments.", a))
        return cls(experiments, Standard(a["data_mean"], a["data_std"]))

    def bagged(self, inputs: Array, config: NioConfig, seed: int) -> Array:
        """Inputs with the weights of a random choice of experiments, drawn by their own numbers."""
        out, count = inputs.copy(), self.experiments.count
        for row in out:
            rng = stream(seed, "bag", crc32(row.tobytes()))
            row[1 : 1 + count] = _chosen(rng, count, config)
        return out


def _chosen(rng: np.random.Generator, count: int, config: NioConfig) -> Array:
    """How often each experiment is shown, shape (L,)."""
    if config.published and count > 2:
        shown = rng.integers(0, count, int(rng.integers(2, count)))
        return np.bincount(shown, minlength=count).astype(np.float64)
    weights = np.ones(count)
    if rng.random() < config.bagging:
        weights[rng.permutation(count)[int(rng.integers((count + 1) // 2, count + 1)) :]] = 0.0
    return weights


@dataclass(frozen=True)
class Size:
    """What a network is built of.

    Attributes:
        config: the options.
        architecture: of the Fourier operator.
        experiments: their table.
        shape: nodes along y and x.
        inside: 1 in the body, shape (p,).
    """

    config: NioConfig
    architecture: Architecture
    experiments: Experiments
    shape: tuple[int, int]
    inside: Array

    @classmethod
    def of(
        cls, config: NioConfig, experiments: Experiments, shape: tuple[int, ...], inside: Array
    ) -> Size:
        """For images of a shape."""
        if config.published:
            config = config.model_copy(update={"fields": 1})
        rows, columns = (min(config.modes, padded_size(n, config.padding) - 1) for n in shape)
        architecture = Architecture(
            (rows, columns), config.width, config.layers, config.padding, inputs=config.fields
        )
        return cls(config, architecture, experiments, (shape[0], shape[1]), inside)


def network(size: Size) -> Any:
    """From (batch, 1 + L + L K) to scaled images (batch, p)."""
    config, k = size.config, size.experiments.order.shape[1]
    more = 0 if config.published else 2
    branch = layered((k + more, *config.widths, config.fields * config.basis))
    trunk = layered((2, *config.widths, config.basis))
    operator = build(size.architecture, size.inside.reshape(size.shape))
    if config.published:
        operator.inner.lifting.requires_grad_(False)
    identity = torch.as_tensor(size.experiments.identity, dtype=torch.float64)

    def forward(module: Any, x: Any) -> Any:
        return module.operator(fields_of(module, x, size)).flatten(1)

    parts = {"branch": branch, "trunk": trunk, "operator": operator}
    return built(forward, parts, {"places": lattice(size.shape), "identity": identity})


def fields_of(module: Any, x: Any, size: Size) -> Any:
    """Mean over experiments of the fields that they are read as, (batch, fields, y, x)."""
    config, (count, k) = size.config, size.experiments.order.shape
    weight = x[:, 1 : 1 + count]
    responses = x[:, 1 + count :].reshape(len(x), count, k)
    if not config.published:
        known = module.identity.to(x.dtype).expand(len(x), -1).unsqueeze(2)
        level = x[:, :1].unsqueeze(1).expand(-1, count, 1)
        responses = torch.cat([responses, known, level], dim=2)
    share = (weight / weight.sum(dim=1, keepdim=True)).unsqueeze(2)
    mean = (module.branch(responses) * share).sum(dim=1)
    mean = mean.reshape(len(x), config.fields, config.basis)
    found = mean @ module.trunk(module.places.to(x.dtype)).T / config.basis**0.5
    return found.reshape(len(x), config.fields, *size.shape)


def scaled(module: Any, inputs: Array, size: Size) -> Any:
    """The network with a last layer of its branch that makes fields of order one over samples.

    A mean over experiments is small and nearly the same for all samples; the publication's
    normalisation of batches sees to that.
    """
    x, last = torch.as_tensor(inputs, dtype=torch.float32), module.branch[-1]
    with torch.no_grad():
        spread = fields_of(module, x, size).std(dim=0).square().mean().sqrt()
        last.weight.div_(spread)
        last.bias.div_(spread)
    return module


@dataclass(frozen=True)
class Nio(Reconstruction):
    """A neural inverse operator: experiments read one by one, their mean made an image."""

    name = "nio"
    Config = NioConfig
    packages: ClassVar[frozenset[str]] = frozenset({"torch", "neuralop"})

    @classmethod
    def taught(cls, course: Course) -> Members:
        """The networks, trained.

        Raises:
            ConfigError: no experiments, or images that are not of the plane.
        """
        lesson, labels = course.lesson, course.labels
        config, axes = lesson.config, lesson.problem.axes
        labels.plane(cls.name)
        experiments = Experiments.of(lesson.dataset.sensors, axes, config.experiment)
        measured, _ = course.law.rows(lesson.values, lesson.seed, "scale")
        reader = Reader(experiments, Standard.fit(measured))
        raw, size = _untaught(config, reader, Scale.of(course), labels.shape)

        def shown(inputs: Array, seed: int) -> Array:
            return reader.bagged(inputs, config, seed)

        def begun(module: Any, inputs: Array) -> Any:
            return scaled(module, inputs, size)

        return taught_members(course, raw, Teaching(cls.name, config.members, shown, begun))

    @classmethod
    def rule_of(cls, arrays: Mapping[str, Array], data: DataModes, record: Record) -> Members:
        """The stored one."""
        config = NioConfig.model_validate(record.config)
        reader = Reader.from_arrays(within("reader.", arrays))
        scale = Scale.from_arrays(within("scale.", arrays))
        raw, _ = _untaught(config, reader, scale, tuple(record.extra["image_shape"]))
        return raw.restored(arrays)

    def bind(self, problem: Problem, prior: Prior, sensors: Sensors) -> BoundImages:
        """The inverse for data of some of the trained experiments, each of them whole.

        Data of a part of one would count in the misfit and be unknown to the estimate.

        Raises:
            SurrogateRejected: as for every reconstruction, or an experiment is there in part.
        """
        bound = super().bind(problem, prior, sensors)
        trained, config = self.record.identity.sensors, self.record.config
        name = coordinate(trained, problem.axes, config["experiment"])
        experiments = cast(Reader, cast(Members, self.rule).reader).experiments
        _check_whole(experiments, bound.chosen, name, np.asarray(trained[name]))
        return bound


def _check_whole(experiments: Experiments, chosen: Index, name: str, numbers: Array) -> None:
    """Refuse data of a part of an experiment; where none is whole the reader says what to do.

    Args:
        experiments: the table.
        chosen: which data are there.
        name: the coordinate that numbers experiments.
        numbers: its value for each datum of the table.

    Raises:
        SurrogateRejected: some are whole and some are not.
    """
    there, size = experiments.present(chosen), experiments.sizes
    broken = np.flatnonzero((there > 0) & (there < size))
    if not len(broken) or not (there == size).any():
        return
    k = broken[0]
    number = numbers[experiments.order[k].max()]
    more = f" (and {len(broken) - 1} more lack some)" if len(broken) > 1 else ""
    raise SurrogateRejected(
        f"surrogate 'nio' reads whole experiments, and of {name} = {number:g} there are {there[k]} "
        f"of {size[k]} data{more}; leave all data of such an experiment out, or use 'lin-fno', "
        "which takes any part"
    )


def _untaught(
    config: NioConfig, reader: Reader, scale: Scale, shape: tuple[int, ...]
) -> tuple[Members, Size]:
    """Networks for images of a shape, without their weights, and their size."""
    size = Size.of(config, reader.experiments, shape, scale.inside)
    facts = {"experiments": reader.experiments.count}
    stored = under("reader.", reader.arrays())
    return Members(reader, lambda: network(size), scale, stored=stored, facts=facts), size
