"""``pdeinv invert`` as a function: from checked tables to a result file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import xarray as xr
from pydantic import Field

from pdeinv import registry
from pdeinv.admission import Refined, admit
from pdeinv.bayes.check import dot_product_test, taylor_test
from pdeinv.bayes.diagnostics import summary as diagnose
from pdeinv.bayes.physical import in_unknown
from pdeinv.bayes.posterior import Counters, Posterior
from pdeinv.bayes.prior import sample
from pdeinv.body import fixtures_of, inside_of
from pdeinv.building import ModelChoice, PosteriorRecipe, make_problem
from pdeinv.config import Config, merge, parse
from pdeinv.engines.base import Engine, Outcome, check_posterior
from pdeinv.engines.driver import Budget, Progress, Run, RunResult, run
from pdeinv.errors import ConfigError, PdeinvError
from pdeinv.executors.config import ExecutorConfig
from pdeinv.io import netcdf
from pdeinv.io.atomic import check_output, remove
from pdeinv.io.observations import NoiseSpec, Observations, header, read
from pdeinv.io.results import ResultParts, result_tree
from pdeinv.io.runs import drop_unless_resumable, remember, run_folder
from pdeinv.memory import predicted_peak
from pdeinv.models import Capability
from pdeinv.protocols import Problem
from pdeinv.provenance import attributes, sha256
from pdeinv.refine import RefineConfig, refine
from pdeinv.rng import fresh_seed, stream
from pdeinv.trust import GivenSurrogate, expectation, inflated
from pdeinv.typing import Array

__all__ = ["Inversion", "RunConfig", "invert"]

N_PREDICTIVE = 100
"""Posterior-predictive draws in a result; each costs one solve."""


class NoiseConfig(Config):
    """The table ``[noise]``; it replaces the noise of the observation file."""

    std: float | None = Field(None, gt=0, description="absolute standard deviation")
    rel: float | None = Field(None, gt=0, description="relative to the largest absolute value")


class BudgetConfig(Config):
    """The table ``[budget]``: limits of one chain."""

    n_forward: int | None = Field(None, ge=1, description="reference solves")
    seconds: float | None = Field(None, gt=0, description="wall time")


class RunConfig(Config):
    """The tables of a run file; those with a ``name`` are checked by what they name."""

    seed: int | None = Field(None, ge=0, description="root seed; drawn and stored when absent")
    workers: int = Field(1, ge=1, description="processes")
    observations: str | None = Field(None, description="observation file")
    model: ModelChoice = Field("reference", description="which model to invert with")
    level: int = Field(0, description="mesh level of the reference model")
    problem: dict[str, Any] = Field(default_factory=dict)
    noise: NoiseConfig = NoiseConfig()
    engine: dict[str, Any] = Field(default_factory=dict)
    surrogate: dict[str, Any] = Field(default_factory=dict)
    solver: dict[str, Any] = Field(default_factory=dict)
    budget: BudgetConfig = BudgetConfig()
    executor: ExecutorConfig = ExecutorConfig()


@dataclass(frozen=True)
class Inversion:
    """A checked inversion, ready to run.

    Attributes:
        run: the run tables with the seed filled in.
        problem: the problem, built.
        observations: the data.
        engine: the engine, built.
        notes: remarks that the user should see (dropped data, shared mesh).
    """

    run: RunConfig
    problem: Problem
    observations: Observations
    engine: Engine[Any]
    notes: tuple[str, ...] = field(default=())

    @classmethod
    def resolve(cls, tables: Mapping[str, Any], observations: Path) -> Inversion:
        """Check tables and data; nothing is solved or written.

        Raises:
            PdeinvError: the first thing found wrong, in one line.
        """
        given = parse(RunConfig, tables, "")
        run = given.model_copy(
            update={"seed": fresh_seed() if given.seed is None else given.seed,
                    "observations": str(observations)}
        )  # fmt: skip
        problem = _resolve_problem(run, observations)
        noise = NoiseSpec(run.noise.std, run.noise.rel)
        data = read(observations, problem.observed, noise)
        engine = _resolve_engine(run)
        remarks = getattr(problem, "remarks", None)
        said = () if remarks is None else remarks(data)
        if "path" in run.surrogate:
            parse(GivenSurrogate, run.surrogate, "surrogate")
        return cls(run, problem, data, engine, (*_notes(run, observations, data), *said))

    @property
    def seed(self) -> int:
        """The root seed."""
        assert self.run.seed is not None
        return self.run.seed

    @property
    def surrogate_path(self) -> Path | None:
        """The checkpoint that the run file or the command line names."""
        path = self.run.surrogate.get("path")
        return None if path is None else Path(str(path))

    @property
    def trains_surrogate(self) -> bool:
        """Whether a surrogate has to be made first."""
        return Capability.COARSE in self.engine.requires and self.surrogate_path is None

    def recipe(self, surrogate: Path | None = None) -> PosteriorRecipe:
        """How to build the posterior in any process."""
        o = self.observations
        return PosteriorRecipe(
            self.problem.name,
            self.problem.config.model_dump(mode="json"),
            o.coords,
            o.values,
            o.noise,
            self.run.level,
            self.run.model,
            surrogate or self.surrogate_path,
        )

    def refine_config(self) -> RefineConfig:
        """The table ``[surrogate]`` where a surrogate is trained on the way."""
        return parse(RefineConfig, self.run.surrogate, "surrogate")

    def resolved(self) -> dict[str, Any]:
        """The complete configuration; run again, it repeats the result."""
        base = self.run.model_dump(mode="json", exclude={"executor"})
        base["problem"] = {"name": self.problem.name, **self.problem.config.model_dump(mode="json")}
        base["engine"] = {"name": self.engine.name, **self.engine.config.model_dump(mode="json")}
        if self.trains_surrogate:
            base["surrogate"] = self.refine_config().model_dump(mode="json")
        return base

    def plan(self) -> dict[str, Any]:
        """What a run would do, for ``--dry-run``: sizes, solves and memory; builds the models."""
        posterior = self.recipe()()
        if not self.trains_surrogate:
            check_posterior(self.engine, posterior)
        chains, steps = self.engine.n_chains, self.engine.n_steps
        stored = chains * steps * posterior.dim * 8
        peak = predicted_peak(self.problem, self.run.level, stored)
        return {
            "problem": self.problem.name,
            "engine": self.engine.name,
            "produces": self.engine.produces,
            "data": self.observations.size,
            "unknowns": posterior.dim,
            "dofs": self.problem.dofs(self.run.level),
            "chains": chains,
            "steps per chain": steps,
            "training solves": self.refine_config().n_fine if self.trains_surrogate else 0,
            "draws in memory (MB)": round(stored / 1e6, 1),
            **({} if peak is None else {"peak memory per process (MB)": round(peak / 1e6)}),
            "seed": self.seed,
        }


def _resolve_problem(run: RunConfig, observations: Path) -> Problem:
    dataset, named, carried = header(observations)
    table = dict(run.problem)
    name = table.pop("name", None)
    if name is None and named is None:
        raise ConfigError(
            f"{observations} names no problem; pass --problem NAME or set name in [problem]"
        )
    if name is not None and named is not None and name != named:
        raise ConfigError(
            f"{observations} holds data of problem '{named}', the configuration asks for '{name}'"
        )
    chosen = str(name or named)
    # a file that pdeinv did not write may describe its experiment by variables of its own
    tables_of = getattr(registry.load("problems", chosen), "tables_of", None)
    if not carried and tables_of is not None:
        carried = tables_of(dataset)
    return make_problem(chosen, merge(carried, table))


def _resolve_engine(run: RunConfig) -> Engine[Any]:
    table = dict(run.engine)
    name = str(table.pop("name", "two-level"))
    kind = registry.load("engines", name)
    return cast(Engine[Any], kind(parse(kind.Config, table, "engine")))


def _notes(run: RunConfig, path: Path, data: Observations) -> tuple[str, ...]:
    notes = []
    if data.n_dropped:
        notes.append(f"{path.name}: {data.n_dropped} missing or flagged data dropped")
    made_at = header(path)[0].attrs.get("pdeinv_level")
    if made_at is not None and int(made_at) <= run.level:
        notes.append(
            f"{path.name} was made on mesh level {made_at}, no finer than the inversion's "
            f"({run.level}): errors will look too small (inverse crime)"
        )
    return tuple(notes)


def _silent(chain: int, step: int, n_steps: int, note: str) -> None:
    """No progress."""


def invert(
    inversion: Inversion,
    out: Path,
    *,
    overwrite: bool = False,
    resume: bool = False,
    progress: Progress = _silent,
) -> xr.DataTree:
    """Run an inversion and write its result.

    Args:
        inversion: from :meth:`Inversion.resolve`.
        out: the result file; checkpoints go to ``<out>.run``.
        overwrite: replace an existing result and its checkpoints.
        resume: continue from the checkpoints.
        progress: told how far each chain is.

    Returns:
        The tree that was written; its root attributes carry the summary.

    Raises:
        PdeinvError: as each stage says; the output is complete or absent.
    """
    check_output(out, overwrite=overwrite, resume=resume)
    folder = run_folder(out)
    check_output(folder, overwrite=overwrite, resume=resume)
    verified = _verify(inversion)
    if overwrite:
        remove(folder)
    remember(folder, inversion.resolved())
    try:
        refined = _prepare_surrogate(inversion, folder, progress)
        recipe, refined = _trusted(inversion, refined)
        result = run(
            inversion.engine,
            recipe,
            Run(
                inversion.seed,
                folder,
                resume,
                inversion.run.workers,
                Budget(inversion.run.budget.n_forward, inversion.run.budget.seconds),
                tag=_tag(inversion),
            ),
            progress,
        )
    except PdeinvError:
        drop_unless_resumable(folder)
        raise
    tree = _tree(inversion, recipe(), result, refined, verified)
    netcdf.write(out, tree)
    return tree


def _tag(inversion: Inversion) -> str:
    """What a checkpoint must agree with besides engine and seed."""
    resolved = inversion.resolved()
    for free in ("engine", "workers", "seed", "budget", "observations"):
        resolved.pop(free, None)
    source = inversion.observations.source
    return f"{resolved}{source[1] if source else ''}"


def _verify(inversion: Inversion) -> dict[str, float]:
    """Dot-product and Taylor tests of the very model that is inverted, where it has derivatives.

    Raises:
        PdeinvError: the posterior cannot be built, or lacks what the engine needs.
    """
    posterior = inversion.recipe()()
    if not inversion.trains_surrogate:
        check_posterior(inversion.engine, posterior)
    if not {Capability.JVP, Capability.VJP} <= posterior.model.capabilities:
        return {}
    rng = stream(inversion.seed, "verify")
    xi = 0.5 * rng.standard_normal(posterior.dim)
    return {
        "pdeinv_dot_product_error": dot_product_test(posterior.model, xi, rng),
        "pdeinv_taylor_slope": float(taylor_test(posterior.model, xi, rng).slope),
    }


def _prepare_surrogate(inversion: Inversion, folder: Path, progress: Progress) -> Refined:
    """Train the surrogate that the engine needs, or test the one that was given."""
    if inversion.trains_surrogate:
        return refine(
            inversion.problem,
            inversion.observations,
            inversion.refine_config(),
            folder,
            (inversion.seed, inversion.run.workers, inversion.run.level),
            progress,
        )
    if Capability.COARSE in inversion.engine.requires and inversion.surrogate_path is not None:
        posterior = inversion.recipe()()
        assert posterior.coarse is not None
        spent = posterior.coarse.counters
        expected = expectation(posterior.coarse, stream(inversion.seed, "expected"))
        refined = admit(posterior, inversion.surrogate_path, stream(inversion.seed, "admission"))
        refined.counters.add(spent)
        return replace(refined, report={**refined.report, **expected})
    return Refined(inversion.surrogate_path, Counters(), {})


def _trusted(inversion: Inversion, refined: Refined) -> tuple[PosteriorRecipe, Refined]:
    """The recipe with inflated noise, where that was asked for, and the rms factor on σ."""
    recipe = inversion.recipe(refined.folder)
    if inversion.run.model != "surrogate" or not inversion.run.surrogate.get("inflate"):
        return recipe, refined
    posterior = recipe()
    noise = inflated(posterior, stream(inversion.seed, "inflation"))
    refined.counters.add(posterior.counters)
    factor = float(np.sqrt(np.mean((noise.std / recipe.noise.std) ** 2)))
    report = {**refined.report, "noise_inflation": factor}
    return replace(recipe, noise=noise), replace(refined, report=report)


def _tree(
    inversion: Inversion,
    posterior: Posterior,
    result: RunResult,
    refined: Refined,
    verified: Mapping[str, float],
) -> xr.DataTree:
    predictive = _predictive(posterior, result.outcome, stream(inversion.seed, "predictive"))
    counters = Counters()
    for part in (result.counters, refined.counters, posterior.counters):
        counters.add(part)
    outcome, checks = _judged(inversion, result)
    attrs = {
        **attributes(inversion.resolved(), inversion.seed, _inputs(inversion)),
        **{f"pdeinv_{k}": v for k, v in counters.as_dict().items()},
        "pdeinv_n_forward_training": refined.counters.n_forward,
        "pdeinv_n_tangent_training": refined.counters.n_tangent,
        "pdeinv_n_adjoint_training": refined.counters.n_adjoint,
        "pdeinv_n_forward_predictive": len(predictive),
        "pdeinv_problem": inversion.problem.name,
        "pdeinv_engine": inversion.engine.name,
        "pdeinv_seconds": result.seconds,
        **verified,
        **{f"pdeinv_{k}": v for k, v in refined.report.items()},
    }
    parts = ResultParts(
        posterior.prior,
        replace(outcome, summary={**outcome.summary, **checks}),
        inversion.engine.produces,
        inversion.observations,
        predictive,
        sample(posterior.prior, stream(inversion.seed, "prior"), 200),
        attrs,
        inside_of(inversion.problem, posterior.prior.space),
        fixtures_of(inversion.problem),
    )
    return result_tree(parts)


def _predictive(posterior: Posterior, outcome: Outcome, rng: np.random.Generator) -> Array:
    """Data with noise at evenly spaced draws, shape (draw, n_d); one solve each."""
    if outcome.m is None:
        source, points = posterior, outcome.xi.reshape(-1, posterior.dim)
    else:
        source = in_unknown(posterior, "the result")
        points = outcome.m.reshape(-1, source.dim)
    n = min(N_PREDICTIVE, len(points))
    chosen = points[np.unique(np.linspace(0, len(points) - 1, n).astype(int))]
    return source.predict(chosen) + posterior.noise.sample(rng, len(chosen))


def _judged(inversion: Inversion, result: RunResult) -> tuple[Any, dict[str, float]]:
    """The outcome with its diagnostics, where R-hat means something."""
    outcome = result.outcome
    if inversion.engine.produces != "posterior" or not outcome.independent_chains:
        return outcome, {}
    found = diagnose(outcome.xi)
    checks = {"r_hat": found.r_hat, "ess_bulk": found.ess_bulk, "ess_tail": found.ess_tail}
    return (
        replace(outcome, converged=outcome.converged and found.converged, message=found.verdict),
        {k: v for k, v in checks.items() if math.isfinite(v)},
    )


def _inputs(inversion: Inversion) -> dict[str, str]:
    inputs = dict([inversion.observations.source] if inversion.observations.source else [])
    if inversion.surrogate_path is not None:
        inputs[inversion.surrogate_path.name] = sha256(inversion.surrogate_path)
    return inputs
