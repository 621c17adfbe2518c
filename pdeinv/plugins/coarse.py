"""Which coarse model stands beside a problem's own: a coarser mesh, or another way to solve it.

Keys of the problem's configuration that are replaced, such as ``model = "deepwave"`` of seismic
waves or ``solver = "finite-differences"`` of tumors, give the same unknown and the same data by a
cheaper model.
"""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, model_validator

from pdeinv.config import Config, merge
from pdeinv.errors import ConfigError
from pdeinv.io.datasets import prior_probe, same_prior
from pdeinv.model.forward import ForwardModel
from pdeinv.model.observed import Sensors
from pdeinv.plugins.problem import Problem
from pdeinv.plugins.recipe import make_problem

__all__ = ["CoarseConfig"]


class CoarseConfig(Config):
    """Keys that name a coarse model."""

    coarse_level: int | None = Field(
        None,
        le=0,
        description="mesh level of the coarse physics model; unset: -1, or 0 with coarse_problem",
    )
    coarse_problem: dict[str, Any] = Field(
        default_factory=dict,
        description="keys of the problem that are replaced for the coarse model",
    )

    @model_validator(mode="after")
    def _cheaper(self) -> Self:
        if self.coarse_level == 0 and not self.coarse_problem:
            raise ValueError(
                "coarse_level = 0 is the reference model itself; take -1 or less, or name what "
                "solves it instead in coarse_problem"
            )
        return self

    @property
    def level(self) -> int:
        """``coarse_level``, filled in."""
        if self.coarse_level is not None:
            return self.coarse_level
        return 0 if self.coarse_problem else -1

    def coarse_model(self, problem: Problem, sensors: Sensors) -> ForwardModel:
        """The coarse model of m.

        Raises:
            ConfigError: keys that the problem has not, or that change what is unknown; no such
                level.
            MissingDependency: a package that the coarse model needs is not installed.
        """
        return self._own(problem).forward_model(sensors, self.level)

    def _own(self, problem: Problem) -> Problem:
        if not self.coarse_problem:
            return problem
        table = merge(problem.config.model_dump(mode="json"), self.coarse_problem)
        found = make_problem(problem.name, table)
        if not same_prior(problem.prior(), prior_probe(found.prior())):
            raise ConfigError(
                "coarse_problem changes the prior; it may replace only keys by which the same "
                "unknown is solved for in another way"
            )
        return found
