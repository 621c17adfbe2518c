"""The exact posterior of data that are affine in xi: a Gaussian, from the whole Jacobian.

With G(xi) = c + J xi and noise N(0, Γ) the posterior is N(V (s / (1 + s²)) U^T r, I - V diag(s² /
(1 + s²)) V^T), where Γ^(-1/2) J = U diag(s) V^T and r = Γ^(-1/2) (y - c) (Stuart 2010, Theorem
6.20, in whitened coordinates).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from pydantic import Field

from pdeinv.bayes.jacobian import DenseLinearization, by_columns
from pdeinv.bayes.noise import Noise
from pdeinv.bayes.posterior import Posterior
from pdeinv.bayes.prior import cost
from pdeinv.config import Config, Many
from pdeinv.engines.base import Chain, Engine, Outcome
from pdeinv.engines.ended import Ended
from pdeinv.engines.gaussian.approximation import LaplaceApproximation
from pdeinv.engines.requests import Jacobian, Predict, Steps
from pdeinv.engines.solvable import first_point
from pdeinv.errors import CapabilityError, RunFailed, SolverDiverged, reason
from pdeinv.model.forward import DERIVATIVES
from pdeinv.typing import Array

__all__ = [
    "MAX_ENTRIES",
    "TRIES",
    "Gaussian",
    "GaussianConfig",
    "GaussianState",
    "derivative_of_affine",
    "exact_posterior",
    "linearity",
]

TRIES = 20
"""Pairs of prior draws that are tried until no solve of the test for linearity fails."""

STEPS = 64
"""Checkpoints at most while the Jacobian is built."""

MAX_ENTRIES = 250_000_000
"""Entries of the largest Jacobian that is held (2 GB)."""


class GaussianConfig(Config):
    """Options of ``gaussian``."""

    chains: Many = Field(4, description="groups of draws in the result; all are independent")
    draws: int = Field(1000, ge=1, description="independent draws per group")
    tolerance: float = Field(
        1e-6, gt=0, lt=1, description="largest relative departure from linearity that is accepted"
    )


@dataclass(frozen=True)
class GaussianState:
    """The Jacobian as far as it is known.

    ``value`` is G(point); ``done`` counts columns where xi is no longer than the data, else rows.
    """

    point: Array
    value: Array
    jacobian: Array
    probes: Array
    defect: float
    done: int

    @property
    def offset(self) -> Array:
        """G(0)."""
        return np.asarray(self.value - self.jacobian @ self.point)


@dataclass(frozen=True)
class Linearity:
    """How far G is from affine near a point, relative to its change there, and G at the point."""

    defect: float
    value: Array


def linearity(point: Array, a: Array, b: Array) -> Steps[Linearity]:
    """G at p, p + a, p + b and p + a + b compared; the defect is NaN where a solve failed."""
    rows = yield Predict(point + np.stack([0 * a, a, b, a + b]))
    here, at_a, at_b, at_sum = rows
    change = max(float(np.max(np.abs(v - here))) for v in (at_a, at_b, at_sum))
    defect = float(np.max(np.abs(at_sum - at_a - at_b + here)))
    return Linearity(defect / max(change, 1e-300), here)


def derivative_of_affine(
    point: Array, probes: Array, who: str, part: slice | None = None
) -> Steps[tuple[Array, DenseLinearization]]:
    """The Jacobian, or a part, of what :func:`linearity` tried, and a point where it did not fail.

    It is the same at all four points.

    Raises:
        RunFailed: it fails at all of them.
    """
    (a, b), why = probes, ""
    for at in point + np.stack([0 * a, a, b, a + b]):
        try:
            found: DenseLinearization = yield Jacobian(at, part=part)
        except SolverDiverged as error:
            why = reason(error)
            continue
        return at, found
    raise RunFailed(
        f"{who} cannot take the derivative at 4 points: {why}; 'pdeinv check' tests it, and pcn "
        "needs none"
    )


def exact_posterior(jacobian: Array, residual: Array, noise: Noise) -> LaplaceApproximation:
    """The posterior in xi.

    Args:
        jacobian: J, shape (n_d, dim).
        residual: y - G(0), shape (n_d,).
        noise: the noise of the data.
    """
    u, s, vt = np.linalg.svd(noise.whiten(jacobian.T).T, full_matrices=False)
    mean = (s / (1 + s**2) * (u.T @ noise.whiten(residual))) @ vt
    return LaplaceApproximation(mean, s**2, vt.T, 0.0)


class Gaussian(Engine[GaussianState]):
    """All of J by one tangent per unknown or one adjoint per datum, whichever are fewer.

    The draws are independent and exact. A model that is not linear in xi is refused.
    """

    name = "gaussian"
    produces = "posterior"
    requires = DERIVATIVES
    Config = GaussianConfig
    config: GaussianConfig

    @property
    def n_steps(self) -> int:
        """The Jacobian comes in as many parts at most."""
        return STEPS

    def draws_kept(self, dim: int) -> int:
        """As configured."""
        return self.config.chains * self.config.draws

    def init(self, posterior: Posterior, rng: np.random.Generator) -> Steps[GaussianState]:
        """Test linearity between prior draws.

        Raises:
            RunFailed: no point was found where the model can be solved.
            CapabilityError: the model is not linear in xi, or its Jacobian is too large.
        """
        n_d, dim = posterior.n_data, posterior.dim
        if n_d * dim > MAX_ENTRIES:
            raise CapabilityError(
                f"engine 'gaussian' holds the whole Jacobian, here {n_d} x {dim} numbers; use "
                "'laplace', which needs only its leading directions"
            )
        point = (yield from first_point(rng, np.zeros(dim))).xi
        for _ in range(TRIES):
            probes = rng.standard_normal((2, dim))
            found = yield from linearity(point, *probes)
            if np.isfinite(found.defect):
                break
        if not found.defect <= self.config.tolerance:
            raise CapabilityError(
                "engine 'gaussian' needs data that are linear in a Gaussian unknown; these depart "
                f"from it by {found.defect:.1g} of their change; use laplace, pcn or two-level"
            )
        return GaussianState(point, found.value, np.zeros((n_d, dim)), probes, found.defect, 0)

    def step(
        self, posterior: Posterior, state: GaussianState, rng: np.random.Generator
    ) -> Steps[GaussianState]:
        """The next columns or rows.

        Raises:
            RunFailed: their solves fail at all points where the model was solved.
        """
        total = min(state.jacobian.shape)
        part = slice(state.done, min(total, state.done - (-total // STEPS)))
        point, probes = state.point, state.probes
        _, found = yield from derivative_of_affine(point, probes, self.name, part)
        jacobian = state.jacobian.copy()
        jacobian[(slice(None), part) if by_columns(posterior) else part] = found.jacobian
        return replace(state, jacobian=jacobian, done=part.stop)

    def finished(self, state: GaussianState) -> bool:
        """When the Jacobian is complete."""
        return bool(state.done == min(state.jacobian.shape))

    def finalize(
        self, posterior: Posterior, chains: Sequence[Chain], rng: np.random.Generator
    ) -> Outcome:
        """Exact draws, with the spectrum in group ``gaussian``.

        Raises:
            RunFailed: stopped before the Jacobian was complete.
        """
        state: GaussianState = chains[0].state
        if not self.finished(state):
            raise RunFailed(
                f"gaussian stopped after {state.done} of {min(state.jacobian.shape)} parts of the "
                f"Jacobian; {Ended.BUDGET.advice}"
            )
        residual = posterior.data - state.offset
        found = exact_posterior(state.jacobian, residual, posterior.noise)
        n = self.config.chains * self.config.draws
        xi = found.sample(rng, n).reshape(self.config.chains, self.config.draws, -1)
        misfit = posterior.noise.misfit(xi @ state.jacobian.T, residual)
        at_mean = float(posterior.noise.misfit(state.jacobian @ found.mean, residual))
        informed = int(np.sum(found.eigenvalues > 1))
        return Outcome(
            xi=xi,
            stats={"misfit": misfit, "lp": -(misfit + cost(xi))},
            ended=Ended.CONVERGED,
            message=f"exact: the data are linear in xi to {state.defect:.0e}; {informed} of "
            f"{posterior.dim} directions informed more by the data than by the prior",
            summary={
                "misfit": at_mean,
                "misfit_per_datum": at_mean / posterior.n_counting,
                "informed": float(informed),
                "kl_divergence": found.kl_divergence,
                "log_evidence": _log_evidence(found, at_mean, posterior.noise),
            },
            groups={"gaussian": found.dataset("xi_mean")},
            independent_chains=False,
        )


def _log_evidence(found: LaplaceApproximation, misfit: float, noise: Noise) -> float:
    """ln p(y) = -Φ(mean) - R(mean) - ½ Σ ln(1 + λ) - ½ ln det(2πΓ)."""
    volume = noise.log_volume + 0.5 * noise.size * np.log(2 * np.pi)
    spread = 0.5 * float(np.sum(np.log1p(found.eigenvalues)))
    return float(-misfit - cost(found.mean) - spread - volume)
