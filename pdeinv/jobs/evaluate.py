"""A surrogate against its reference on draws that neither training nor selection has seen."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from pdeinv.bayes.noise import Noise
from pdeinv.bayes.posterior import WhitenedModel
from pdeinv.bayes.prior import Prior
from pdeinv.config import merge, named
from pdeinv.errors import ConfigError, RunFailed, SolverDiverged
from pdeinv.io import netcdf
from pdeinv.io.observations import NoiseSpec
from pdeinv.jobs.comparison import Comparison, Region
from pdeinv.jobs.evaluated_draws import draws_of
from pdeinv.jobs.evaluated_seconds import Stopwatch, seconds_at, surrogate_seconds
from pdeinv.model.forward import ForwardModel
from pdeinv.model.learned import Role
from pdeinv.model.observed import Sensors
from pdeinv.model.rows import evaluate
from pdeinv.plugins import registry
from pdeinv.plugins.case import Case, read_case
from pdeinv.plugins.problem import Problem
from pdeinv.plugins.recipe import bound_forward, load_surrogate, make_problem, surrogate_kind
from pdeinv.plugins.surrogate import Surrogate, role_of
from pdeinv.rng import stream
from pdeinv.typing import Array

__all__ = ["Request", "Setting", "compare"]


@dataclass(frozen=True)
class Request:
    """What to compare.

    Attributes:
        checkpoint: folder of the surrogate.
        tables: run tables; ``[problem]`` goes before what the surrogate says it was trained for.
        obs: observation file that gives sensors, noise and data; the draws are then those of its
            Laplace approximation, or of ``around``.
        around: result file that gives posterior draws and, without ``obs``, data and noise.
        sensors: places as text; else those of ``obs`` or of the training.
        noise: σ; else that of ``obs``, of ``around`` or of the training.
        n: draws of each kind.
        seed: root seed.
        level: mesh level of the reference; None for that of the training.
        data: data set whose fields a denoiser is examined at; else draws of the problem's prior.
    """

    checkpoint: Path
    tables: Mapping[str, Any]
    obs: Path | None = None
    around: Path | None = None
    sensors: str | None = None
    noise: NoiseSpec = field(default_factory=NoiseSpec)
    n: int = 50
    seed: int = 0
    level: int | None = None
    data: Path | None = None

    @property
    def role(self) -> Role:
        """That of the surrogate that is asked about."""
        return role_of(surrogate_kind(self.checkpoint))


@dataclass(frozen=True)
class Setting:
    """Where a surrogate is examined.

    Attributes:
        case: the observations that are asked for, if any.
        problem: theirs, else that of the surrogate.
        prior: of it.
        sensors: that are asked for, of the observations, or of the training.
        level: of the reference model.
    """

    case: Case | None
    problem: Problem
    prior: Prior
    sensors: Sensors
    level: int

    @classmethod
    def of(cls, request: Request, surrogate: Surrogate) -> Setting:
        """As a request has it.

        Raises:
            ConfigError: sensors are given twice.
            DataSchemaError: the observations do not fit.
            MissingDependency: the problem's extra is not installed.
        """
        case = None
        if request.obs is not None:
            case = read_case(request.obs, request.tables.get("problem", {}), request.noise)
        problem = case.problem if case else _trained_problem(request, surrogate)
        registry.require("problems", problem.name)
        sensors = _sensors(request, problem, case, surrogate)
        trained = int(surrogate.metadata.get("level", 0))
        level = trained if request.level is None else request.level
        return cls(case, problem, problem.prior(), sensors, level)

    @property
    def reference(self) -> WhitenedModel:
        """The reference model there, built anew."""
        return WhitenedModel(self.prior, self.problem.forward_model(self.sensors, self.level))


def _silent(done: int, total: int) -> None:
    """No progress."""


def compare(request: Request, progress: Callable[[int, int], None] = _silent) -> Comparison:
    """Evaluate surrogate and reference at fresh draws (:mod:`pdeinv.jobs.evaluated_draws`).

    Args:
        request: what to compare.
        progress: told after each solve of the reference: done, in all.

    Raises:
        CapabilityError: the surrogate is no forward model.
        SurrogateRejected: trained for another problem, prior or sensor set.
        DataSchemaError: a file does not fit.
        RunFailed: every solve failed.
    """
    with warnings.catch_warnings():
        # repeated calls for their time would make it cry; how many draws lie outside is reported
        warnings.filterwarnings("ignore", message="surrogate '.* training range")
        return _compare(request, progress)


def _compare(request: Request, progress: Callable[[int, int], None]) -> Comparison:
    surrogate = load_surrogate(request.checkpoint, "evaluate")
    there = Setting.of(request, surrogate)
    case, problem, sensors = there.case, there.problem, there.sensors
    model = bound_forward(surrogate, problem, there.prior, sensors)
    reference = there.reference
    draws = draws_of(problem, reference, request.around, case, n=request.n, seed=request.seed)
    total, done, spent = sum(map(len, draws.values())), 0, Stopwatch()
    regions = []
    for name, xi in draws.items():
        values, failures = np.full((len(xi), reference.d_space.size), np.nan), [""] * len(xi)
        for i, one in enumerate(xi):
            failures[i] = spent.of(reference, one, values[i])
            done += 1
            progress(done, total)
        regions.append(_region(name, xi, values, failures, model))
    if not any(r.good.any() for r in regions):
        raise RunFailed(f"all {total} solves failed, the first with: {regions[0].failures[0]}")
    weights = _weights(request, case, surrogate, regions, reference)
    solved = np.concatenate([r.xi[r.good] for r in regions])
    took = spent.mean if spent.told else seconds_at(reference, solved)
    seconds = {"reference": took, **surrogate_seconds(model, regions[0].xi)}
    return Comparison(
        surrogate, problem, sensors, **vars(weights), regions=tuple(regions), seconds=seconds
    )


def _trained_problem(request: Request, surrogate: Surrogate) -> Problem:
    """The problem of the surrogate with changes from the tables.

    A configuration that differs from the trained one is refused by the surrogate itself.
    """
    asked, keys = named(request.tables.get("problem", {}))
    trained = surrogate.metadata
    base = trained["problem_config"] if asked in (None, trained["problem"]) else {}
    return make_problem(str(asked or trained["problem"]), merge(base, keys))


def _sensors(
    request: Request, problem: Problem, case: Case | None, surrogate: Surrogate
) -> Sensors:
    """Those that are asked for, of the observations, or of the training.

    Raises:
        ConfigError: both of the former.
    """
    if request.sensors is not None:
        if case is not None:
            raise ConfigError("give the sensors once: --obs or --sensors, not both")
        return problem.sensors(request.sensors)
    if case is not None:
        return case.observations.coords
    trained = surrogate.metadata["sensors"]
    return {c: np.asarray(v, dtype=np.float64) for c, v in trained.items()}


def _region(
    name: str, xi: Array, values: Array, failures: list[str], model: ForwardModel
) -> Region:
    predicted = evaluate(model, xi)
    for row, text in predicted.failures.items():
        failures[row] = failures[row] or f"surrogate: {text}"
    return Region(name, xi, values, predicted.values, tuple(failures))


@dataclass(frozen=True)
class _Weights:
    """Noise and data of the misfits, and where they are from, in words."""

    noise: Noise
    data: Array
    sources: Mapping[str, str]


def _weights(
    request: Request,
    case: Case | None,
    surrogate: Surrogate,
    regions: list[Region],
    reference: ForwardModel,
) -> _Weights:
    """Without measurements the data are the reference's at one more prior draw, with noise."""
    if case is not None:
        o = case.observations
        return _Weights(o.noise, o.values, {"noise": "observations", "data": "observations"})
    size = reference.d_space.size
    stored = None if request.around is None else _measured(request.around, size)
    if request.noise:
        good = np.concatenate([r.reference[r.good] for r in regions])
        noise, source = request.noise.for_values(np.abs(good).max(axis=0)), "flag"
    elif stored is not None:
        noise, source = stored.noise, "result"
    else:
        noise, source = Noise(_trained_noise(surrogate, size)), "training"
    if stored is not None:
        return replace(stored, noise=noise, sources={"noise": source, "data": "result"})
    rng = stream(request.seed, "evaluate-data")
    data = _some_value(reference, rng) + noise.sample(rng)
    return _Weights(noise, data, {"noise": source, "data": "synthetic"})


def _some_value(reference: ForwardModel, rng: np.random.Generator) -> Array:
    """The reference at the first prior draw that it can be solved at."""
    for _ in range(100):
        with suppress(SolverDiverged):
            value = reference(rng.standard_normal(reference.m_space.size))
            if np.isfinite(value).all():
                return value
    raise RunFailed("100 solves at prior draws failed; check the problem with 'pdeinv check'")


def _measured(path: Path, size: int) -> _Weights | None:
    """Data and noise that a result holds, if they are those of as many sensors."""
    tree = netcdf.read_tree(path)
    try:
        (name,) = tree["observed_data"].data_vars
        data = np.asarray(tree["observed_data"][str(name)], dtype=np.float64)
        noise = Noise(np.asarray(tree["constant_data"]["noise_std"], dtype=np.float64))
    except (KeyError, ValueError):
        return None
    return _Weights(noise, data, {}) if len(data) == size else None


def _trained_noise(surrogate: Surrogate, size: int) -> Array:
    """σ that the training weighed errors against; one number where the sensors are others."""
    stored = np.asarray(surrogate.metadata["noise_std"], dtype=np.float64).ravel()
    return stored if len(stored) == size else np.full(size, float(np.median(stored)))
