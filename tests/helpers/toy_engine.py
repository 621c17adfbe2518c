"""An engine that keeps every clause: pCN with a fixed step, about the prior."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pydantic import Field

from pdeinv.config import Config
from pdeinv.engines.base import Engine, Outcome
from pdeinv.engines.ended import Ended
from pdeinv.engines.requests import Misfit, Steps
from pdeinv.errors import RunFailed
from pdeinv.typing import Array

__all__ = ["ToyEngine", "ToyState", "WalkConfig"]

STARTS = 50


class WalkConfig(Config):
    """Options."""

    chains: int = Field(2, ge=1, description="independent chains")
    draws: int = Field(200, ge=1, description="steps that are kept")
    warmup: int = Field(50, ge=0, description="steps that are not")
    beta: float = Field(0.5, gt=0, le=1, description="size of a step")


@dataclass(frozen=True)
class ToyState:
    """Where the chain is."""

    xi: Array
    misfit: float


class ToyEngine(Engine[ToyState]):
    """Preconditioned Crank-Nicolson."""

    name = "toy"
    produces = "posterior"
    Config = WalkConfig

    @property
    def n_chains(self):
        return self.config.chains

    @property
    def n_steps(self):
        return self.config.warmup + self.config.draws

    def init(self, posterior, rng) -> Steps[ToyState]:
        for _ in range(STARTS):
            xi = rng.standard_normal(posterior.dim)
            misfit = float((yield Misfit(xi)))
            if np.isfinite(misfit):
                return ToyState(xi, misfit)
        raise RunFailed("no starting point can be solved")

    def step(self, posterior, state, rng) -> Steps[ToyState]:
        beta = self.config.beta
        noise = rng.standard_normal(posterior.dim)
        xi = np.sqrt(1 - beta**2) * state.xi + beta * noise
        misfit = float((yield Misfit(xi)))
        accepted = np.log(rng.random()) < state.misfit - misfit
        return replace(state, xi=xi, misfit=misfit) if accepted else state

    def record(self, state, step) -> Mapping[str, Any] | None:
        return None if step <= self.config.warmup else {"xi": state.xi, "misfit": state.misfit}

    def finalize(self, posterior, chains, rng):
        n = min(len(c.records.get("xi", ())) for c in chains)
        if n == 0:
            raise RunFailed("no draw was made; raise the budget")
        return Outcome(
            np.stack([c.records["xi"][:n] for c in chains]),
            {"misfit": np.stack([c.records["misfit"][:n] for c in chains])},
            Ended.DRAWN,
            "all draws done",
            {"beta": self.config.beta},
        )
