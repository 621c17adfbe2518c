"""Several networks of one kind: their mean predicts, their fitted spread says how well.

The members see different splits and different starting weights; samples that none of them saw fit
that spread (:mod:`.spread`), others again measure errors and coverage.

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

from pdeinv.config import parse
from pdeinv.errors import ConfigError
from pdeinv.io.checkpoints import write_metadata
from pdeinv.model.forward import Capability, Linearization
from pdeinv.model.learned import Role
from pdeinv.plugins import registry
from pdeinv.plugins.surrogate import Surrogate, check_role
from pdeinv.rng import stream
from pdeinv.typing import Array

from ..common.bound import Emulator
from ..common.lesson import Lesson, LessonConfig, Where
from ..common.record import Judgement, Record, heldout_errors
from ..common.split import Index, Split
from ..common.storage import complete, read_kind
from ..common.trained import Trained
from ..training.config import FREE
from .spread import Spread, coverage

__all__ = ["Ensemble", "EnsembleConfig"]


class EnsembleConfig(LessonConfig):
    """Options of ``ensemble``."""

    free: ClassVar[tuple[str, ...]] = FREE  # of members

    member: str = Field("latent", description="registered surrogate of every member")
    members: int = Field(5, ge=2, le=1000, description="how many")
    options: dict[str, Any] = Field(default_factory=dict, description="options of each member")
    share: float = Field(
        0.1, gt=0, lt=0.5, description="of the samples that calibrate, and as many that test"
    )


@dataclass(frozen=True)
class _Mean:
    """The members' mean with its variance."""

    members: tuple[Emulator, ...]
    spread: Spread

    @property
    def capabilities(self) -> frozenset[Capability]:
        common = (member.capabilities for member in self.members)
        return reduce(frozenset.__and__, common) - {Capability.ROWS} | {Capability.VARIANCE}

    def _all(self, xi: Array) -> Array:
        return np.stack([member(xi) for member in self.members])

    def __call__(self, xi: Array) -> Array:
        return np.asarray(self._all(xi).mean(axis=0))

    def variance(self, xi: Array) -> Array:
        return self.spread(self._all(xi).var(axis=0, ddof=1))

    def linearize(self, xi: Array) -> Linearization:
        at = [member.linearize(xi) for member in self.members]
        n = len(at)
        return Linearization(
            np.asarray(sum(a.value for a in at) / n),
            lambda v: np.asarray(sum(a.jvp(v) for a in at) / n),
            lambda w: np.asarray(sum(a.vjp(w) for a in at) / n),
        )


@dataclass(frozen=True)
class Ensemble(Trained):
    """Trained members with their spread.

    Attributes:
        members: surrogates of one kind.
        spread: from their disagreement to a variance.
    """

    members: tuple[Surrogate, ...]
    spread: Spread

    name = "ensemble"
    Config = EnsembleConfig

    @classmethod
    def needs(cls, config: Mapping[str, Any], training: bool) -> frozenset[str]:
        """What the members need."""
        kind = registry.load("surrogates", str(config.get("member", EnsembleConfig().member)))
        return frozenset(kind.needs(config.get("options", {}), training))

    @classmethod
    def shares_work(cls, config: EnsembleConfig) -> bool:
        """As its members."""
        kind = registry.load("surrogates", config.member)
        return bool(kind.shares_work(parse(kind.Config, config.options, "surrogate.options")))

    @classmethod
    def split(cls, n: int, seed: int, config: Any) -> Split:
        """Members see the first part alone; the second fits the spread."""
        return Split.of(n, seed, config.share)

    @classmethod
    def learn(cls, lesson: Lesson) -> Ensemble:
        """Train the members one after the other, then fit their spread.

        Raises:
            ConfigError: the member is an ensemble, or no forward model.
            UnknownPlugin: no such member.
        """
        config, run, seed = lesson.config, lesson.run, lesson.seed
        kind = _member_kind(config)
        options = parse(kind.Config, config.options, "surrogate.options")
        seen, fitted = lesson.dataset.rows(lesson.split.train), []
        for k in range(config.members):
            folder = None if run.folder is None else run.folder / f"member{k}"
            own = int(stream(seed, "member", k).integers(2**31))
            fitted.append(kind.fit(seen, lesson.problem, options, own, replace(run, folder=folder)))
        raw = cls(lesson.record(cls, {}), tuple(fitted), Spread(1.0, 0.0))
        error, variance, _ = raw._asked(lesson, lesson.split.valid)
        spread = Spread.fit(variance, error)
        extra = {**vars(spread), "member_rms_over_sigma": raw._errors_of_members()}
        return replace(raw, spread=spread, record=replace(raw.record, extra=extra))

    def judge(self, lesson: Lesson) -> Judgement:
        """Errors of the mean, and how far the spread covers them, before and after its fit."""
        raw = replace(self, spread=Spread(1.0, 0.0))
        error, variance, true = raw._asked(lesson, lesson.split.test)
        return Judgement(
            heldout_errors(true + error, true, lesson.noise_std, lesson.values.mean(axis=0)),
            {
                "coverage_95": coverage(error, self.spread(variance)),
                "coverage_95_uncalibrated": coverage(error, variance),
            },
        )

    def _asked(self, lesson: Lesson, rows: Index) -> tuple[Array, Array, Array]:
        """Error, variance and truth at some samples."""
        xi, true = lesson.dataset.xi[rows], lesson.dataset.values[rows]
        emulator = self.emulator(lesson.where)
        return emulator(xi) - true, emulator.variance(xi), true

    def _errors_of_members(self) -> list[float]:
        return [float(m.metadata["errors"]["rms_over_sigma"]) for m in self.members]

    def arrays(self) -> dict[str, Array]:
        """None: the members have their own folders."""
        return {}

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
        record = Record.from_json(read_kind(folder, cls.name), folder)
        with complete(folder):
            kind = registry.load("surrogates", str(record.config["member"]))
            folders = [folder / f"member{k}" for k in range(int(record.config["members"]))]
            found = cls.restored({}, record)
        return replace(found, members=tuple(kind.load(one) for one in folders))

    @classmethod
    def restored(cls, arrays: Mapping[str, Array], record: Record) -> Ensemble:
        """Without its members, which have their own folders."""
        spread = Spread(float(record.extra["factor"]), float(record.extra["floor"]))
        return cls(record, (), spread)

    def emulator(self, where: Where) -> _Mean:
        """The members' mean; the ensemble watches the trained range itself, once."""
        sensors = self.record.identity.sensors if where.sensors is None else where.sensors
        bound: list[Any] = [m.bind(where.problem, where.prior, sensors) for m in self.members]
        return _Mean(tuple(getattr(model, "emulator", model) for model in bound), self.spread)


def _member_kind(config: EnsembleConfig) -> Any:
    kind = registry.load("surrogates", config.member)
    if config.member == Ensemble.name:
        raise ConfigError(
            f"surrogate.member: '{config.member}' cannot be a member; choose latent, deeponet, fno"
        )
    check_role(kind, Role.FORWARD, "surrogate.member of an ensemble")
    return kind
