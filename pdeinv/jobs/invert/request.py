"""What ``invert`` is asked for: the tables of a run file, and the checked inversion they make.

An inversion has tables and data in agreement, and nothing solved yet.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from pydantic import Field

from pdeinv.bayes.misfits import MisfitConfig
from pdeinv.config import Config, named, parse
from pdeinv.engines.base import Engine, Need, check_begins
from pdeinv.errors import CapabilityError
from pdeinv.executors.config import ExecutorConfig
from pdeinv.executors.processes import check_workers
from pdeinv.io.observations import NoiseSpec, Observations
from pdeinv.jobs.invert.alike import alike
from pdeinv.jobs.invert.silent import silent
from pdeinv.jobs.invert.tables import check_keys, check_solver, check_surrogate_table, rounds_config
from pdeinv.jobs.two_level.rounds import RoundsConfig, learner
from pdeinv.memory import check_fits
from pdeinv.model.learned import Role
from pdeinv.plugins import hooks, registry
from pdeinv.plugins.case import Case, read_case
from pdeinv.plugins.problem import Problem
from pdeinv.plugins.recipe import ModelChoice, PosteriorRecipe, surrogate_kind
from pdeinv.plugins.surrogate import check_role, role_of
from pdeinv.provenance import Source, files_of, named_apart, sources_of
from pdeinv.rng import fresh_seed
from pdeinv.seeds import LARGEST_SEED

__all__ = ["BudgetConfig", "Inversion", "NoiseConfig", "RunConfig", "run_config"]


class NoiseConfig(Config):
    """The table ``[noise]``; it replaces the noise of the observation file."""

    std: float | None = Field(None, gt=0, description="absolute standard deviation")
    rel: float | None = Field(None, gt=0, description="relative to the largest absolute value")
    rms: float | None = Field(None, gt=0, description="relative to the root mean square")


class BudgetConfig(Config):
    """The table ``[budget]``: limits of one chain."""

    n_forward: int | None = Field(None, ge=1, description="reference solves")
    seconds: float | None = Field(None, gt=0, description="wall time")


class RunConfig(Config):
    """The tables of a run file; those with a ``name`` are checked by what they name."""

    seed: int | None = Field(
        None, ge=0, le=LARGEST_SEED, description="root seed; drawn and stored when absent"
    )
    workers: int = Field(1, ge=1, description="processes")
    observations: str | None = Field(None, description="observation file")
    model: ModelChoice = Field("reference", description="which model to invert with")
    level: int = Field(0, description="mesh level of the reference model")
    problem: dict[str, Any] = Field(default_factory=dict)
    noise: NoiseConfig = NoiseConfig()
    misfit: MisfitConfig = MisfitConfig()
    engine: dict[str, Any] = Field(default_factory=dict)
    surrogate: dict[str, Any] = Field(default_factory=dict)
    solver: dict[str, Any] = Field(default_factory=dict)
    budget: BudgetConfig = BudgetConfig()
    executor: ExecutorConfig = ExecutorConfig()


def run_config(tables: Mapping[str, Any]) -> RunConfig:
    """The tables of a run file, checked.

    Raises:
        ConfigError: the first wrong key or value; of a key without its table, with the table.
    """
    check_keys(tables, RunConfig.model_fields)
    return parse(RunConfig, tables, "")


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
        given = run_config(tables)
        run = given.model_copy(
            update={"seed": fresh_seed() if given.seed is None else given.seed,
                    "observations": str(observations)}
        )  # fmt: skip
        case = read_case(observations, run.problem, NoiseSpec(**run.noise.model_dump()))
        case = replace(case, observations=case.observations.judged_by(run.misfit))
        name, table = named(run.engine)
        engine = cast(Engine[Any], registry.build("engines", str(name or "two-level"), table))
        said = hooks.remarks(case.problem, case.observations)
        check_solver(run.solver)
        found = cls(run, case.problem, case.observations, engine)
        if not found.trains_surrogate:
            check_surrogate_table(run.surrogate)
        notes = (*_notes(run, observations, case), *alike(case.observations))
        notes += (*silent(case.observations), *said)
        if found.leaves_surrogate:
            notes += (
                f"engine '{engine.name}' solves the reference model and leaves "
                f"{found.surrogate_path} alone; add --model surrogate to invert with it",
            )
        return replace(found, notes=notes)

    def check_surrogate(self) -> None:
        """Refuse a surrogate that this run cannot use or train, before anything is computed.

        Raises:
            CapabilityError: it is of a role that engine or model make no use of, does not learn
                from pairs, or has no coarse model to learn from.
            ConfigError: a wrong key or value of the table ``[surrogate]``.
            DataSchemaError: the folder is missing or holds no surrogate.
            MissingDependency: a package that it needs is not installed.
        """
        if Need.ESTIMATE in self.engine.needs:
            self._check_named()
        if self.begins_learned:
            check_begins(self.engine)
        elif self.learned_law:
            return
        elif self.surrogate_path is not None:
            self._check_prior_used()
            check_role(surrogate_kind(self.surrogate_path), Role.FORWARD, "invert")
        elif self.trains_surrogate:
            config = self.rounds_config()
            learner(config)
            # training starts from it, whatever is trained
            config.coarse_model(self.problem, self.observations.coords)

    def _check_named(self) -> None:
        """Refuse an engine of learned inverses without the surrogate of its name.

        Raises:
            CapabilityError: there is none, or another.
        """
        name, path = self.engine.name, self.surrogate_path
        found = None if path is None else surrogate_kind(path).name
        if found != name or self.run.model == "surrogate":
            got = "no surrogate" if path is None else f"one of kind '{found}'"
            raise CapabilityError(
                f"engine '{name}' reports what a trained '{name}' says of the data and solves the "
                f"reference model: expected --surrogate with one, got {got}; train it "
                f"('pdeinv train-surrogate {name}') and leave --model out"
            )

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

    @cached_property
    def begins_learned(self) -> bool:
        """Whether the engine begins at the estimate of a trained inverse, the given surrogate.

        Raises:
            DataSchemaError: the folder is missing or holds no surrogate.
        """
        return self._no_model_wanted and self._role is Role.INVERSE

    @cached_property
    def learned_law(self) -> bool:
        """Whether the prior is known by the given surrogate, a denoiser that the engine asks.

        Raises:
            DataSchemaError: the folder is missing or holds no surrogate.
        """
        asks = Role.DENOISER in getattr(self.engine, "uses", frozenset())
        return asks and self._no_model_wanted and self._role is Role.DENOISER

    def _check_prior_used(self) -> None:
        """Refuse a learned prior with an engine that keeps to that of the problem.

        Raises:
            CapabilityError: the surrogate is a denoiser.
        """
        if not self._no_model_wanted or self._role is not Role.DENOISER:
            return
        raise CapabilityError(
            f"engine '{self.engine.name}' keeps to the problem's own prior and takes no learned "
            "one (role 'denoiser'); use pnp-dm, diffpir or another diffusion engine, or leave out "
            "--surrogate"
        )

    @property
    def _no_model_wanted(self) -> bool:
        """Whether a surrogate is given where neither engine nor ``model`` wants a forward model."""
        wanted = Need.COARSE in self.engine.needs or self.run.model == "surrogate"
        return self.surrogate_path is not None and not wanted

    @property
    def _role(self) -> Role:
        assert self.surrogate_path is not None
        return role_of(surrogate_kind(self.surrogate_path))

    @property
    def leaves_surrogate(self) -> bool:
        """Whether a surrogate of role ``forward`` is given that nothing asks."""
        return self._no_model_wanted and self._role is Role.FORWARD

    @property
    def inputs(self) -> list[Path]:
        """What the run reads: data, surrogate, and the files that the problem names."""
        files = [*files_of(self.problem.config), *self._simulations]
        folder = [] if self.surrogate_path is None else [self.surrogate_path]
        return [Path(str(self.run.observations)), *folder, *files]

    @property
    def _simulations(self) -> list[Path]:
        """The data set that the engine searches in, if it does."""
        path = self.engine.simulations
        return [path] if path is not None and path.is_file() else []

    @property
    def sources(self) -> list[Source]:
        """The same with their hashes."""
        data = self.observations.source
        return [*([] if data is None else [data]), *named_apart(self.inputs[1:])]

    def hashes(self) -> dict[str, str]:
        """The hashes of data, surrogate, simulations and the problem's files, by their names."""
        data, found = self.observations.source, dict[str, str]()
        if data is not None:
            found["the observations"] = data.sha256
        if self.surrogate_path is not None:
            found["the surrogate"] = Source.of(self.surrogate_path).sha256
        for path in self._simulations:
            found["the simulations"] = Source.of(path).sha256
        return found | dict(sources_of(self.problem.config))

    @property
    def trains_surrogate(self) -> bool:
        """Whether a surrogate has to be made first."""
        return Need.COARSE in self.engine.needs and self.surrogate_path is None

    @property
    def learns(self) -> bool:
        """Whether a surrogate is trained or tested before the engine starts."""
        return self.trains_surrogate or self.surrogate_path is not None

    def require(self) -> None:
        """Refuse to begin where an extra that the run needs is not installed, or memory is short.

        Raises:
            ConfigError: memory is.
            MissingDependency: with the command that installs it.
        """
        registry.require("engines", self.engine.name)
        self.check_size()
        if self.run.model == "reference":
            registry.require("problems", self.problem.name)

    def check_size(self) -> None:
        """Refuse more draws or processes than this machine can hold.

        Raises:
            ConfigError: with the memory that they would take.
        """
        check_workers(self.run.workers)
        prior = self.problem.prior()
        # a learned law may have a coordinate for each value
        dim = max(prior.dim, prior.space.size) if self.learned_law else prior.dim
        kept = self.engine.draws_kept(dim)
        what = f"engine: {kept} draws of {dim} unknowns and {prior.space.size} values"
        size = 8 * kept * (dim + prior.space.size)
        check_fits(what, size, _fewer(self.engine.Config.model_fields))

    def recipe(self) -> PosteriorRecipe:
        """How to build the posterior in any process."""
        run, folder, held = self.run, self.surrogate_path, self.engine.simulations
        of = "inverse" if self.begins_learned else "denoiser" if self.learned_law else "surrogate"
        more = {"level": run.level, "model": run.model, of: folder, "simulations": held}
        return PosteriorRecipe.of(self.problem, self.observations, **more)

    def rounds_config(self) -> RoundsConfig:
        """The table ``[surrogate]`` where a surrogate is trained on the way."""
        return rounds_config(self.run.surrogate)

    def resolved(self) -> dict[str, Any]:
        """The complete configuration; run again, it repeats the result."""
        base = self.run.model_dump(mode="json", exclude={"executor"})
        base["problem"] = {"name": self.problem.name, **self.problem.config.model_dump(mode="json")}
        base["engine"] = {"name": self.engine.name, **self.engine.config.model_dump(mode="json")}
        if self.trains_surrogate:
            base["surrogate"] = self.rounds_config().model_dump(mode="json")
        return base


COUNTS = ("draws", "chains", "ensembles", "walkers", "particles", "ensemble_size")
"""Options of engines whose product is the number of draws that a result holds."""


def _fewer(options: Collection[str]) -> str:
    """How to ask an engine of these options for fewer draws."""
    *first, last = [name for name in COUNTS if name in options] or ["the number of draws"]
    lower = f"{', '.join(first)} or {last}" if first else last
    return f"lower {lower}" + (", or raise thin" if "thin" in options else "")


def _notes(run: RunConfig, path: Path, case: Case) -> tuple[str, ...]:
    notes, dropped = [], case.observations.n_dropped
    if dropped:
        notes.append(f"{path.name}: {dropped} missing or flagged data dropped")
    coarse = case.made_no_finer(run.level)
    if coarse is not None:
        notes.append(f"{path.name} was made {coarse}: errors will look too small (inverse crime)")
    return tuple(notes)
