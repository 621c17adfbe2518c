"""Where a regularized reconstruction stands between two steps."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from pdeinv.engines.bands import Stages
from pdeinv.engines.ended import Ended
from pdeinv.typing import Array

__all__ = ["GaussNewtonState"]


@dataclass(frozen=True)
class GaussNewtonState:
    """Where the reconstruction stands.

    Attributes:
        p: the point in the engine's coordinates.
        misfit: Φ there.
        objective: Φ + λ P with the weight of the last step.
        weight: λ of the last step.
        decrement: how much the last linearization promised, relative to the objective.
        scale: diagonal of Jᵀ Γ⁻¹ J at the start (NOSER), empty before the first step.
        reference: where the penalty vanishes, in the engine's coordinates.
        stages: the bands of frequencies; what stands here is of the present one.
        beta: smoothing of the total variation, 0 before it is known.
        n: steps done.
        taken: the share of the last step that was taken.
        ended: how it ended.
    """

    p: Array
    misfit: float
    objective: float
    weight: float
    decrement: float
    scale: Array
    reference: Array
    stages: Stages = field(default_factory=Stages.none)
    beta: float = 0.0
    n: int = 0
    taken: float = 1.0
    ended: Ended = Ended.RUNNING

    @property
    def stage(self) -> str:
        """The band that it is in, for the progress line."""
        return self.stages.text

    def above(self, misfit: float) -> GaussNewtonState:
        """At the start of the next stage, whose Φ is that; β stays."""
        stages = self.stages.next()
        stages = stages if stages.over else stages.at(misfit, 0)
        fresh = replace(self, misfit=misfit, objective=misfit, decrement=np.inf, stages=stages)
        return replace(fresh, scale=np.zeros(0), n=0, taken=1.0, ended=Ended.RUNNING)
