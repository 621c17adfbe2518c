"""Networks from data to images: trained one after the other, asked together.

Each member has weights, noise and stopping samples of its own. Their mean is the image; the square
of its spread is what each of them errs by on the samples that stopped it, plus the variance between
them. Reference: Lakshminarayanan, Pritzel and Blundell (2017), Simple and scalable predictive
uncertainty estimation using deep ensembles.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from pdeinv.model.learned import Estimate
from pdeinv.rng import stream
from pdeinv.typing import Array

from ..common.split import Index
from ..common.storage import under, within
from ..common.torch_env import seeded
from ..inverse.noising import Noised
from ..inverse.spread import mixed
from ..training.config import Data, Loss
from ..training.train import train
from ..training.weights import answers, from_arrays, in_double, to_arrays
from .modes import Seen
from .networks import BLOCK, absolute_error
from .rule import Course

__all__ = [
    "Made",
    "Members",
    "Scale",
    "Teaching",
    "facts_of",
    "restored_weights",
    "stored_weights",
    "taught_member",
    "taught_members",
]

FLOOR = 1e-4
"""Least error of a member, as a share of the standard deviation of all images."""


type Made = tuple[dict[str, Array], int]
"""Weights of a network, trained, and its epochs."""


def stored_weights(weights: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    """Those of several networks, for storage."""
    members = [under(f"member{k}.", dict(w)) for k, w in enumerate(weights)]
    return {name: a for member in members for name, a in member.items()}


def restored_weights(arrays: Mapping[str, Array], count: int) -> tuple[Mapping[str, Array], ...]:
    """The inverse of :func:`stored_weights`."""
    return tuple(within(f"member{k}.", arrays) for k in range(count))


def _fitted(course: Course, module: Any, data: Data, loss: Loss, seed: int, k: int) -> Made:
    """Network ``k`` trained, in a folder of its own where the run has one."""
    lesson = course.lesson
    folder = None if lesson.run.folder is None else lesson.run.folder / f"member{k}"
    run = replace(lesson.run, folder=folder)
    history = train(module, data, loss, lesson.config, seed, run)
    return to_arrays(module), history.summary()["epochs"]


def facts_of(made: Sequence[Made]) -> dict[str, Any]:
    """Epochs of each network and parameters of all, for the record."""
    return {"epochs": [epochs for _, epochs in made],
            "parameters": int(sum(a.size for w, _ in made for a in w.values()))}  # fmt: skip


@dataclass(frozen=True)
class Scale:
    """Of the images that networks give.

    Attributes:
        mean: of the training's, shape (p,).
        size: root mean square departure from it in the body.
        inside: 1 in the body, shape (p,).
    """

    mean: Array
    size: float
    inside: Array

    @classmethod
    def of(cls, course: Course, mean: Array | None = None) -> Scale:
        """That of all training samples, about their mean or another image."""
        images, inside = course.images(course.lesson.split.train), course.labels.inside
        mean = images.mean(axis=0) if mean is None else mean
        size = float(np.sqrt(np.mean((images - mean)[:, inside] ** 2))) or 1.0
        return cls(mean, size, inside.astype(np.float64))

    def target(self, images: Array) -> Array:
        """What a network is to say, 0 outside the body."""
        return self.inside * (images - self.mean) / self.size

    def arrays(self) -> dict[str, Array]:
        """For storage."""
        return {"mean": self.mean, "size": np.array([self.size]), "inside": self.inside}

    @classmethod
    def from_arrays(cls, a: Mapping[str, Array]) -> Scale:
        """The inverse of :meth:`arrays`."""
        return cls(a["mean"], float(a["size"][0]), a["inside"])


@dataclass(frozen=True)
class Members:
    """Trained networks of one kind.

    Attributes:
        reader: data to inputs of a network, shape (n, width).
        build: the network, without its weights.
        scale: of images.
        weights: of each network, by name.
        errors: root mean square error of each on what stopped it, shape (members, p).
        stored: numbers of the reader, for storage.
        facts: for the record.
    """

    reader: Callable[[Seen], Array]
    build: Callable[[], Any]
    scale: Scale
    weights: tuple[Mapping[str, Array], ...] = ()
    errors: Array = field(default_factory=lambda: np.zeros((0, 0)))
    stored: Mapping[str, Array] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def networks(self) -> list[Any]:
        """In double precision."""
        return [in_double(from_arrays(self.build, w)) for w in self.weights]

    def __call__(self, seen: Seen) -> Estimate:
        """Their even mixture."""
        inputs, scale = self.reader(seen), self.scale
        said = [scale.mean + scale.size * answers(one, inputs, BLOCK) for one in self.networks]
        return mixed([
            Estimate(mean, np.broadcast_to(error, mean.shape))
            for mean, error in zip(said, self.errors, strict=True)
        ])  # fmt: skip

    def arrays(self) -> dict[str, Array]:
        """All numbers."""
        scale = under("scale.", self.scale.arrays())
        return {**self.stored, **scale, **stored_weights(self.weights), "errors": self.errors}

    def restored(self, arrays: Mapping[str, Array]) -> Members:
        """With the weights and errors that :meth:`arrays` gave."""
        errors = arrays["errors"]
        return replace(self, weights=restored_weights(arrays, len(errors)), errors=errors)


@dataclass(frozen=True)
class Teaching:
    """What a kind does its own way when its networks are trained.

    Attributes:
        name: of the kind; names the streams of starting weights.
        members: how many.
        shown: inputs and a seed to what training shows of them.
        begun: a new network and inputs to the network that training begins with.
        paired: data of inputs and images, with the rows that train and those that stop, to what
            training sees.
        loss: of what the network says.
    """

    name: str
    members: int
    shown: Callable[[Array, int], Array] = lambda inputs, _: inputs
    begun: Callable[[Any, Array], Any] = lambda module, _: module
    paired: Callable[[Data, Index, Index], Data] = lambda data, *_: data
    loss: Loss = absolute_error


def taught_members(course: Course, raw: Members, teaching: Teaching) -> Members:
    """``raw`` with trained networks."""
    made = [taught_member(course, raw, teaching, k) for k in range(teaching.members)]
    weights = tuple(w for w, _ in made)
    found = replace(raw, weights=weights, facts={**raw.facts, **facts_of(made)})
    errors = [_error(course, replace(found, weights=(w,)), k) for k, w in enumerate(weights)]
    return replace(found, errors=np.stack(errors))


def _parts(course: Course, k: int) -> tuple[Index, Index, Seen]:
    """Samples that member ``k`` learns from, those that stop it, and noisy data of the latter."""
    mine, stop = course.parts(f"member-{k}")
    return mine, stop, course.measured(stop, f"stop-{k}")


def _error(course: Course, one: Members, k: int) -> Array:
    """Root mean square error of a member on the samples that stopped it, shape (p,)."""
    _, stop, seen = _parts(course, k)
    truth = course.images(stop)
    none = np.ones((1, truth.shape[1]))
    off = replace(one, errors=none)(seen).mean - truth
    return np.maximum(np.sqrt(np.mean(off**2, axis=0)), FLOOR * float(truth.std()))


def taught_member(course: Course, raw: Members, teaching: Teaching, k: int) -> Made:
    """Network ``k``, on its own draws of noise and stopped by its own samples."""
    seed = int(stream(course.lesson.seed, "member", k).integers(2**31))
    mine, stop, seen = _parts(course, k)

    def encode(data: Array, levels: Array) -> Array:
        return teaching.shown(raw.reader(Seen(data, levels)), seed)

    inputs = raw.reader(seen)
    noised = Noised(course.values(mine), course.law, encode, seed, inputs.shape[1])
    shown, held = (raw.scale.target(course.images(rows)) for rows in (mine, stop))
    module = teaching.begun(seeded(seed, teaching.name, k, raw.build), inputs)
    data = teaching.paired(Data(noised, shown, inputs, held), mine, stop)
    return _fitted(course, module, data, teaching.loss, seed, k)
