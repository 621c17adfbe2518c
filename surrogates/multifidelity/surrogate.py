"""A coarse model plus the learned discrepancy to the fine one: the surrogate for hard posteriors.

The coarse model (a coarser mesh, or the linearisation about a point) carries the physics, a small
learned map of (xi, coarse data) carries the rest, so that a few hundred fine solves suffice where a
network from xi to the data needs many thousand. Where the fine model's derivative at a point is
known (training on the way finds it), the coarse model is first tilted to agree with it there.
Reference: the idea of a correction learned on top of a low-fidelity model goes back to Kennedy and
O'Hagan (2000).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from pdeinv.bayes.posterior import WhitenedModel
from pdeinv.bayes.prior import Prior
from pdeinv.config import Config
from pdeinv.errors import CapabilityError, DataSchemaError, SolverDiverged
from pdeinv.io.datasets import TrainingSet
from pdeinv.io.observations import Observations
from pdeinv.model.forward import Capability, ForwardModel, evaluate, require
from pdeinv.model.observed import Sensors
from pdeinv.model.tangent import Corrected, Tangent
from pdeinv.plugins.problem import Problem
from pdeinv.typing import Array

from ..common.bound import BoundModel, RangeWatch
from ..common.fitting import FitRun
from ..common.identity import Identity, data_space
from ..common.record import Record, heldout_errors
from ..common.scaling import reference_noise
from ..common.storage import load_folder, save_folder
from .discrepancy import Discrepancy, DiscrepancyConfig
from .model import MultifidelityModel, Selected
from .pairs import Pairs, relevance
from .tangent_plane import TangentPlane

__all__ = ["Multifidelity", "MultifidelityConfig"]


class MultifidelityConfig(DiscrepancyConfig):
    """Options of ``multifidelity``."""

    coarse: Literal["level", "linear"] = Field(
        "level", description="a coarser mesh, or the linearisation about the samples' mean"
    )
    coarse_level: int = Field(-1, lt=0, description="mesh level of the coarser mesh")
    noise_rel: float = Field(
        0.02, gt=0, description="σ as a share of the peak, for errors, where no σ is given"
    )


@dataclass(frozen=True)
class Multifidelity:
    """The trained discrepancy with all that is needed to use it again.

    Attributes:
        discrepancy: D.
        record: metadata.
        plane: the linearisation where that is the coarse model.
        tilt: the tangent of what the coarse model lacks, where one is added to it.
    """

    discrepancy: Discrepancy
    record: Record
    plane: TangentPlane | None = None
    tilt: Tangent | None = None

    name: ClassVar[str] = "multifidelity"
    Config: ClassVar[type[Config]] = MultifidelityConfig

    @property
    def metadata(self) -> Mapping[str, Any]:
        """See :class:`pdeinv.surrogates.common.record.Record`."""
        return self.record.as_json()

    @classmethod
    def fit(
        cls,
        dataset: TrainingSet,
        problem: Problem,
        config: MultifidelityConfig,
        seed: int,
        run: FitRun | None = None,
    ) -> Multifidelity:
        """Solve the coarse model at the data set's samples and learn the difference.

        Raises:
            SurrogateRejected: the data set belongs to another problem.
            DataSchemaError: too few samples.
        """
        run = run or FitRun()
        identity = Identity.of_dataset(dataset)
        identity.check(problem, problem.prior())
        noise_std = reference_noise(dataset.values, run.noise_std, config.noise_rel)
        solved = (dataset.xi, dataset.values, np.ones(dataset.size))
        origin = {"dataset": dataset.digest, "level": dataset.level, "seed": seed}
        return cls._learn(problem, identity, (solved, noise_std), config, origin)

    @classmethod
    def from_pairs(
        cls,
        problem: Problem,
        observations: Observations,
        xi: Array,
        fine: Array,
        config: MultifidelityConfig,
        seed: int,
        tangent: Tangent | None = None,
    ) -> Multifidelity:
        """Learn from fine solves at ``xi`` for one set of observations.

        Samples that explain the data badly count less (:func:`relevance`): early rounds of a
        refinement lie far from the posterior.

        Args:
            problem: supplies prior and coarse model.
            observations: supplies data, sensors and σ.
            xi: shape (n, dim).
            fine: fine data, shape (n, n_obs).
            config: options.
            seed: root seed.
            tangent: of the fine model on xi, where it is known at a point of the posterior; used
                where that lowers the error on samples left out.
        """
        identity = Identity.of_problem(problem, observations.coords)
        variance = relevance(observations.noise.misfit(fine - observations.values))
        origin = {"dataset": "pairs in memory", "level": 0, "seed": seed}
        pairs = ((xi, fine, variance), observations.noise.std)
        return cls._learn(problem, identity, pairs, config, origin, tangent)

    @classmethod
    def _learn(
        cls,
        problem: Problem,
        identity: Identity,
        solved: tuple[tuple[Array, Array, Array], Array],
        config: MultifidelityConfig,
        origin: Mapping[str, Any],
        tangent: Tangent | None = None,
    ) -> Multifidelity:
        (xi, fine, variance), noise_std = solved
        plane = None
        if config.coarse == "linear":
            fine_model = _on_level(problem, problem.prior(), identity.sensors, origin["level"])
            plane = TangentPlane.at(fine_model, xi.mean(axis=0))
        model = _coarse(problem, problem.prior(), identity, config, plane)
        made = evaluate(model, xi)
        coarse = made.values
        pairs = Pairs(xi, coarse, fine, noise_std, variance)
        d, tilt = Discrepancy.fit(pairs, config, origin["seed"]), None
        if tangent is not None and plane is None:
            found = _difference(tangent, model)
            d, tilt = _tilted(d, (pairs, found), config, origin["seed"])
        good = np.isfinite(coarse).all(axis=1)
        plain = heldout_errors(coarse[good], fine[good], noise_std)
        # the learned map is judged by its leave-one-out error; relative errors scale with it
        errors = {
            "rms_over_sigma": d.rms,
            "relative_l2": plain["relative_l2"] * d.rms / max(plain["rms_over_sigma"], 1e-300),
            **{f"rms_over_sigma_{stage}": error for stage, error in d.errors.items()},
        }
        record = Record(
            cls.name,
            identity,
            xi.min(axis=0),
            xi.max(axis=0),
            noise_std,
            config.model_dump(mode="json"),
            origin["seed"],
            origin["dataset"],
            origin["level"],
            {"train": d.n_pairs, "failed_coarse": len(made.failures)},
            errors,
            {"stage": d.stage, "held_out": "leave-one-out"},
        )
        return cls(d, record, plane, tilt)

    def save(self, folder: Path) -> None:
        """Write the discrepancy's arrays and the metadata."""
        parts = [p.arrays() for p in (self.discrepancy, self.plane, self.tilt) if p is not None]
        arrays = {k: v for part in parts for k, v in part.items()}
        save_folder(folder, arrays, self.record.as_json())

    @classmethod
    def load(cls, folder: Path) -> Multifidelity:
        """What :meth:`save` wrote.

        Raises:
            DataSchemaError: the folder does not hold a multifidelity surrogate.
        """
        arrays, metadata = load_folder(folder, cls.name)
        record = Record.from_json(metadata, folder)
        stages = {
            k.removeprefix("rms_over_sigma_"): float(v)
            for k, v in record.errors.items()
            if k.startswith("rms_over_sigma_")
        }
        try:
            discrepancy = Discrepancy.from_arrays(arrays, stages, record.sizes["train"])
        except KeyError as error:
            raise DataSchemaError(f"{folder}: array {error} is missing; train it again") from None
        plane, tilt = TangentPlane.from_arrays(arrays), Tangent.from_arrays(arrays)
        return cls(discrepancy, record, plane, tilt)

    def bind(self, problem: Problem, prior: Prior, sensors: Sensors) -> ForwardModel:
        """The corrected coarse model on xi; sensors may be any of the trained ones.

        Raises:
            SurrogateRejected: trained for another problem, prior or sensor set.
        """
        identity = self.record.identity
        identity.check(problem, prior)
        chosen = identity.select(sensors)
        config = MultifidelityConfig(**self.record.config)
        coarse = _coarse(problem, prior, identity, config, self.plane)
        if self.tilt is not None:
            coarse = Corrected(coarse, self.tilt)
        model = MultifidelityModel(coarse, self.discrepancy)
        everything = np.array_equal(chosen, np.arange(model.d_space.size))
        return BoundModel(
            model if everything else Selected(model, chosen),
            prior.dim,
            data_space(identity.observed, sensors),
            RangeWatch(self.record.low, self.record.high, self.name),
            model.capabilities,
            report=self.metadata,
        )


def _difference(tangent: Tangent, model: ForwardModel) -> Tangent | None:
    """The tangent of what the coarse model lacks; None where that has no derivative there."""
    try:
        require(model, frozenset({Capability.JVP}), "a tangent")
        return tangent.less(model)
    except (CapabilityError, SolverDiverged):
        return None


def _tilted(
    plain: Discrepancy,
    learned: tuple[Pairs, Tangent | None],
    config: MultifidelityConfig,
    seed: int,
) -> tuple[Discrepancy, Tangent | None]:
    """The discrepancy on top of the tilted coarse data, where that errs less on samples left out.

    Both are fits of the very same pairs, so that their leave-one-out errors compare.
    """
    pairs, tilt = learned
    if tilt is None:
        return plain, None
    tilted = replace(pairs, coarse=pairs.coarse + tilt(pairs.xi))
    found = Discrepancy.fit(tilted, config, seed)
    return (found, tilt) if found.rms < plain.rms else (plain, None)


def _on_level(problem: Problem, prior: Prior, sensors: Sensors, level: int) -> WhitenedModel:
    return WhitenedModel(prior, problem.forward_model(sensors, level))


def _coarse(
    problem: Problem,
    prior: Prior,
    identity: Identity,
    config: MultifidelityConfig,
    plane: TangentPlane | None,
) -> ForwardModel:
    """The coarse model on xi: the linearisation, or the problem on a coarser mesh."""
    if plane is not None:
        return plane.model(data_space(identity.observed, identity.sensors))
    return _on_level(problem, prior, identity.sensors, config.coarse_level)
