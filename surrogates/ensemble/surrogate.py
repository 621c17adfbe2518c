"""Several networks of one kind: their mean predicts, their calibrated spread says how well.

The members see different splits and different starting weights; samples that none of them saw fit
the calibration (:mod:`.calibration`), others again measure errors and coverage.

Reference: Lakshminarayanan, Pritzel and Blundell (2017), Simple and scalable predictive uncertainty
estimation using deep ensembles.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from pdeinv.bayes.prior import Prior
from pdeinv.config import Config, parse
from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.io.checkpoints import read_metadata, write_metadata
from pdeinv.io.datasets import TrainingSet
from pdeinv.model.forward import Capability, ForwardModel, Linearization
from pdeinv.model.observed import Sensors
from pdeinv.plugins import registry
from pdeinv.plugins.problem import Problem, Surrogate
from pdeinv.rng import stream
from pdeinv.typing import Array

from ..common.bound import BoundModel, RangeWatch
from ..common.fitting import FitRun, Split
from ..common.identity import data_space
from ..common.record import Record, heldout_errors
from ..common.scaling import reference_noise
from .spread import Calibration, coverage

__all__ = ["Ensemble", "EnsembleConfig"]


class EnsembleConfig(Config):
    """Options of ``ensemble``."""

    member: str = Field("latent", description="registered surrogate of every member")
    members: int = Field(5, ge=2, description="how many")
    options: dict[str, Any] = Field(default_factory=dict, description="options of each member")
    share: float = Field(
        0.1, gt=0, lt=0.5, description="of the samples that calibrate, and as many that test"
    )
    noise_rel: float = Field(
        0.02, gt=0, description="σ as a share of the peak, for errors, where no σ is given"
    )


@dataclass(frozen=True)
class _Mean:
    """The members' mean with its variance."""

    members: tuple[Any, ...]
    calibration: Calibration

    def _all(self, xi: Array) -> Array:
        return np.stack([member(xi) for member in self.members])

    def __call__(self, xi: Array) -> Array:
        return np.asarray(self._all(xi).mean(axis=0))

    def variance(self, xi: Array) -> Array:
        return self.calibration(self._all(xi).var(axis=0, ddof=1))

    def linearize(self, xi: Array) -> Linearization:
        at = [member.linearize(xi) for member in self.members]
        n = len(at)
        return Linearization(
            np.asarray(sum(a.value for a in at) / n),
            lambda v: np.asarray(sum(a.jvp(v) for a in at) / n),
            lambda w: np.asarray(sum(a.vjp(w) for a in at) / n),
        )


@dataclass(frozen=True)
class Ensemble:
    """Trained members with their calibration.

    Attributes:
        members: surrogates of one kind.
        calibration: from their spread to a variance.
        record: metadata.
    """

    members: tuple[Surrogate, ...]
    calibration: Calibration
    record: Record

    name: ClassVar[str] = "ensemble"
    Config: ClassVar[type[Config]] = EnsembleConfig

    @property
    def metadata(self) -> Mapping[str, Any]:
        """See :class:`pdeinv.surrogates.common.record.Record`."""
        return self.record.as_json()

    @classmethod
    def fit(
        cls,
        dataset: TrainingSet,
        problem: Problem,
        config: EnsembleConfig,
        seed: int,
        run: FitRun | None = None,
    ) -> Ensemble:
        """Train the members one after the other, calibrate, and test.

        Raises:
            ConfigError: the member is an ensemble, or has no training of its own.
            UnknownPlugin: no such member.
            SurrogateRejected: the data set belongs to another problem.
        """
        run = run or FitRun()
        kind = _member_kind(config)
        options = parse(kind.Config, config.options, "surrogate.options")
        split = Split.of(dataset.size, seed, config.share)
        seen = dataset.rows(split.train)
        noise_std = reference_noise(seen.values, run.noise_std, config.noise_rel)
        fitted = []
        for k in range(config.members):
            folder = None if run.folder is None else run.folder / f"member{k}"
            own = int(stream(seed, "member", k).integers(2**31))
            how = replace(run, folder=folder)
            fitted.append(kind.fit(seen, problem, options, own, how))
        members = tuple(fitted)
        calibration, errors, extra = _calibrate(members, dataset, split, (problem, noise_std))
        record = Record.of(
            cls.name,
            dataset,
            rows=split.train,
            how=(config, seed, noise_std),
            sizes=split.sizes,
            errors=errors,
            extra={"factor": calibration.factor, "floor": calibration.floor, **extra},
        )
        return cls(members, calibration, record)

    def save(self, folder: Path) -> None:
        """Write each member's folder, then the metadata that make the ensemble complete."""
        folder.mkdir(parents=True, exist_ok=True)
        for k, member in enumerate(self.members):
            member.save(folder / f"member{k}")
        write_metadata(folder, self.record.as_json())

    @classmethod
    def load(cls, folder: Path) -> Ensemble:
        """What :meth:`save` wrote.

        Raises:
            DataSchemaError: the folder does not hold an ensemble, or a member is missing.
        """
        metadata = read_metadata(folder)
        if metadata.get("surrogate") != cls.name:
            raise DataSchemaError(
                f"{folder} holds a surrogate of kind '{metadata.get('surrogate')}', expected "
                f"'{cls.name}'; load it as such"
            )
        record = Record.from_json(metadata, folder)
        try:
            kind = registry.load("surrogates", str(record.config["member"]))
            count = int(record.config["members"])
            calibration = Calibration(float(record.extra["factor"]), float(record.extra["floor"]))
        except (KeyError, TypeError, ValueError) as error:
            raise DataSchemaError(f"{folder}: entry {error} is missing; train it again") from None
        members = tuple(kind.load(folder / f"member{k}") for k in range(count))
        return cls(members, calibration, record)

    def bind(self, problem: Problem, prior: Prior, sensors: Sensors) -> ForwardModel:
        """The members' mean as a forward model on xi that knows its variance.

        Raises:
            SurrogateRejected: as the members say.
        """
        self.record.identity.check(problem, prior)
        bound = [member.bind(problem, prior, sensors) for member in self.members]
        common = reduce(frozenset.__and__, (model.capabilities for model in bound))
        return BoundModel(
            # the ensemble watches the range itself, once
            _Mean(tuple(getattr(m, "emulator", m) for m in bound), self.calibration),
            prior.dim,
            data_space(self.record.identity.observed, sensors),
            RangeWatch(self.record.low, self.record.high, self.name),
            common | {Capability.VARIANCE},
            report=self.metadata,
        )


def _member_kind(config: EnsembleConfig) -> Any:
    kind = registry.load("surrogates", config.member)
    if config.member == Ensemble.name or not hasattr(kind, "fit"):
        raise ConfigError(
            f"surrogate.member: '{config.member}' cannot be a member; choose latent, deeponet, fno"
        )
    return kind


def _calibrate(
    members: tuple[Any, ...],
    dataset: TrainingSet,
    split: Split,
    how: tuple[Problem, Array],
) -> tuple[Calibration, dict[str, float], dict[str, Any]]:
    """The calibration, the errors on the test samples, and what both say of the spread."""
    problem, noise_std = how
    prior = problem.prior()
    bound = [m.bind(problem, prior, dataset.sensors) for m in members]
    emulators = tuple(getattr(m, "emulator", m) for m in bound)
    raw = _Mean(emulators, Calibration(1.0, 0.0))

    def judged(rows: Any) -> tuple[Array, Array]:
        xi, true = dataset.xi[rows], dataset.values[rows]
        return raw.variance(xi), raw(xi) - true

    calibration = Calibration.fit(*judged(split.valid))
    spread, error = judged(split.test)
    true = dataset.values[split.test]
    errors = heldout_errors(true + error, true, noise_std)
    return (
        calibration,
        errors,
        {
            "coverage_95": coverage(error, calibration(spread)),
            "coverage_95_uncalibrated": coverage(error, spread),
            "member_rms_over_sigma": [
                float(m.metadata["errors"]["rms_over_sigma"]) for m in members
            ],
        },
    )
