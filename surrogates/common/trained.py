"""What everything that is trained has in common: fit, save, load, bind and metadata, once.

A surrogate's own file holds its options and what only it knows: how it learns (``learn``), which
arrays it is made of (``arrays``, ``restored``), and what it is at given sensors (``emulator``).
"""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from pdeinv.bayes.prior import Prior
from pdeinv.errors import CapabilityError, DataSchemaError, PdeinvError, reason
from pdeinv.io.datasets import TrainingSet
from pdeinv.model.learned import Role
from pdeinv.model.observed import Sensors
from pdeinv.plugins.fitting import FitRun
from pdeinv.plugins.problem import Problem
from pdeinv.plugins.surrogate import Bound, SolvedPairs
from pdeinv.typing import Array

from .bound import BoundModel, Emulator, RangeWatch
from .lesson import Lesson, LessonConfig, Where
from .record import Judgement, Record, heldout_errors
from .split import Split
from .storage import complete, load_folder, save_folder

__all__ = ["Trained"]


@dataclass(frozen=True)
class Trained(metaclass=ABCMeta):
    """A trained member of any role; see :class:`pdeinv.plugins.surrogate.Surrogate`.

    Members of role ``forward`` get held-out errors and ``bind`` from ``emulator``; others overwrite
    :meth:`judge` and :meth:`bind`.

    Attributes:
        record: metadata.
    """

    record: Record

    name: ClassVar[str]
    Config: ClassVar[type[LessonConfig]]
    role: ClassVar[Role] = Role.FORWARD
    learns_fields: ClassVar[bool] = False
    learns_pairs: ClassVar[bool] = False
    packages: ClassVar[frozenset[str]] = frozenset()
    """What its training needs beyond the packages that pdeinv always has."""

    # --- what a kind states ---------------------------------------------------------------------

    @classmethod
    @abstractmethod
    def learn(cls, lesson: Lesson) -> Self:
        """Learn from the samples ``lesson.split.train``; see ``Surrogate.fit`` for errors."""

    @abstractmethod
    def arrays(self) -> Mapping[str, Array]:
        """All numbers, by name, for storage."""

    @classmethod
    @abstractmethod
    def restored(cls, arrays: Mapping[str, Array], record: Record) -> Self:
        """The inverse of :meth:`arrays`.

        Raises:
            KeyError, TypeError, ValueError: something is missing or of another kind.
        """

    def emulator(self, where: Where) -> Emulator:
        """The map from xi to the data there.

        Raises:
            SurrogateRejected: a sensor that it cannot predict.
        """
        raise NotImplementedError(f"'{self.name}' is no forward model")

    @classmethod
    def split(cls, n: int, seed: int, config: Any) -> Split:
        """How ``n`` samples are used."""
        return Split.of(n, seed)

    @classmethod
    def needs(cls, config: Mapping[str, Any], training: bool) -> frozenset[str]:
        """The packages that it cannot work without; a trained one needs none unless it says so."""
        return cls.packages if training else frozenset()

    @classmethod
    def shares_work(cls, config: Any) -> bool:
        """Networks do: each process takes its share of every minibatch."""
        return "torch" in cls.packages

    # --- what follows ---------------------------------------------------------------------------

    @classmethod
    def fit(
        cls,
        dataset: TrainingSet,
        problem: Problem,
        config: Any,
        seed: int,
        run: FitRun | None = None,
    ) -> Self:
        """Learn from a data set, and measure the errors on what was held out.

        Raises:
            SurrogateRejected: the data set belongs to another problem.
            PdeinvError: as the kind says.
        """
        split = cls.split(dataset.size, seed, config)
        lesson = Lesson(dataset, problem, config, seed, run or FitRun(), split)
        lesson.check()
        fitted = cls.learn(lesson)
        return replace(fitted, record=fitted.record.judged(fitted.judge(lesson)))

    @classmethod
    def from_pairs(cls, problem: Problem, pairs: SolvedPairs, config: Any, seed: int) -> Self:
        """Refused, unless the kind can.

        Raises:
            CapabilityError: always.
        """
        raise CapabilityError(
            f"surrogate '{cls.name}' does not learn from a few pairs; use 'multifidelity', or "
            "'train-surrogate' with a data set"
        )

    def judge(self, lesson: Lesson) -> Judgement:
        """Errors on the samples ``lesson.split.test``."""
        test = lesson.split.test
        found = self.emulator(lesson.where)(lesson.dataset.xi[test])
        true, mean = lesson.dataset.values[test], lesson.values.mean(axis=0)
        return Judgement(heldout_errors(found, true, lesson.noise_std, mean))

    @property
    def metadata(self) -> Mapping[str, Any]:
        """See :class:`.record.Record`."""
        return self.record.as_json()

    def save(self, folder: Path) -> None:
        """Write :meth:`arrays` as safetensors and the metadata as JSON."""
        save_folder(folder, self.arrays(), self.record.as_json())

    @classmethod
    def load(cls, folder: Path) -> Self:
        """What :meth:`save` wrote.

        Raises:
            DataSchemaError: the folder does not hold such a surrogate.
        """
        arrays, metadata = load_folder(folder, cls.name)
        record = Record.from_json(metadata, folder)
        with complete(folder):
            return cls.restored(arrays, record)

    def bind(self, problem: Problem, prior: Prior, sensors: Sensors) -> Bound:
        """The emulator as a forward model on xi.

        Raises:
            SurrogateRejected: trained for another problem, prior or sensor set.
        """
        self.record.identity.check(problem, prior)
        return self.bound(self.emulator(Where(problem, prior, sensors)), prior, sensors)

    def bound(self, emulator: Emulator, prior: Prior, sensors: Sensors) -> BoundModel:
        """An emulator as a forward model that watches the trained range.

        Raises:
            DataSchemaError: its arrays do not fit together, so that nothing can be predicted.
        """
        space = self.record.identity.observed.space(sensors)
        _check_tried(emulator, self.record, prior.dim, space.size)
        return BoundModel(
            emulator,
            prior.dim,
            space,
            RangeWatch(self.record.low, self.record.high, self.name),
            emulator.capabilities,
            report=self.metadata,
        )


def _check_tried(emulator: Emulator, record: Record, dim: int, n_obs: int) -> None:
    """Refuse arrays from a file that do not fit together, by one prediction.

    Raises:
        DataSchemaError: it fails, or gives other numbers of data or values that are not finite.
    """
    again = f"the arrays of surrogate '{record.surrogate}' do not fit together"
    try:
        found = np.asarray(emulator(np.zeros((1, dim))))
    except PdeinvError:
        raise
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise DataSchemaError(f"{again} ({reason(error)}); train it again") from None
    if found.shape != (1, n_obs) or not np.isfinite(found).all():
        raise DataSchemaError(
            f"{again}: expected {n_obs} finite data, got the shape {found.shape}; train it again"
        )
