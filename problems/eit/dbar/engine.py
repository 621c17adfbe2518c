"""The engine ``d-bar``: conductivity of a disc from its boundary map, without iteration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pydantic import Field

from pdeinv.bayes.jacobian import unwhitened
from pdeinv.bayes.posterior import Posterior
from pdeinv.config import Config
from pdeinv.engines.base import Chain, Engine, Need, Outcome
from pdeinv.engines.ended import Ended
from pdeinv.engines.requests import Steps
from pdeinv.errors import RunFailed
from pdeinv.typing import Array

from .equation import KGrid, solve_at
from .scattering import profile, scattering_transform, stable_radius
from .setting import Setting

__all__ = ["Dbar", "DbarConfig", "DbarState"]

RADII = np.linspace(0.5, 10.0, 96)
"""Where the growth of noise in t is looked at."""

NOISE_DRAWS = 48


class DbarConfig(Config):
    """Options of ``d-bar``."""

    radius: float | None = Field(
        None,
        gt=0,
        le=10,
        description="R of |k| < R on the unit disc; unset: where noise takes over",
    )
    max_radius: float = Field(6.0, gt=0.5, le=10, description="largest R that the noise may choose")
    signal_to_noise: float = Field(
        1.2, gt=1, description="R ends where |t|, noise included, falls below this many times noise"
    )
    scattering: Literal["single-layer", "exp"] = Field(
        "single-layer",
        description="traces of the exponential solutions by one single-layer equation, or plain "
        "exponentials (t_exp)",
    )
    background: float | None = Field(
        None, gt=0, description="conductivity near the boundary in S m-1; unset: fitted to the data"
    )
    grid: int = Field(64, ge=16, le=512, multiple_of=2, description="points along each side in k")
    parts: int = Field(16, ge=1, description="checkpoints that the picture is made in")
    tolerance: float = Field(1e-6, gt=0, lt=1, description="of the linear solver")


@dataclass(frozen=True)
class DbarState:
    """The picture as far as it is known.

    Attributes:
        m: the unknown, S m-1; the background where it is not known yet.
        radius: R.
        background: σ near the boundary, S m-1.
        excess: Λ_σ/background - Λ_1 on the unit disc, shape (n, n).
        signal: |t| on the circles |k| = RADII, root mean square.
        noise: the same of noise alone.
        imaginary: largest |Im μ(z, 0)|, which vanishes for exact data.
        residual: largest relative residual of the linear solver.
        done: how many points z are done.
        total: of how many.
    """

    m: Array
    radius: float
    background: float
    excess: Array
    signal: Array
    noise: Array
    imaginary: float
    residual: float
    done: int
    total: int


class Dbar(Engine[DbarState]):
    """σ(z) = σ₀ Re(μ(z, 0))² by the ∂̄ equation, with t cut off at |k| = R.

    Reference: Nachman (1996); Siltanen, Mueller and Isaacson (2000); Knudsen, Lassas, Mueller and
    Siltanen (2009) for the cut as a regularisation; Mueller and Siltanen (2012, §15).
    """

    name = "d-bar"
    produces = "point"
    needs = frozenset({Need.UNKNOWN})
    Config = DbarConfig
    config: DbarConfig

    @property
    def n_steps(self) -> int:
        """As many parts."""
        return self.config.parts

    def init(self, posterior: Posterior, rng: np.random.Generator) -> Steps[DbarState]:
        """The map, its background, and R from draws of the noise.

        Raises:
            CapabilityError: not the continuum model of a plane disc with a conductivity field.
            DataSchemaError: part of the map is missing.
        """
        yield from ()
        setting = Setting.of(posterior)
        matrix = setting.matrix(posterior.data)
        background = self.config.background or setting.boundary.background(matrix)
        if not background > 0:
            raise RunFailed(
                f"engine 'd-bar': the data give a background of {background:.3g} S m-1; check "
                "their sign and units, or set engine.background"
            )

        def excess(data: Array) -> Array:
            found = setting.boundary.excess(setting.matrix(data), background)
            return self._traced(found)

        own = excess(posterior.data)
        draws = posterior.data + posterior.noise.sample(rng, NOISE_DRAWS)
        found = profile(own, np.stack([excess(d) for d in draws]), RADII)
        radius = self.config.radius or min(
            self.config.max_radius, stable_radius(found, self.config.signal_to_noise)
        )
        m = np.full(posterior.prior.space.size, background)
        total = len(setting.inside)
        return DbarState(m, radius, background, own, found.signal, found.noise, 0.0, 0.0, 0, total)

    def _traced(self, excess: Array) -> Array:
        """δΛ, or δΛ (1 + S δΛ)^(-1), so that exponentials may stand for the solutions' traces.

        S cos nθ = cos nθ / (2n) is the single layer of the unit circle: the traces solve
        ψ + S δΛ ψ = e^{ikz}, Faddeev's kernel replaced by that of k = 0.
        """
        if self.config.scattering == "exp":
            return excess
        layer = 1 / (2 * np.repeat(np.arange(1.0, len(excess) // 2 + 1), 2))
        return np.asarray(excess @ np.linalg.inv(np.eye(len(excess)) + layer[:, None] * excess))

    def step(
        self, posterior: Posterior, state: DbarState, rng: np.random.Generator
    ) -> Steps[DbarState]:
        """The next points."""
        yield from ()
        setting = Setting.of(posterior)
        grid = KGrid(state.radius, self.config.grid)
        end = min(state.total, state.done - (-state.total // self.config.parts))
        chosen: NDArray[np.int64] = setting.inside[state.done : end]
        t = scattering_transform(state.excess, grid.points)
        mu, residual = solve_at(grid, t, setting.places[chosen], self.config.tolerance)
        m = state.m.copy()
        m[chosen] = state.background * np.real(mu) ** 2
        return replace(
            state,
            m=m,
            imaginary=max(state.imaginary, float(np.abs(mu.imag).max())),
            residual=max(state.residual, float(residual.max())),
            done=end,
        )

    def finished(self, state: DbarState) -> bool:
        """When all points are done."""
        return state.done == state.total

    def finalize(
        self, posterior: Posterior, chains: Sequence[Chain], rng: np.random.Generator
    ) -> Outcome:
        """The picture, and how it fits the data (one solve).

        Raises:
            RunFailed: stopped before the picture was complete, or it cannot be solved.
        """
        state: DbarState = chains[0].state
        if not self.finished(state):
            raise RunFailed(
                f"d-bar stopped after {state.done} of {state.total} points; {Ended.BUDGET.advice}"
            )
        misfit = float(unwhitened(posterior, "engine 'd-bar'").misfit(state.m))
        if not np.isfinite(misfit):
            raise RunFailed(
                "the conductivity that d-bar found cannot be solved for; lower engine.radius "
                f"(now {state.radius:.2g})"
            )
        converged = state.residual <= 10 * self.config.tolerance
        why = "as set" if self.config.radius else "where noise takes over, or max_radius"
        return Outcome(
            xi=np.zeros((1, 1, 0)),
            stats={"misfit": np.array([[misfit]])},
            ended=Ended.CONVERGED if converged else Ended.STALLED,
            message=f"direct: |k| < {state.radius:.2f} ({why}), background {state.background:.4g} "
            f"S m-1, misfit {misfit:.4g} for {posterior.n_data} data"
            + ("" if converged else f"; linear solver stopped at {state.residual:.1e}"),
            summary={
                "radius": state.radius,
                "background": state.background,
                "misfit": misfit,
                "misfit_per_datum": misfit / posterior.n_data,
                "imaginary_part": state.imaginary,
            },
            groups={"d_bar": _dataset(state)},
            m=state.m[None, None],
        )


def _dataset(state: DbarState) -> xr.Dataset:
    """How the scattering transform and its noise grow."""
    return xr.Dataset(
        {
            "t_rms": ("k_radius", state.signal),
            "t_noise_rms": ("k_radius", state.noise),
        },
        {"k_radius": RADII},
    )
