"""An inversion that has been checked: tables and data in agreement, nothing solved yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from pdeinv.config import merge, parse
from pdeinv.engines.base import Engine, check_posterior
from pdeinv.errors import ConfigError
from pdeinv.io.observations import NoiseSpec, Observations, header, read
from pdeinv.jobs.common.memory import predicted_peak
from pdeinv.jobs.common.recipe import PosteriorRecipe, make_problem, surrogate_kind
from pdeinv.jobs.invert.config import RunConfig
from pdeinv.jobs.two_level.train import RefineConfig, learner
from pdeinv.jobs.two_level.variance import GivenSurrogate
from pdeinv.model.forward import Capability
from pdeinv.model.learned import Role
from pdeinv.plugins import hooks, registry
from pdeinv.plugins.problem import Problem
from pdeinv.plugins.surrogate import check_role
from pdeinv.rng import fresh_seed

__all__ = ["Inversion"]


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
        said = hooks.remarks(problem, data)
        if "path" in run.surrogate:
            parse(GivenSurrogate, run.surrogate, "surrogate")
        return cls(run, problem, data, engine, (*_notes(run, observations, data), *said))

    def check_surrogate(self) -> None:
        """Refuse a surrogate that this run cannot use or train, before anything is computed.

        Raises:
            CapabilityError: it is no forward model, or does not learn from pairs.
            ConfigError: a wrong key or value of the table ``[surrogate]``.
            DataSchemaError: the folder is missing or holds no surrogate.
            MissingDependency: a package that it needs is not installed.
        """
        if self.surrogate_path is not None:
            check_role(surrogate_kind(self.surrogate_path), Role.FORWARD, "invert")
        elif self.trains_surrogate:
            learner(self.refine_config())

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

    def recipe(self) -> PosteriorRecipe:
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
            self.surrogate_path,
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
        self.check_surrogate()
        posterior = self.recipe()()
        if not self.trains_surrogate:
            check_posterior(self.engine, posterior)
        chains, steps = self.engine.n_chains, self.engine.n_steps
        stored = chains * steps * posterior.dim * 8
        peak = predicted_peak(hooks.memory_estimate(self.problem, self.run.level), stored)
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
    tables = carried or hooks.tables_of(registry.load("problems", chosen), dataset)
    return make_problem(chosen, merge(tables, table))


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
