"""What all reconstructions have in common: noise, images, calibration, judgement, binding.

A kind states its options and how its rule is taught and restored. Standard deviations of the rule
are multiplied by a factor at each node, set by samples that the rule has not seen, so that bands of
90 % hold the truth there that often (split conformal prediction). The same samples say how odd
data of the family are.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from pydantic import Field

from pdeinv.bayes.bands import coverage, image_errors
from pdeinv.bayes.likeness import share_as_odd
from pdeinv.bayes.prior import Prior
from pdeinv.config import Width
from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.model.learned import Estimate, Family, Role
from pdeinv.model.observed import Sensors
from pdeinv.plugins.problem import Problem
from pdeinv.rng import stream
from pdeinv.typing import Array

from ..common.identity import OF_DATA
from ..common.lesson import Lesson, LessonConfig
from ..common.record import Judgement, Record
from ..common.split import Split
from ..common.storage import under, within
from ..common.trained import Trained
from ..inverse.noise_range import NoiseRange
from ..inverse.noising import NoiseLaw, noise_law
from ..inverse.spread import conformal_factor
from .bound import BoundImages
from .image_modes import image_family
from .labels import Labels
from .modes import DataModes, Seen
from .rule import Course, Rule

__all__ = ["ImageConfig", "Reconstruction"]

CALIBRATE = 200
"""Samples that calibrate, where there are four times as many."""

FEWEST = 20
"""Samples without which nothing can be learned, tuned, calibrated and tested."""

LEAST_FACTOR = 0.1
"""Of the rule's own standard deviation: nodes where images hardly differ are no certainty."""


class ImageConfig(LessonConfig):
    """Options that every reconstruction has."""

    noise_range: NoiseRange = (0.2, 5.0)
    data_modes: Width = Field(256, description="of the data, at most")
    image_modes: Width = Field(
        100, description="of the images, at most: the family that polish 'family' searches"
    )
    share: float = Field(
        0.1, gt=0, lt=0.4, description="of the samples that test; 200, or a quarter, calibrate"
    )


@dataclass(frozen=True)
class Reconstruction(Trained):
    """A calibrated rule from data to images.

    Attributes:
        labels: where images lie.
        data: the family of data.
        family: that of images.
        rule: from data to images.
        factor: that its standard deviations are multiplied by, shape (p,).
        oddities: of held-out data, rising, shape (n,).
    """

    labels: Labels
    data: DataModes
    family: Family
    rule: Rule
    factor: Array
    oddities: Array

    role = Role.INVERSE
    learns_fields = True

    # --- what a kind states -----------------------------------------------------------------------

    @classmethod
    @abstractmethod
    def taught(cls, course: Course) -> Rule:
        """The rule, learned."""

    @classmethod
    @abstractmethod
    def rule_of(cls, arrays: Mapping[str, Array], data: DataModes, record: Record) -> Rule:
        """The rule of its stored arrays."""

    # --- what follows -----------------------------------------------------------------------------

    @classmethod
    def needs(cls, config: Mapping[str, Any], training: bool) -> frozenset[str]:
        """A network is needed to use it as well."""
        return cls.packages

    @classmethod
    def split(cls, n: int, seed: int, config: Any) -> Split:
        """Rules see the first part alone; the second calibrates."""
        order = stream(seed, "split").permutation(n)
        k = max(1, min(CALIBRATE, n // 4))
        last = k + max(1, round(config.share * n))
        return Split(np.sort(order[last:]), np.sort(order[:k]), np.sort(order[k:last]))

    @classmethod
    def learn(cls, lesson: Lesson) -> Self:
        """Teach the rule, then calibrate.

        Raises:
            ConfigError: the noise of the data is not additive.
            DataSchemaError: too few samples, or no images among them.
        """
        if lesson.dataset.size < FEWEST:
            raise DataSchemaError(
                f"surrogate '{cls.name}' needs at least {FEWEST} solved samples, got "
                f"{lesson.dataset.size}; generate more (--n)"
            )
        law, labels = _law(lesson), Labels.of(lesson.dataset, lesson.problem, lesson.split.train)
        data = DataModes.fit(lesson.values, law.std, lesson.config.data_modes)
        course = Course(lesson, labels, law, data)
        rule = cls.taught(course)
        facts = {"image_shape": list(labels.shape), "data_modes": len(data.variance)}
        record = lesson.record(cls, {**facts, **getattr(rule, "facts", {})})
        family = image_family(course.images(lesson.split.train), lesson.config.image_modes)
        raw = cls(record, labels, data, family, rule, np.ones(len(labels.inside)), np.zeros(0))
        return raw._calibrated(course)

    def _calibrated(self, course: Course) -> Self:
        rows = course.lesson.split.valid
        seen, truth = course.measured(rows, "calibration"), course.images(rows)
        factor = np.maximum(conformal_factor(self.estimate(seen), truth), LEAST_FACTOR)
        extra = {**self.record.extra, "calibrated_on": len(rows)}
        record = replace(self.record, extra=extra)
        return replace(self, record=record, factor=factor, oddities=np.sort(self.data.oddity(seen)))

    def estimate(self, seen: Seen) -> Estimate:
        """Images with their calibrated spread, and how alike the data are to the training's."""
        found = self.rule(seen)
        likeness = share_as_odd(self.oddities, self.data.oddity(seen))
        mean = self.labels.within(found.mean)
        return Estimate(mean, found.std * self.factor, "grid", likeness, self.family)

    def judge(self, lesson: Lesson) -> Judgement:
        """Relative errors of images in the body on data that nothing has seen, with noise."""
        course = Course(lesson, self.labels, _law(lesson), self.data)
        rows, inside = lesson.split.test, self.labels.inside
        found, truth = self.estimate(course.measured(rows, "test")), course.images(rows)
        body = Estimate(found.mean[:, inside], found.std[:, inside])
        return Judgement({**image_errors(body.mean, truth[:, inside]),
                          "coverage_90": coverage(body, truth[:, inside])})  # fmt: skip

    def arrays(self) -> dict[str, Array]:
        """Images' nodes, data's modes, the rule, and what calibrates them."""
        return {
            **under("labels.", self.labels.arrays()),
            **under("data.", self.data.arrays()),
            **under("rule.", self.rule.arrays()),
            "family_mean": self.family.mean,
            "family_modes": self.family.modes,
            "factor": self.factor,
            "oddities": self.oddities,
        }

    @classmethod
    def restored(cls, arrays: Mapping[str, Array], record: Record) -> Self:
        """The inverse of :meth:`arrays`."""
        data = DataModes.from_arrays(within("data.", arrays))
        labels = Labels.from_arrays(within("labels.", arrays))
        rule = cls.rule_of(within("rule.", arrays), data, record)
        family = Family(arrays["family_mean"], arrays["family_modes"])
        return cls(record, labels, data, family, rule, arrays["factor"], arrays["oddities"])

    def bind(self, problem: Problem, prior: Prior, sensors: Sensors) -> BoundImages:
        """The inverse for data at some of the trained sensors, in any order.

        The unknown of the problem may be another than that of the training: images are of the
        coefficient itself.

        Raises:
            SurrogateRejected: trained for another problem, body or protocol, or other sensors.
        """
        identity = self.record.identity
        identity.check_setup(problem)
        chosen, config = identity.select(sensors, OF_DATA), self.record.config["noise_range"]
        law = NoiseLaw(None, self.data.std, (float(config[0]), float(config[1])))
        space = identity.observed.space(sensors)
        return BoundImages(self.estimate, law, chosen, self.labels.space, space)


def _law(lesson: Lesson) -> NoiseLaw:
    """How data scatter.

    Raises:
        ConfigError: not by additive noise.
    """
    low, high = lesson.config.noise_range
    law = noise_law(lesson.problem, lesson.dataset.sensors, lesson.noise_std, (low, high))
    if not law.additive:
        raise ConfigError(
            "reconstructions are linear in data with additive noise, and these have another "
            "likelihood; use surrogate 'inverse-cnn'"
        )
    return law
