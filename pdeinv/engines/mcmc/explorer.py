"""Chains that explore a cheap posterior, as the base chains of ``two-level`` do.

They start from independent prior draws, tune a kernel each and keep every move, so that R-hat over
them tells whether they found the same posterior.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pydantic import Field

from pdeinv.bayes.posterior import Posterior
from pdeinv.engines.mcmc.chains import ChainState, Move, Sampler
from pdeinv.engines.mcmc.kernel import Point
from pdeinv.engines.mcmc.modal import ModalKernel
from pdeinv.engines.mcmc.modes import ManyModesConfig
from pdeinv.engines.mcmc.tuning import tune
from pdeinv.engines.requests import Steps

__all__ = ["Explorer", "ExplorerConfig", "ExplorerState"]


class ExplorerConfig(ManyModesConfig):
    """Options of the explorers."""

    draws: int = Field(400, ge=1, description="moves after tuning, per explorer")
    warmup: int = Field(0, ge=0, description="moves discarded after tuning")
    tuning: int = Field(400, ge=1, description="moves that tune the kernel")


@dataclass(frozen=True)
class ExplorerState(ChainState):
    """Where an explorer is, and its frozen kernel, with the modes that it knows."""

    here: Point
    kernel: ModalKernel

    @property
    def misfit(self) -> float:
        """Φ, for the progress line."""
        return self.here.place.misfit


class Explorer(Sampler[ExplorerState]):
    """Moves of the kernel of ``two-level`` on one posterior."""

    name = "explorer"
    Config = ExplorerConfig
    config: ExplorerConfig

    def init(self, posterior: Posterior, rng: np.random.Generator) -> Steps[ExplorerState]:
        """Tune from a prior draw of its own.

        Raises:
            RunFailed: no starting point could be solved.
        """
        tuned = yield from tune(posterior, self.config.tuning, rng, self.config.searches)
        here = yield from tuned.kernel.kernel.at(tuned.place)
        return ExplorerState(here=here, kernel=tuned.kernel)

    def move(
        self, posterior: Posterior, state: ExplorerState, rng: np.random.Generator
    ) -> Steps[Move[ExplorerState]]:
        """One move of the kernel."""
        moved = yield from state.kernel.step(state.here, rng)
        accepted = int(moved.point is not state.here)
        return Move(replace(state, here=moved.point), accepted, moved.chance)

    def kept(self, state: ExplorerState) -> Mapping[str, Any]:
        """Position and misfit."""
        return {"xi": state.here.place.xi, "misfit": state.misfit}
