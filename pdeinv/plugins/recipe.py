"""Recipes that build posteriors from plain data, so that worker processes can build their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

from pdeinv.bayes.likelihood import Likelihood
from pdeinv.bayes.posterior import Counters, Posterior, WhitenedModel
from pdeinv.bayes.prior import Prior
from pdeinv.errors import CapabilityError, DataSchemaError
from pdeinv.io.checkpoints import read_metadata
from pdeinv.io.observations import Observations
from pdeinv.model.forward import ForwardModel
from pdeinv.model.learned import Role
from pdeinv.model.observed import Sensors
from pdeinv.plugins import registry
from pdeinv.plugins.aligned import Measured
from pdeinv.plugins.estimated import estimate_of
from pdeinv.plugins.hooks import strong_form
from pdeinv.plugins.law import law_of
from pdeinv.plugins.problem import Problem
from pdeinv.plugins.simulated import simulations_of
from pdeinv.plugins.surrogate import Surrogate, check_installed, check_role
from pdeinv.typing import Array

__all__ = [
    "ModelChoice",
    "PosteriorRecipe",
    "Prepared",
    "bound_forward",
    "load_surrogate",
    "make_problem",
    "surrogate_kind",
    "whitened_model",
]

ModelChoice = Literal["reference", "surrogate"]


def make_problem(name: str, config: Mapping[str, Any]) -> Problem:
    """The problem registered under ``name`` with its configuration checked.

    Raises:
        UnknownPlugin: no such problem.
        ConfigError: a wrong key or value.
    """
    return cast(Problem, registry.build("problems", name, config))


def whitened_model(problem: Problem, sensors: Sensors, level: int) -> WhitenedModel:
    """The reference model at ``sensors``, of the whitened coordinates of the problem's prior."""
    return WhitenedModel(problem.prior(), problem.forward_model(sensors, level))


def surrogate_kind(folder: Path) -> type[Surrogate]:
    """The class of the surrogate stored in ``folder``; its arrays are not read.

    Raises:
        DataSchemaError: the folder is missing or holds no surrogate.
        MissingDependency: a package that it cannot be used without is not installed.
    """
    metadata = read_metadata(folder)
    name = metadata.get("surrogate")
    if not isinstance(name, str):
        raise DataSchemaError(f"{folder}: metadata.json names no surrogate; train it again")
    kind = registry.load("surrogates", name)
    check_installed(kind, metadata.get("config", {}), training=False)
    return cast(type[Surrogate], kind)


def load_surrogate(folder: Path, verb: str | None = None) -> Surrogate:
    """The surrogate stored in ``folder``, of whatever kind.

    Args:
        folder: what ``train-surrogate`` wrote.
        verb: who needs a forward model of it; None takes a member of any role.

    Raises:
        CapabilityError: it is no forward model, and one is needed.
        DataSchemaError: the folder is missing or holds no surrogate.
        MissingDependency: a package that it cannot be used without is not installed.
    """
    kind = surrogate_kind(folder)
    if verb is not None:
        check_role(kind, Role.FORWARD, verb)
    return kind.load(folder)


def bound_forward(
    surrogate: Surrogate, problem: Problem, prior: Prior, sensors: Sensors
) -> ForwardModel:
    """A surrogate of role ``forward`` as the model on xi that it binds to.

    Raises:
        SurrogateRejected: trained for another problem, prior or sensor set.
    """
    return cast(ForwardModel, surrogate.bind(problem, prior, sensors))


@dataclass(frozen=True)
class PosteriorRecipe:
    """Everything a process needs to build the posterior; holds no solver and no network.

    Attributes:
        problem: registered name.
        problem_config: the problem's resolved configuration.
        sensors: where the data are.
        data: the measured values.
        likelihood: their distribution.
        level: the mesh level of the reference model.
        model: which model the posterior itself uses.
        surrogate: folder of a surrogate, which becomes the model or the coarse twin.
        simulations: data set file with unknowns that are solved for already.
        inverse: folder of a trained inverse, whose estimate engines begin at.
        denoiser: folder of a trained denoiser, whose law takes the place of xi ~ N(0, I), and
            whose coordinates that of xi where it has its own.
        seen: draws of about the surrogate's posterior (:class:`Posterior`).
    """

    problem: str
    problem_config: Mapping[str, Any]
    sensors: Sensors
    data: Array
    likelihood: Likelihood
    level: int = 0
    model: ModelChoice = "reference"
    surrogate: Path | None = None
    simulations: Path | None = None
    inverse: Path | None = None
    denoiser: Path | None = None
    seen: Array | None = None

    @classmethod
    def of(cls, problem: Problem, observations: Observations, **more: Any) -> PosteriorRecipe:
        """That of a problem with its data, and ``more`` attributes."""
        config, o = problem.config.model_dump(mode="json"), observations
        return cls(problem.name, config, o.coords, o.values, o.likelihood, **more)

    def __call__(self) -> Posterior:
        """Build it: the reference posterior with its coarse twin, or the surrogate posterior."""
        problem = make_problem(self.problem, self.problem_config)
        posterior = self._alone(problem) if self.denoiser is None else self._learned(problem)
        if self.inverse is not None:
            measured = Measured(self.sensors, self.data, self.likelihood)
            trained = load_surrogate(self.inverse)
            told = estimate_of(trained, problem, make_problem, measured)
            posterior = replace(posterior, estimate=told)
        if self.simulations is None:
            return posterior
        held = simulations_of(self.simulations, problem, make_problem, self.sensors, posterior)
        return replace(posterior, simulations=held)

    def _alone(self, problem: Problem) -> Posterior:
        prior = problem.prior()
        if self.surrogate is None and self.model == "surrogate":
            raise CapabilityError("model 'surrogate' needs a checkpoint; pass --surrogate FOLDER")
        cheap = None if self.surrogate is None else self.cheap(problem, prior)
        if self.model == "surrogate":
            assert cheap is not None
            return cheap
        return self._on(prior, self._reference(problem, prior), cheap)

    def _learned(self, problem: Problem) -> Posterior:
        """The reference posterior under the law of a trained denoiser, in its coordinates."""
        assert self.denoiser is not None
        trained = load_surrogate(self.denoiser)
        prior, law = law_of(trained, problem, problem.prior(), self.sensors)
        posterior = self._on(prior, self._reference(problem, prior), None)
        return replace(posterior, denoiser=law)

    def _reference(self, problem: Problem, prior: Prior) -> WhitenedModel:
        inner = problem.forward_model(self.sensors, self.level)
        return WhitenedModel(prior, inner, strong_form(problem, self.sensors))

    def cheap(self, problem: Problem, prior: Prior) -> Posterior:
        """The posterior of the surrogate alone."""
        assert self.surrogate is not None
        surrogate = load_surrogate(self.surrogate, "invert")
        cheap = self._on(prior, bound_forward(surrogate, problem, prior, self.sensors), None)
        return replace(cheap, seen=self.seen)

    def _on(self, prior: Prior, model: ForwardModel, coarse: Posterior | None) -> Posterior:
        return Posterior(prior, model, self.data, self.likelihood, coarse)


@dataclass(frozen=True)
class Prepared:
    """A posterior and its recipe: this process goes on with its solvers, a worker builds its own.

    Attributes:
        recipe: how it was built.
        posterior: what was built.
    """

    recipe: PosteriorRecipe
    posterior: Posterior

    @classmethod
    def of(cls, recipe: PosteriorRecipe) -> Prepared:
        """Build a posterior by its recipe."""
        return cls(recipe, recipe())

    def __call__(self) -> Posterior:
        """The posterior for one more use: prior and solvers are shared, counts begin anew.

        A surrogate is loaded again, because it watches how often it is asked beyond its range.
        """
        recipe, posterior = self.recipe, self.posterior
        if recipe.surrogate is None:
            return replace(posterior, counters=Counters())
        problem = make_problem(recipe.problem, recipe.problem_config)
        cheap = recipe.cheap(problem, posterior.prior)
        if recipe.model == "surrogate":
            return replace(cheap, simulations=posterior.simulations)
        return replace(posterior, coarse=cheap, counters=Counters())

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel as the recipe alone: solvers and networks stay where they are."""
        return replace, (self.recipe,)

    def beside(self, surrogate: Path, seen: Array | None) -> Prepared:
        """The same with the surrogate of a folder as its coarse twin, whose draws were ``seen``."""
        return Prepared(replace(self.recipe, surrogate=surrogate, seen=seen), self.posterior)

    def with_likelihood(self, likelihood: Likelihood) -> Prepared:
        """The same with another likelihood."""
        recipe = replace(self.recipe, likelihood=likelihood)
        return Prepared(recipe, replace(self.posterior, likelihood=likelihood))
