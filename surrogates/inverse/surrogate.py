"""A learned prior: networks from the data of one measurement to mean and spread of ξ.

Three networks are trained on simulations with fresh noise in every epoch, each to the Gaussian that
explains ξ best. What they say together has a spread, which samples that none of them saw calibrate
(:mod:`.spread`). An engine begins there (``invert --surrogate``); its posterior stays what it is.

Reference: Weidner et al. (2024), A learnable prior improves inverse tumor growth modeling.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field

from pdeinv.bayes.bands import coverage
from pdeinv.bayes.posterior import xi_space
from pdeinv.bayes.prior import Prior
from pdeinv.config import Width
from pdeinv.errors import ConfigError
from pdeinv.model.learned import Estimate, Role
from pdeinv.model.observed import Sensors
from pdeinv.plugins.problem import Problem
from pdeinv.rng import stream
from pdeinv.typing import Array

from ..common.identity import OF_DATA
from ..common.lesson import Lesson
from ..common.record import Judgement, Record
from ..common.split import Split
from ..common.storage import under, within
from ..common.torch_env import seeded
from ..common.trained import Trained
from ..training.config import Data, TrainingConfig
from ..training.train import train
from ..training.weights import from_arrays, in_double, to_arrays
from .bound import BoundInverse, asked
from .inputs import Images, Inputs, Modes, inputs_from, lattice
from .network import build, gaussian_loss
from .noise_range import NoiseRange
from .noising import Noised, NoiseLaw, noise_law
from .spread import conformal_factor

__all__ = ["InverseCnn", "InverseCnnConfig"]


class InverseCnnConfig(TrainingConfig):
    """Options of ``inverse-cnn``."""

    epochs: int = Field(200, ge=1, description="passes over the training samples at most")
    patience: int = Field(40, ge=1, description="epochs without improvement before stopping")
    learning_rate: float = Field(2e-3, gt=0, description="at the start; follows half a cosine to 0")
    members: int = Field(3, ge=1, le=100, description="networks, each with a seed of its own")
    inputs: Literal["images", "modes"] | None = Field(
        None,
        description="coarse images of data on a lattice, or coefficients of their modes; unset: "
        "images of data on a lattice whose noise is not additive, such as masks, else modes",
    )
    cells: Annotated[int, Field(ge=4, le=64)] = Field(
        12, description="of an image, along each axis at most"
    )
    modes: Width = Field(64, description="of the data, at most")
    width: Width = Field(12, description="channels of the first convolution")
    widths: tuple[Width, ...] = Field((64, 64), min_length=1, description="linear layers")
    noise_range: NoiseRange = (0.3, 3.0)
    share: float = Field(
        0.1, gt=0, lt=0.4, description="of the samples that calibrate, and as many that test"
    )


@dataclass(frozen=True)
class InverseCnn(Trained):
    """Trained networks with all that is needed to use them again.

    Attributes:
        inputs: data to inputs of a network.
        weights: of each network, by name.
        factor: that standard deviations are multiplied by, shape (dim,).
    """

    inputs: Inputs
    weights: tuple[Mapping[str, Array], ...]
    factor: Array

    name = "inverse-cnn"
    Config = InverseCnnConfig
    role = Role.INVERSE
    packages = frozenset({"torch"})

    @classmethod
    def needs(cls, config: Mapping[str, Any], training: bool) -> frozenset[str]:
        """torch, to train and to use."""
        return cls.packages

    @classmethod
    def split(cls, n: int, seed: int, config: Any) -> Split:
        """Members see the first part alone; the second calibrates."""
        return Split.of(n, seed, config.share)

    @classmethod
    def learn(cls, lesson: Lesson) -> Self:
        """Train the members one after the other, then calibrate what they say together.

        Raises:
            ConfigError: images are asked for and the data lie on no lattice, or their likelihood is
                a score.
            Preempted: a stop was asked for; the training is saved.
            RunFailed: the loss is not finite.
        """
        law = _law(lesson)
        inputs = _inputs(lesson, law)
        members, epochs = [], []
        for k in range(lesson.config.members):
            module, count = _member(lesson, law, inputs, k)
            members.append(to_arrays(module))
            epochs.append(count)
        size = sum(a.size for a in members[0].values())
        extra = {
            "inputs": "images" if isinstance(inputs, Images) else "modes",
            "input_shape": list(inputs.shape),
            "parameters": int(size * len(members)),
            "epochs": epochs,
        }
        dim = lesson.xi.shape[1]
        raw = cls(lesson.record(cls, extra), inputs, tuple(members), np.ones(dim))
        return raw._calibrated(lesson, law)

    def _calibrated(self, lesson: Lesson, law: NoiseLaw) -> Self:
        rows = lesson.split.valid
        found, truth = self._said(lesson, law, rows, "calibration"), lesson.dataset.xi[rows]
        factor = conformal_factor(found, truth)
        told = {"conformal_factor": factor.tolist(), "calibrated_on": len(rows)}
        extra = {**self.record.extra, **told}
        return replace(self, factor=factor, record=replace(self.record, extra=extra))

    def _said(self, lesson: Lesson, law: NoiseLaw, rows: Any, name: str) -> Estimate:
        """Estimates of samples with noise of a named stream."""
        data, levels = law.rows(lesson.dataset.values[rows], lesson.seed, name)
        inputs = np.concatenate([levels[:, None], self.inputs(data)], axis=1)
        found = asked(self._networks(), inputs)
        return Estimate(found.mean, found.std * self.factor)

    def judge(self, lesson: Lesson) -> Judgement:
        """Errors of ξ on samples with noise that nothing has seen, the prior's rms being 1."""
        rows = lesson.split.test
        found = self._said(lesson, _law(lesson), rows, "test")
        truth = lesson.dataset.xi[rows]
        error = found.mean - truth
        raw = Estimate(found.mean, found.std / self.factor)
        return Judgement(
            {
                "xi_rms": float(np.sqrt(np.mean(error**2))),
                "xi_rms_over_std": float(np.sqrt(np.mean((error / found.std) ** 2))),
                "coverage_90": coverage(found, truth),
            },
            {
                "xi_rms_each": np.sqrt(np.mean(error**2, axis=0)).tolist(),
                "coverage_90_uncalibrated": coverage(raw, truth),
            },
        )

    def _networks(self) -> list[Any]:
        dim, config = len(self.factor), self.Config.model_validate(self.record.config)

        def network() -> Any:
            return build(self.inputs.shape, dim, config.width, config.widths)

        return [in_double(from_arrays(network, w)) for w in self.weights]

    def arrays(self) -> dict[str, Array]:
        """Weights by member, scales of the inputs and the factor."""
        members = [under(f"member{k}.", dict(w)) for k, w in enumerate(self.weights)]
        found = {name: array for member in members for name, array in member.items()}
        return {**found, **under("inputs.", self.inputs.arrays()), "factor": self.factor}

    @classmethod
    def restored(cls, arrays: Mapping[str, Array], record: Record) -> Self:
        """The inverse of :meth:`arrays`."""
        count = int(record.config["members"])
        members = tuple(within(f"member{k}.", arrays) for k in range(count))
        return cls(record, inputs_from(within("inputs.", arrays)), members, arrays["factor"])

    def bind(self, problem: Problem, prior: Prior, sensors: Sensors) -> BoundInverse:
        """The inverse for data at some of the trained sensors, in any order.

        Raises:
            SurrogateRejected: trained for another problem, prior or other sensors.
        """
        identity, record = self.record.identity, self.record
        identity.check(problem, prior)
        chosen = identity.select(sensors, OF_DATA)
        trained = {c: np.asarray(v) for c, v in identity.sensors.items()}
        low, high = record.config["noise_range"]
        law = noise_law(problem, trained, record.noise_std, (float(low), float(high)))
        space = identity.observed.space(sensors)
        return BoundInverse(
            self._networks(), self.inputs, law, self.factor, chosen,
            xi_space(prior.dim), space,
        )  # fmt: skip


def _law(lesson: Lesson) -> NoiseLaw:
    low, high = lesson.config.noise_range
    return noise_law(lesson.problem, lesson.dataset.sensors, lesson.noise_std, (low, high))


def _inputs(lesson: Lesson, law: NoiseLaw) -> Inputs:
    """Scaled by training samples, as they would be measured once.

    Raises:
        ConfigError: images are asked for and the data lie on no lattice.
    """
    config, asked_for = lesson.config, lesson.config.inputs
    found = lattice(lesson.dataset.sensors, lesson.problem.axes)
    if asked_for == "images" and found is None:
        raise ConfigError(
            "surrogate.inputs = images needs data on a lattice in two or three dimensions; use "
            "sensors such as grid:24, or inputs = modes"
        )
    data, _ = law.rows(lesson.values, lesson.seed, "scale")
    if found is not None and (asked_for == "images" or (asked_for is None and not law.additive)):
        return Images.fit(found, config.cells, data)
    if law.additive:
        return Modes.fit(lesson.values, lesson.noise_std, config.modes, data)
    return Modes.fit(data, np.maximum(data.std(axis=0), 1e-3), config.modes, data)


def _member(lesson: Lesson, law: NoiseLaw, inputs: Inputs, k: int) -> tuple[Any, int]:
    """Network ``k``, trained, and its epochs."""
    config, run = lesson.config, lesson.run
    seed = int(stream(lesson.seed, "member", k).integers(2**31))
    own = Split.of(len(lesson.xi), seed)
    mine = np.sort(np.concatenate([own.train, own.test]))

    def encode(data: Array, levels: Array) -> Array:
        return np.concatenate([levels[:, None], inputs(data)], axis=1)

    values, xi = lesson.values, lesson.xi
    noised = Noised(values[mine], law, encode, seed, 1 + int(np.prod(inputs.shape)))
    valid = encode(*law.rows(values[own.valid], seed, "valid"))
    dim, name = xi.shape[1], InverseCnn.name
    module = seeded(seed, name, k, lambda: build(inputs.shape, dim, config.width, config.widths))
    folder = None if run.folder is None else run.folder / f"member{k}"
    data = Data(noised, xi[mine], valid, xi[own.valid])
    history = train(module, data, gaussian_loss, config, seed, replace(run, folder=folder))
    return module, history.summary()["epochs"]
