"""A coarse model plus the learned discrepancy to the fine one: the surrogate for hard posteriors.

The coarse model (a coarser mesh, or the linearisation about a point) carries the physics, a small
learned map of (xi, coarse data) carries the rest, so that a few hundred fine solves suffice where a
network from xi to the data needs many thousand. Reference: the idea of a correction learned on top
of a low-fidelity model goes back to Kennedy and O'Hagan (2000).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from pdeinv.bayes.posterior import WhitenedModel
from pdeinv.bayes.prior import Prior
from pdeinv.config import Config
from pdeinv.errors import DataSchemaError
from pdeinv.io.datasets import TrainingSet
from pdeinv.io.observations import Observations
from pdeinv.models import Capability, ForwardModel, Linearization, ModelKind, evaluate
from pdeinv.protocols import Problem, Sensors
from pdeinv.spaces import Space
from pdeinv.typing import Array

from .bound import BoundModel, RangeWatch
from .discrepancy import Discrepancy, DiscrepancyConfig
from .fitting import FitRun, Index
from .identity import Identity, data_space
from .pairs import Pairs, relevance
from .record import Record, heldout_errors
from .scaling import reference_noise
from .storage import load_folder, save_folder
from .tangent_model import TangentPlane

__all__ = ["Multifidelity", "MultifidelityConfig", "MultifidelityModel"]


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
class MultifidelityModel:
    """xi ↦ c(xi) + D(xi, c(xi)), a forward model on xi.

    Attributes:
        coarse: the coarse model on xi.
        discrepancy: D.
        kind: counted as surrogate evaluations.
    """

    coarse: ForwardModel
    discrepancy: Discrepancy
    kind: ModelKind = "surrogate"

    @property
    def m_space(self) -> Space:
        """The space of xi."""
        return self.coarse.m_space

    @property
    def d_space(self) -> Space:
        """The coarse model's data space."""
        return self.coarse.d_space

    @cached_property
    def capabilities(self) -> frozenset[Capability]:
        """Batches, and the coarse model's derivatives."""
        return self.coarse.capabilities | {Capability.BATCH}

    def __call__(self, xi: Array) -> Array:
        """Data (..., n_d) of (..., dim); in a batch, a failed coarse solve gives NaN.

        Raises:
            SolverDiverged: the coarse solve at a single point failed.
        """
        if np.ndim(xi) == 1:
            coarse = self.coarse(xi)
        else:
            rows, _ = evaluate(self.coarse, xi.reshape(-1, xi.shape[-1]))
            coarse = rows.reshape(*xi.shape[:-1], -1)
        return np.asarray(coarse + self.discrepancy(xi, coarse))

    def linearize(self, xi: Array) -> Linearization:
        """Chain rule through the coarse model and D."""
        coarse = self.coarse.linearize(xi)
        d = self.discrepancy.linearize(xi, coarse.value)

        def jvp(dxi: Array) -> Array:
            dc = coarse.jvp(dxi)
            return np.asarray(dc + d.jvp(dxi, dc))

        def vjp(w: Array) -> Array:
            to_xi, to_coarse = d.vjp(w)
            return np.asarray(to_xi + coarse.vjp(w + to_coarse))

        return Linearization(coarse.value + d.value, jvp, vjp)


@dataclass(frozen=True)
class Multifidelity:
    """The trained discrepancy with all that is needed to use it again.

    Attributes:
        discrepancy: D.
        record: metadata.
        plane: the linearisation where that is the coarse model.
    """

    discrepancy: Discrepancy
    record: Record
    plane: TangentPlane | None = None

    name: ClassVar[str] = "multifidelity"
    Config: ClassVar[type[Config]] = MultifidelityConfig

    @property
    def metadata(self) -> Mapping[str, Any]:
        """See :class:`pdeinv.surrogates.record.Record`."""
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
        """
        identity = Identity.of_problem(problem, observations.coords)
        variance = relevance(observations.noise.misfit(fine - observations.values))
        origin = {"dataset": "pairs in memory", "level": 0, "seed": seed}
        pairs = ((xi, fine, variance), observations.noise.std)
        return cls._learn(problem, identity, pairs, config, origin)

    @classmethod
    def _learn(
        cls,
        problem: Problem,
        identity: Identity,
        solved: tuple[tuple[Array, Array, Array], Array],
        config: MultifidelityConfig,
        origin: Mapping[str, Any],
    ) -> Multifidelity:
        (xi, fine, variance), noise_std = solved
        plane = None
        if config.coarse == "linear":
            fine_model = _on_level(problem, problem.prior(), identity.sensors, origin["level"])
            plane = TangentPlane.at(fine_model, xi.mean(axis=0))
        model = _coarse(problem, problem.prior(), identity, config, plane)
        coarse, failed = evaluate(model, xi)
        d = Discrepancy.fit(Pairs(xi, coarse, fine, noise_std, variance), config, origin["seed"])
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
            {"train": d.n_pairs, "failed_coarse": len(failed)},
            errors,
            {"stage": d.stage, "held_out": "leave-one-out"},
        )
        return cls(d, record, plane)

    def save(self, folder: Path) -> None:
        """Write the discrepancy's arrays and the metadata."""
        plane = {} if self.plane is None else self.plane.arrays()
        save_folder(folder, {**self.discrepancy.arrays(), **plane}, self.record.as_json())

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
        return cls(discrepancy, record, TangentPlane.from_arrays(arrays))

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
        model = MultifidelityModel(coarse, self.discrepancy)
        everything = np.array_equal(chosen, np.arange(model.d_space.size))
        return BoundModel(
            model if everything else _Selected(model, chosen),
            prior.dim,
            data_space(identity.observed, sensors),
            RangeWatch(self.record.low, self.record.high, self.name),
            model.capabilities,
            report=self.metadata,
        )


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


@dataclass(frozen=True)
class _Selected:
    """Some of a model's data."""

    model: MultifidelityModel
    chosen: Index

    def __call__(self, xi: Array) -> Array:
        return self.model(xi)[..., self.chosen]

    def linearize(self, xi: Array) -> Linearization:
        inner = self.model.linearize(xi)

        def vjp(w: Array) -> Array:
            full = np.zeros(self.model.d_space.size)
            np.add.at(full, self.chosen, w)
            return inner.vjp(full)

        return Linearization(inner.value[self.chosen], lambda v: inner.jvp(v)[self.chosen], vjp)
