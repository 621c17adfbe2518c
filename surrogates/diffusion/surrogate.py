"""A learned prior of a field on a plane grid: a denoiser that is trained on fields alone.

The field is ln m where the unknown is positive whatever it is, else m. Its law is learned, the
problem's own prior counts no more: phases stay phases, and yet the unknown has a derivative.

Reference: Karras, Aittala, Aila and Laine (2022), Elucidating the design space of diffusion-based
generative models.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field

from pdeinv.bayes.fields.base import IndependentField
from pdeinv.bayes.fields.grid import RegularGrid
from pdeinv.bayes.prior import FieldPrior, Prior, positive
from pdeinv.bayes.transforms import Exponential, Identity
from pdeinv.config import Width
from pdeinv.errors import DataSchemaError
from pdeinv.io.unknown_samples import check_unknowns, unknowns_of
from pdeinv.model.learned import Role
from pdeinv.model.observed import Sensors
from pdeinv.model.spaces import Variable
from pdeinv.plugins.problem import Problem
from pdeinv.rng import stream
from pdeinv.typing import Array

from ..common.lesson import Lesson
from ..common.record import Judgement, Record
from ..common.storage import under, within
from ..common.torch_env import seeded
from ..common.trained import Trained
from ..training.config import Data, TrainingConfig
from ..training.train import train
from ..training.weights import from_arrays, in_double, to_arrays
from .bound import LearnedLaw
from .cosines import Cosines, NoisyFields, stratified
from .network import Backbone, build, level_loss

__all__ = ["DiffusionPrior", "DiffusionPriorConfig"]

FEWEST = 50
"""Fields without which there is no law to learn."""

JUDGED = (0.1, 0.3, 1.0, 3.0)
"""Levels of noise at which held-out fields are denoised."""


class DiffusionPriorConfig(TrainingConfig):
    """Options of ``diffusion-prior``."""

    epochs: int = Field(200, ge=1, description="passes over the training samples at most")
    batch_size: int = Field(32, ge=1, description="samples of one gradient step, on all devices")
    learning_rate: float = Field(1e-3, gt=0, description="at the start; follows half a cosine to 0")
    ema: float = Field(0.995, ge=0, lt=1, description="memory of the averaged weights; 0: none")
    patience: int = Field(50, ge=1, description="epochs without improvement before stopping")
    width: Width = Field(32, description="channels of the finest scale")
    scales: int = Field(3, ge=1, le=6, description="grids of the network, each half as fine")
    backbone: Literal["unet", "uno"] = Field(
        "unet", description="convolutions, for the grid of the training; uno: any grid"
    )
    modes: int = Field(16, ge=4, le=128, description="cosines along a side that uno's layers keep")
    decay: float = Field(
        1.1, gt=1, le=4, description="the noise's amplitude falls as frequency to minus this"
    )


@dataclass(frozen=True)
class DiffusionPrior(Trained):
    """A trained denoiser with its coordinates.

    Attributes:
        cosines: from ζ to fields.
        weights: of the network, by name.
    """

    cosines: Cosines
    weights: Mapping[str, Array]

    name = "diffusion-prior"
    Config = DiffusionPriorConfig
    role = Role.DENOISER
    learns_fields = True
    packages = frozenset({"torch"})

    @classmethod
    def needs(cls, config: Mapping[str, Any], training: bool) -> frozenset[str]:
        """torch, to train and to use."""
        return cls.packages

    @classmethod
    def learn(cls, lesson: Lesson) -> Self:
        """Train the denoiser.

        Raises:
            DataSchemaError: the unknown is no field on a plane grid, too few fields, or none that
                can be learned from.
            Preempted: a stop was asked for; the training is saved.
            RunFailed: the loss is not finite.
        """
        config, seed, split = lesson.config, lesson.seed, lesson.split
        fields, grid = _fields(lesson), _grid(lesson.problem.prior())
        cosines = Cosines.fit(fields[split.train], grid, config.decay)
        zeta = cosines.zeta(fields)
        valid, truth = stratified(zeta[split.valid], seed)
        target = (fields - cosines.mean) / cosines.size
        backbone = _backbone(config.model_dump())
        module = seeded(seed, cls.name, 0, lambda: build(cosines, backbone))
        data = Data(
            NoisyFields(zeta[split.train], seed),
            target[split.train],
            valid,
            cosines.centred(truth) / cosines.size,
        )
        history = train(module, data, level_loss, config, seed, lesson.run)
        weights = to_arrays(module)
        extra = {
            **history.summary(),
            "grid": list(cosines.shape),
            "log": _logarithmic(lesson.problem.prior()),
            "parameters": int(sum(a.size for a in weights.values())),
        }
        return cls(lesson.record(cls, extra), cosines, weights)

    def judge(self, lesson: Lesson) -> Judgement:
        """Errors of held-out fields denoised at some levels, in those of the Wiener filter."""
        fields = _fields(lesson)[lesson.split.test]
        zeta = self.cosines.zeta(fields)
        law = self._law(lesson.problem.prior())
        noise = stream(lesson.seed, "judge").standard_normal(zeta.shape)
        ratios = {s: _ratio(law, self.cosines, zeta, s * noise, s) for s in JUDGED}
        mean = float(np.exp(np.mean(np.log(list(ratios.values())))))
        told = {f"at_{s:g}": r for s, r in ratios.items()}
        return Judgement({"error_over_wiener": mean}, {"error_over_wiener": told})

    @cached_property
    def network(self) -> Any:
        """In double precision."""
        return self._network(self.cosines)

    def _network(self, cosines: Cosines) -> Any:
        backbone = _backbone(self.record.config)
        return in_double(from_arrays(lambda: build(cosines, backbone, self.cosines), self.weights))

    def _law(self, prior: Prior) -> LearnedLaw:
        transform = Exponential() if _logarithmic(prior) else Identity()
        cosines, network = self.cosines, self.network
        if cosines.shape != (grid := _grid(prior)).shape:
            cosines = cosines.on(grid, float(self.record.config["decay"]))
            network = self._network(cosines)
        own = FieldPrior(prior.space, cosines.field, transform)
        return LearnedLaw(network, cosines, own, self.cosines.size)

    def arrays(self) -> dict[str, Array]:
        """Coordinates and weights."""
        return {**under("cosines.", self.cosines.arrays()), **under("network.", self.weights)}

    @classmethod
    def restored(cls, arrays: Mapping[str, Array], record: Record) -> Self:
        """The inverse of :meth:`arrays`."""
        cosines = Cosines.from_arrays(within("cosines.", arrays))
        return cls(record, cosines, within("network.", arrays))

    def bind(self, problem: Problem, prior: Prior, sensors: Sensors) -> LearnedLaw:
        """The law of the unknown, whatever is measured where and on which mesh.

        That of backbone ``uno`` on any grid of the unknown.

        Raises:
            SurrogateRejected: trained for another problem, configuration or prior.
        """
        free = _backbone(self.record.config).kind == "uno"
        self.record.identity.check_fields(problem, prior, grid=not free)
        return self._law(prior)


def _backbone(config: Mapping[str, Any]) -> Backbone:
    """As configured; trainings of before the choice have convolutions."""
    kind, modes = str(config.get("backbone", "unet")), int(config.get("modes", 16))
    return Backbone(kind, int(config["width"]), int(config["scales"]), modes)


def _ratio(law: LearnedLaw, cosines: Cosines, zeta: Array, noise: Array, level: float) -> float:
    """The error of the fields in that of the Wiener filter."""
    noisy = zeta + noise
    off = [cosines.centred(d - zeta) for d in (law(noisy, level), cosines.wiener(noisy, level))]
    learned, linear = (float(np.sqrt(np.mean(o**2))) for o in off)
    return learned / linear


def _logarithmic(prior: Prior) -> bool:
    """Whether the law of ln m is learned."""
    return bool(positive(prior).all())


def _grid(prior: Prior) -> RegularGrid:
    """Where the unknown lives.

    Raises:
        DataSchemaError: on no regular grid of nodes in the plane.
    """
    variable = prior.space.variables[0]
    axes = _axes(variable)
    field = isinstance(prior, FieldPrior) and not isinstance(prior.field, IndependentField)
    if len(prior.space.variables) > 1 or len(axes) != 2 or not field:
        raise DataSchemaError(
            f"a learned prior is one of a field on a plane grid of nodes, and the unknown "
            f"{', '.join(prior.space.names)} on ({', '.join(variable.dims)}) is none; set "
            "problem.unknown to a field on a grid (log-gaussian, gaussian, two-phase, level-set)"
        )
    extent = tuple((float(a[0]), float(a[-1])) for a in axes)
    return RegularGrid(extent, tuple(len(a) for a in axes))


def _axes(variable: Variable) -> list[Array]:
    """Coordinates along x, y, where each dimension has one."""
    found = [variable.coords[d][1] for d in variable.dims[::-1] if d in variable.coords]
    return found if len(found) == len(variable.dims) else []


def _fields(lesson: Lesson) -> Array:
    """ln m or m of all samples, shape (n, p).

    Raises:
        DataSchemaError: too few, not finite, or not positive where their logarithm is wanted.
    """
    prior, data = lesson.problem.prior(), lesson.dataset
    _grid(prior)
    if data.size < FEWEST:
        raise DataSchemaError(
            f"surrogate 'diffusion-prior' needs at least {FEWEST} fields, got {data.size}; "
            "give it more (generate --n)"
        )
    m = unknowns_of(data, prior)
    check_unknowns(m, prior)
    return np.asarray(np.log(m) if _logarithmic(prior) else m)
