"""A coarse model plus the learned discrepancy to the fine one: the surrogate for hard posteriors.

The coarse model (a coarser mesh, or the linearization about a point) carries the physics, a small
learned map of (xi, coarse data) carries the rest, so that a few hundred fine solves suffice where a
network from xi to the data needs many thousand. Where the fine model's derivative at a point is
known (training on the way finds it), the coarse model is first tilted to agree with it there.
Reference: the idea of a correction learned on top of a low-fidelity model goes back to Kennedy and
O'Hagan (2000).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field

from pdeinv.bayes.posterior import WhitenedModel
from pdeinv.errors import CapabilityError, SolverDiverged
from pdeinv.io.datasets import TrainingSet, prior_probe
from pdeinv.model.forward import Capability, ForwardModel, require
from pdeinv.model.rows import evaluate
from pdeinv.model.tangent import Tangent
from pdeinv.plugins.coarse import CoarseConfig
from pdeinv.plugins.fitting import FitRun
from pdeinv.plugins.problem import Problem
from pdeinv.plugins.recipe import whitened_model
from pdeinv.plugins.surrogate import SolvedPairs
from pdeinv.typing import Array

from ..common.identity import Identity
from ..common.lesson import Lesson, Where
from ..common.record import Judgement, Record, heldout_errors
from ..common.split import Split
from ..common.storage import under, within
from ..common.trained import Trained
from .discrepancy import Discrepancy, DiscrepancyConfig, reach_of
from .model import MultifidelityModel, Selected, TangentPlane
from .pairs import Pairs, relevance

__all__ = ["Multifidelity", "MultifidelityConfig"]

STAGE = "rms_over_sigma_"
"""Begins the name of the error of one stage."""


class MultifidelityConfig(CoarseConfig, DiscrepancyConfig):
    """Options of ``multifidelity``."""

    coarse: Literal["level", "linear"] = Field(
        "level",
        description="a coarser mesh or what coarse_problem says, or the linearization about the "
        "samples' mean",
    )


@dataclass(frozen=True)
class Multifidelity(Trained):
    """The trained discrepancy with all that is needed to use it again.

    Attributes:
        discrepancy: D.
        plane: the linearization where that is the coarse model.
    """

    discrepancy: Discrepancy
    plane: TangentPlane | None = None

    name = "multifidelity"
    Config = MultifidelityConfig
    learns_pairs = True

    @classmethod
    def needs(cls, config: Mapping[str, Any], training: bool) -> frozenset[str]:
        """A network for what is left over is trained by torch, all else by NumPy."""
        network = training and config.get("method") == "network"
        return frozenset({"torch"} if network else ())

    @classmethod
    def split(cls, n: int, seed: int, config: Any) -> Split:
        """All samples train: errors are those on samples left out one by one."""
        return Split.whole(n)

    @classmethod
    def learn(cls, lesson: Lesson) -> Multifidelity:
        """Solve the coarse model at the data set's samples and learn the difference.

        Raises:
            DataSchemaError: too few samples.
        """
        return cls._learned(lesson, np.ones(lesson.dataset.size))

    @classmethod
    def from_pairs(cls, problem: Problem, pairs: SolvedPairs, config: Any, seed: int) -> Self:
        """Learn from fine solves for one set of observations.

        Samples that explain the data badly count less (:func:`relevance`): early rounds of a
        refinement lie far from the posterior. The tangent is used where that lowers the error on
        samples left out.

        Raises:
            DataSchemaError: fewer than 10 different pairs.
        """
        seen, dataset = pairs.observations, _in_memory(problem, pairs)
        run, split = FitRun(noise_std=seen.likelihood.std), Split.whole(dataset.size)
        lesson = Lesson(dataset, problem, config, seed, run, split)
        variance = relevance(seen.likelihood.misfit(pairs.values, seen.values))
        return cls._learned(lesson, variance, pairs.tangent)

    @classmethod
    def _learned(cls, lesson: Lesson, variance: Array, tangent: Tangent | None = None) -> Self:
        config, noise_std, problem = lesson.config, lesson.noise_std, lesson.problem
        sensors, plane, tilted = lesson.dataset.sensors, None, False
        if config.coarse == "linear":
            fine_model = whitened_model(problem, sensors, lesson.dataset.level)
            plane = TangentPlane.at(fine_model, lesson.xi.mean(axis=0))
        model = _coarse(lesson.where, Identity.of_dataset(lesson.dataset), config, plane)
        made = evaluate(model, lesson.xi)
        coarse = made.values
        pairs = Pairs(lesson.xi, coarse, lesson.values, noise_std, variance)
        found = Discrepancy.fit(pairs, config, lesson.seed)
        difference = None if tangent is None or plane is not None else _difference(tangent, model)
        if difference is not None:
            # fits of the very same pairs, so that their leave-one-out errors compare
            seen = difference(reach_of(pairs).held(lesson.xi))
            other = Discrepancy.fit(replace(pairs, coarse=coarse + seen), config, lesson.seed)
            tilted = other.rms < found.rms
            found = other.tilted(difference) if tilted else found
        record = lesson.record(
            cls,
            {"stage": found.stage, "held_out": "leave-one-out", "tilted": tilted},
            sizes={"train": found.n_pairs, "failed_coarse": len(made.failures)},
            errors=_errors(found, pairs),
        )
        return cls(record, found, plane)

    def judge(self, lesson: Lesson) -> Judgement:
        """Nothing more: the errors on samples left out are known from the fit."""
        return Judgement({})

    def arrays(self) -> dict[str, Array]:
        """The discrepancy, and the linearization where that is the coarse model."""
        parts = [p.arrays() for p in (self.discrepancy, self.plane) if p is not None]
        return {k: v for part in parts for k, v in part.items()}

    @classmethod
    def restored(cls, arrays: Mapping[str, Array], record: Record) -> Multifidelity:
        """The inverse of :meth:`arrays`."""
        stages = {k: float(v) for k, v in within(STAGE, record.errors).items()}
        discrepancy = Discrepancy.from_arrays(arrays, stages, record.sizes["train"])
        tilt = Tangent.from_arrays(arrays)  # of folders from before it was kept within D
        discrepancy = discrepancy if tilt is None else discrepancy.tilted(tilt)
        return cls(record, discrepancy, TangentPlane.from_arrays(arrays))

    def emulator(self, where: Where) -> MultifidelityModel | Selected:
        """The corrected coarse model at some of the trained sensors."""
        identity = self.record.identity
        chosen = where.chosen(identity)
        coarse = _coarse(where, identity, MultifidelityConfig(**self.record.config), self.plane)
        model = MultifidelityModel(coarse, self.discrepancy)
        rows = np.arange(model.d_space.size)
        return model if np.array_equal(rows[chosen], rows) else Selected(model, rows[chosen])


def _in_memory(problem: Problem, pairs: SolvedPairs) -> TrainingSet:
    """Pairs as a data set that is no file."""
    return TrainingSet(
        problem=problem.name,
        problem_config=problem.config.model_dump(mode="json"),
        observed=problem.observed,
        sensors=pairs.observations.coords,
        xi=pairs.xi,
        values=pairs.values,
        prior_probe=prior_probe(problem.prior()),
        level=0,
        digest="pairs in memory",
        coefficient=None,
        field=None,
        axes={},
        n_failed=0,
    )


def _errors(found: Discrepancy, pairs: Pairs) -> dict[str, float]:
    """The learned map is judged by its leave-one-out error; relative errors scale with it."""
    good = np.isfinite(pairs.coarse).all(axis=1)
    fine = pairs.fine[good]
    plain = heldout_errors(pairs.coarse[good], fine, pairs.noise_std, fine.mean(axis=0))
    return {
        "rms_over_sigma": found.rms,
        "relative_l2": plain["relative_l2"] * found.rms / max(plain["rms_over_sigma"], 1e-300),
        **under(STAGE, found.errors),
    }


def _difference(tangent: Tangent, model: ForwardModel) -> Tangent | None:
    """The tangent of what the coarse model lacks; None where that has no derivative there."""
    try:
        require(model, frozenset({Capability.JVP}), "a tangent")
        return tangent.less(model)
    except (CapabilityError, SolverDiverged):
        return None


def _coarse(
    where: Where, identity: Identity, config: MultifidelityConfig, plane: TangentPlane | None
) -> ForwardModel:
    """The coarse model on xi: the linearization, or the problem on a coarser mesh."""
    if plane is not None:
        return plane.model(identity.observed.space(identity.sensors))
    return WhitenedModel(where.prior, config.coarse_model(where.problem, identity.sensors))
