"""What a surrogate learns from and how, checked; and where it is used afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from pdeinv.bayes.prior import Prior
from pdeinv.config import Config
from pdeinv.errors import DataSchemaError
from pdeinv.io.datasets import TrainingSet
from pdeinv.model.observed import Sensors
from pdeinv.plugins.fitting import FitRun
from pdeinv.plugins.problem import Problem
from pdeinv.typing import Array

from .identity import Identity
from .record import Record
from .scaling import constant, reference_noise
from .split import Index, Split

__all__ = ["Lesson", "LessonConfig", "Where"]

FEWEST = 5
"""Samples of which one each stops the training and is held out, and three train (a member of
``inverse-cnn`` takes one each of those to train, to stop by and to see besides)."""


class LessonConfig(Config):
    """The option that every surrogate has.

    Attributes:
        free: options, at any depth, that may change when a training is resumed.
    """

    free: ClassVar[tuple[str, ...]] = ()

    noise_rel: float = Field(
        0.02,
        gt=0,
        description="σ as a share of the data's standard deviation, where no σ is known",
    )


@dataclass(frozen=True)
class Where:
    """Where a surrogate is asked.

    Attributes:
        problem: the one that it was trained for.
        prior: likewise.
        sensors: places of the data; None for all that it was trained at, in their order.
    """

    problem: Problem
    prior: Prior
    sensors: Sensors | None = None

    def chosen(self, identity: Identity) -> Index | slice:
        """The positions of the sensors among the trained ones.

        Raises:
            SurrogateRejected: a sensor is not among them.
        """
        return slice(None) if self.sensors is None else identity.select(self.sensors)


@dataclass(frozen=True)
class Lesson:
    """One fit: its data, options and seed.

    Attributes:
        dataset: all samples.
        problem: the one that they belong to.
        config: the surrogate's options.
        seed: root seed.
        run: device, checkpoints, progress, stopping.
        split: which samples serve what.
    """

    dataset: TrainingSet
    problem: Problem
    config: Any
    seed: int
    run: FitRun
    split: Split

    def check(self) -> None:
        """Refuse data of another problem, and too few of them.

        Raises:
            SurrogateRejected: names the first difference.
            DataSchemaError: some use of samples would be left without any, or all samples have the
                same data.
        """
        Identity.of_dataset(self.dataset).check(self.problem, self.problem.prior())
        if self.dataset.size < FEWEST and self.dataset.values.size:
            raise DataSchemaError(
                f"expected at least {FEWEST} solved samples, to train on and to hold out, got "
                f"{self.dataset.size}; generate more (--n)"
            )
        if self.dataset.values.size and constant(self.dataset.values).all():
            raise DataSchemaError(
                f"all {self.dataset.size} samples have the same data: they do not depend on the "
                "unknown, so that there is nothing to learn; choose other sensors or times"
            )

    @cached_property
    def noise_std(self) -> Array:
        """σ that errors are weighed against, (n_obs,): as given, of the data set, or a share."""
        if not self.dataset.values.size:
            return np.zeros(0)
        known = self.dataset.noise_std if self.run.noise_std is None else self.run.noise_std
        kinds = self.problem.observed.numbers(self.dataset.sensors)
        return reference_noise(self.values, known, self.config.noise_rel, kinds)

    @property
    def xi(self) -> Array:
        """Those of the training samples, shape (n, dim)."""
        return self.dataset.xi[self.split.train]

    @property
    def values(self) -> Array:
        """Data of the training samples, shape (n, n_obs)."""
        return self.dataset.values[self.split.train]

    @property
    def where(self) -> Where:
        """Where the data are."""
        return Where(self.problem, self.problem.prior())

    def record(self, kind: Any, extra: Mapping[str, Any], **known: Any) -> Record:
        """The metadata of what ``kind`` learned here.

        Args:
            kind: class of the surrogate.
            extra: further facts.
            **known: what differs: ``sizes``, or ``errors`` where they are known already.
        """
        xi, data = self.xi, self.dataset
        facts = {"sizes": self.split.sizes, "errors": {}, **known}
        unmoved = int(constant(self.values).sum())
        return Record(
            kind.name,
            Identity.of_dataset(data),
            np.min(xi, axis=0),
            np.max(xi, axis=0),
            self.noise_std,
            self.config.model_dump(mode="json"),
            self.seed,
            data.digest,
            data.level,
            extra={**({"constant_data": unmoved} if unmoved else {}), **extra},
            role=kind.role,
            **facts,
        )
