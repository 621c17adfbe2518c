"""One minimization after another: through bands of frequencies, then of J itself.

Each may end where Φ is no larger than the noise of the data makes it (the discrepancy principle,
Morozov 1966): what a search still gains below that level is a fit of the noise, which directions of
the unknown that the data hardly see pay for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pdeinv.bayes.likelihood import DataMisfit
from pdeinv.bayes.noise import Noise
from pdeinv.bayes.posterior import Posterior
from pdeinv.bayes.prior import cost
from pdeinv.engines.bands import BandsConfig, Stages, stage_of
from pdeinv.engines.ended import Ended
from pdeinv.engines.gaussian.minimize import Minimum, first_minimum, improved
from pdeinv.engines.gaussian.starts import StartsConfig
from pdeinv.engines.requests import Steps, under
from pdeinv.typing import Array

__all__ = ["Descended", "Descent", "DescentConfig", "begun", "continued"]


class DescentConfig(StartsConfig, BandsConfig):
    """Options of the engines that go down to a minimum, through bands where there are some."""

    @property
    def level(self) -> float:
        """τ² of Φ = τ² n/2, at which a stage ends before its minimum; 0 for none that does."""
        return 0.0

    @property
    def most_descents(self) -> int:
        """The most iterations of all stages together."""
        return self.max_iterations + sum(self.iterations)


@dataclass(frozen=True)
class Descent:
    """Where it stands: the minimization of its present stage, and the stages.

    ``enough`` is the Φ at which this stage ends; 0 where it goes to its minimum.
    """

    minimum: Minimum
    stages: Stages
    enough: float = 0.0

    def on(self, config: DescentConfig) -> bool:
        """Whether another iteration is due."""
        return not self.stages.over or self.minimum.on(config)

    def ended(self, posterior: Posterior) -> Minimum:
        """The minimization of J; where a band was cut short, J there and that it was."""
        if self.stages.over:
            return self.minimum
        misfit = float(posterior.misfit(self.minimum.xi))
        whole = misfit + float(cost(self.minimum.xi))
        return replace(self.minimum, misfit=misfit, objective=whole, ended=Ended.CUT)


@dataclass(frozen=True)
class Descended:
    """The state of an engine that begins with a descent.

    Attributes:
        descent: it.
    """

    descent: Descent

    @property
    def minimum(self) -> Minimum:
        """The first minimization, of its present stage."""
        return self.descent.minimum

    @property
    def stage(self) -> str:
        """The band that it is in, for the progress line."""
        return self.descent.stages.text

    @property
    def misfit(self) -> float:
        """Φ, for the progress line."""
        return self.minimum.misfit


def begun(
    posterior: Posterior, config: DescentConfig, rng: np.random.Generator, xi0: Array | None = None
) -> Steps[Descent]:
    """At the start, in the first band where there is one.

    Raises:
        CapabilityError: there are bands, and the data have no time.
        ConfigError: a corner that their sampling does not hold.
        RunFailed: no starting point could be solved.
    """
    stages = Stages.before(config)
    for k in range(len(config.bands)):
        stage_of(posterior, config, k)  # refuses what it would refuse later
    return (yield from _in_stage(posterior, config, stages, (rng, xi0)))


def _in_stage(
    posterior: Posterior,
    config: DescentConfig,
    stages: Stages,
    start: tuple[np.random.Generator, Array | None],
) -> Steps[Descent]:
    law = stage_of(posterior, config, stages.band)
    minimum = yield from under(first_minimum(posterior, config, *start), law)
    enough = _enough(config, law or posterior.likelihood)
    stages = stages if stages.over else stages.at(minimum.misfit, 0)
    return Descent(_unless_fitted(minimum, enough), stages, enough)


def continued(
    posterior: Posterior, config: DescentConfig, at: Descent, rng: np.random.Generator
) -> Steps[Descent]:
    """After one more iteration; at the end of a band, at the start of the next."""
    if at.stages.over:
        minimum = yield from improved(at.minimum, config)
        return replace(at, minimum=_unless_fitted(minimum, at.enough))
    most = config.iterations[at.stages.band]
    within = config.model_copy(update={"max_iterations": most})
    minimum, stages = at.minimum, at.stages
    if minimum.on(within):
        law = stage_of(posterior, config, stages.band)
        minimum = yield from under(improved(minimum, within), law)
        minimum = _unless_fitted(minimum, at.enough)
        stages = stages.at(minimum.misfit, minimum.n)
    if minimum.on(within):
        return replace(at, minimum=minimum, stages=stages)
    return (yield from _in_stage(posterior, config, stages.next(), (rng, minimum.xi)))


def _enough(config: DescentConfig, law: DataMisfit) -> float:
    """τ² n/2 of the data that count in a stage; 0 where no level was asked for."""
    return 0.5 * config.level * law.count if config.level and isinstance(law, Noise) else 0.0


def _unless_fitted(minimum: Minimum, enough: float) -> Minimum:
    """The same, ended where its stage fits the data as well as their noise allows."""
    fitted = minimum.misfit <= enough and minimum.ended is not Ended.CONVERGED
    return replace(minimum, ended=Ended.FITTED) if fitted else minimum
