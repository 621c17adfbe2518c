"""A network for the state, trained together with the whitened unknown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from pydantic import Field

from pdeinv.bayes.fit import LARGEST_SHIFT
from pdeinv.bayes.posterior import Posterior
from pdeinv.bayes.prior import cost
from pdeinv.engines.base import Chain, Engine, Outcome, strong_form_of
from pdeinv.engines.ended import Ended
from pdeinv.engines.gaussian.distance import distance_to_minimum
from pdeinv.engines.requests import Steps, drive
from pdeinv.errors import RunFailed
from pdeinv.executors.devices import import_torch
from pdeinv.model.forward import DERIVATIVES, Capability
from pdeinv.model.strong_form import StrongForm
from pdeinv.typing import Array

from .config import PinnConfig
from .network import Network
from .objective import Inference, Objective
from .training import PinnState, advance, first_state

__all__ = ["Pinn", "PinnEngineConfig"]


class PinnEngineConfig(PinnConfig):
    """Options of ``pinn``: those of the network, and how strictly the equation holds."""

    lbfgs_steps: int = Field(6000, ge=0, description="most iterations of L-BFGS")
    penalty: float = Field(1e5, gt=0, description="weight of the mean squared residual at the end")
    penalty_start: float = Field(1e4, gt=0, description="the same at the start")
    settle: float = Field(
        0.01, ge=0, description="stop where a block at full penalty changes xi relatively by less"
    )


class Pinn(Engine[PinnState]):
    """A network for the state and the whitened unknown, trained together on data and equation.

    It minimises Φ + R + penalty Σ w_k L_k over the network's weights and xi.

    Φ and R are those of the posterior, so that the result estimates the point of highest density
    in xi, as ``map`` does; the equation holds only as well as the penalty makes it. The reference
    model is solved at the end, for the misfit that the result reports, and linearized where it can
    be, for the distance to its own minimum.

    References: Raissi, Perdikaris and Karniadakis (2019); Wang, Teng and Perdikaris (2021).
    """

    name = "pinn"
    produces = "point"
    requires = frozenset({Capability.STRONG_FORM})
    Config = PinnEngineConfig
    solver_options = PinnConfig
    """The keys of the table ``[solver]``, where the network solves alone."""

    config: PinnEngineConfig

    def __init__(self, config: PinnEngineConfig) -> None:
        import_torch()  # refuses, before anything is computed, where it is missing
        super().__init__(config)
        self._built: tuple[Posterior, Objective] | None = None

    def __reduce__(self) -> tuple[type[Pinn], tuple[PinnEngineConfig]]:
        """Only the configuration travels to other processes."""
        return type(self), (self.config,)

    @property
    def n_steps(self) -> int:
        """Blocks of iterations."""
        return self.config.blocks

    def _objective(self, posterior: Posterior, net: Network | None, state: Any = None) -> Objective:
        """The objective on this posterior; kept, since its frames at the sensors do not change."""
        if net is None and self._built is not None and self._built[0] is posterior:
            objective = self._built[1]
            if np.array_equal(objective.net.features, state.features):
                return objective
        form, sensors = strong_form_of(posterior, f"engine '{self.name}'")
        if net is None:
            net = replace(self._net(posterior, form, np.random.default_rng(0)),
                          features=state.features)  # fmt: skip
        inference = Inference(posterior.prior, sensors, posterior.data, posterior.noise)
        objective = Objective(form, self.config, net, inference=inference)
        self._built = posterior, objective
        return objective

    def init(self, posterior: Posterior, rng: np.random.Generator) -> Steps[PinnState]:
        """Random weights and the prior's mean."""
        yield from ()
        form, _ = strong_form_of(posterior, f"engine '{self.name}'")
        net = self._net(posterior, form, rng)
        return first_state(self._objective(posterior, net), rng)

    def _net(self, posterior: Posterior, form: StrongForm, rng: np.random.Generator) -> Network:
        """The network, with coordinates that suit the middle of the prior."""
        middle = posterior.prior.unwhiten(np.zeros(posterior.dim))
        return Network.of(form, self.config, rng, middle)

    def step(
        self, posterior: Posterior, state: PinnState, rng: np.random.Generator
    ) -> Steps[PinnState]:
        """One block of iterations."""
        yield from ()
        objective = self._objective(posterior, None, state)
        return advance(objective, state, self.config, rng, self._penalty(state.block))

    def _penalty(self, block: int) -> float:
        """Geometric from start to end over the first half of the blocks after Adam."""
        c = self.config
        rising = max(1, (c.blocks - c.adam_blocks) // 2)
        share = min(1.0, max(0, block - c.adam_blocks) / rising)
        return float(c.penalty_start ** (1 - share) * c.penalty**share)

    def record(self, state: PinnState, step: int) -> Mapping[str, Any] | None:
        """The course of the training."""
        return {
            "objective": state.loss,
            "residual": state.residual,
            "misfit": state.misfit,
            "penalty": self._penalty(state.block - 1),
        }

    def finished(self, state: PinnState) -> bool:
        """A block at full penalty changed xi little."""
        full = self._penalty(state.block - 1) >= self.config.penalty
        return full and state.block > self.config.adam_blocks and state.moved < self.config.settle

    def finalize(
        self, posterior: Posterior, chains: Sequence[Chain], rng: np.random.Generator
    ) -> Outcome:
        """The unknown, with the misfit of the reference model beside that of the network.

        Raises:
            RunFailed: the reference model cannot be solved there, or nothing was trained.
        """
        state: PinnState = chains[0].state
        xi = state.z[len(state.z) - posterior.dim :]
        misfit = float(posterior.misfit(xi))
        if not math.isfinite(misfit) or state.block == 0:
            raise RunFailed(
                "the reference model cannot be solved at the network's unknown; train longer "
                "(engine.lbfgs_steps), or use engine map"
            )
        r = float(cost(xi))
        ended, message = self._ended(posterior, state, xi, misfit, rng)
        return Outcome(
            xi=xi[None, None, :],
            stats={"misfit": np.array([[misfit]]), "lp": np.array([[-misfit - r]])},
            ended=ended,
            message=message,
            summary={
                "iterations": float(state.iterations),
                "residual": state.residual,
                "misfit": misfit,
                "misfit_of_network": state.misfit,
                "misfit_per_datum": misfit / posterior.n_data,
                "neg_log_posterior": misfit + r,
            },
            groups={"training": chains[0].course("block")},
        )

    def _ended(
        self,
        posterior: Posterior,
        state: PinnState,
        xi: Array,
        misfit: float,
        rng: np.random.Generator,
    ) -> tuple[Ended, str]:
        """Not converged where the reference model's derivatives call for another point."""
        text = self._verdict(state, misfit)
        if not self.finished(state):
            ended = Ended.RUNNING.unless_cut(state.block, self.config.blocks)
            return ended, ended.sentence(text)
        if not posterior.model.capabilities >= DERIVATIVES:
            return Ended.CONVERGED, text
        off = drive(posterior, distance_to_minimum(posterior, xi, rng))
        worst = int(off.argmax())
        if off[worst] <= LARGEST_SHIFT:
            return Ended.CONVERGED, text
        where = (
            f"by the reference model xi[{worst}] is {off[worst]:.2g} standard deviations off; a "
            "larger engine.penalty holds the equation more strictly"
        )
        return Ended.OFF_MINIMUM, f"{Ended.OFF_MINIMUM.sentence(where)}; {text}"

    def _verdict(self, state: PinnState, misfit: float) -> str:
        how = "settled" if self.finished(state) else "ended"
        return (
            f"{how} after {state.iterations} iterations with residual {state.residual:.2g}; misfit "
            f"{misfit:.4g} by the reference model, {state.misfit:.4g} by the network"
        )
