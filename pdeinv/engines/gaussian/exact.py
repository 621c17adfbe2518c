"""The exact posterior of data that are affine in xi: a Gaussian, from the whole Jacobian.

With G(xi) = c + J xi and noise N(0, Γ) the posterior is N(V (s / (1 + s²)) U^T r, I - V diag(s² /
(1 + s²)) V^T), where Γ^(-1/2) J = U diag(s) V^T and r = Γ^(-1/2) (y - c) (Stuart 2010, Theorem
6.20, in whitened coordinates).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import xarray as xr
from pydantic import Field

from pdeinv.bayes.jacobian import charge
from pdeinv.bayes.noise import Noise
from pdeinv.bayes.posterior import Posterior
from pdeinv.bayes.prior import cost
from pdeinv.config import Config
from pdeinv.engines.base import Chain, Outcome, Produces, first_point
from pdeinv.engines.gaussian.laplace import LaplaceApproximation
from pdeinv.errors import CapabilityError, RunFailed
from pdeinv.model.forward import Capability
from pdeinv.typing import Array

__all__ = ["Gaussian", "GaussianConfig", "GaussianState", "exact_posterior", "linearity_defect"]

TRIES = 20
"""Pairs of prior draws that are tried until no solve of the test for linearity fails."""

STEPS = 64
"""Checkpoints at most while the Jacobian is built."""

MAX_ENTRIES = 250_000_000
"""Entries of the largest Jacobian that is held (2 GB)."""


class GaussianConfig(Config):
    """Options of ``gaussian``."""

    chains: int = Field(4, ge=1, description="groups of draws in the result; all are independent")
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


def linearity_defect(posterior: Posterior, point: Array, a: Array, b: Array) -> tuple[float, Array]:
    """How far G is from affine at p, p + a, p + b, p + a + b, relative to its change; and G(p).

    The first is NaN where a solve failed.
    """
    here, at_a, at_b, at_sum = posterior.predict(point + np.stack([0 * a, a, b, a + b]))
    change = max(float(np.max(np.abs(v - here))) for v in (at_a, at_b, at_sum))
    defect = float(np.max(np.abs(at_sum - at_a - at_b + here)))
    return defect / max(change, 1e-300), here


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


class Gaussian:
    """All of J by one tangent per unknown or one adjoint per datum, whichever are fewer.

    The draws are independent and exact. A model that is not linear in xi is refused.
    """

    name: ClassVar[str] = "gaussian"
    produces: ClassVar[Produces] = "posterior"
    requires: ClassVar[frozenset[Capability]] = frozenset({Capability.JVP, Capability.VJP})
    Config: ClassVar[type[Config]] = GaussianConfig

    def __init__(self, config: GaussianConfig) -> None:
        self.config = config

    @property
    def n_chains(self) -> int:
        """One: the Jacobian is built once."""
        return 1

    @property
    def n_steps(self) -> int:
        """The Jacobian comes in as many parts at most."""
        return STEPS

    def init(self, posterior: Posterior, rng: np.random.Generator) -> GaussianState:
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
        point, _ = first_point(posterior, rng, np.zeros(dim))
        for _ in range(TRIES):
            probes = rng.standard_normal((2, dim))
            defect, value = linearity_defect(posterior, point, probes[0], probes[1])
            if np.isfinite(defect):
                break
        if not defect <= self.config.tolerance:
            raise CapabilityError(
                "engine 'gaussian' needs data that are linear in a Gaussian unknown; these depart "
                f"from it by {defect:.1g} of their change; use laplace, pcn or two-level"
            )
        return GaussianState(point, value, np.zeros((n_d, dim)), probes, defect, 0)

    def step(
        self, posterior: Posterior, state: GaussianState, rng: np.random.Generator
    ) -> GaussianState:
        """The next columns or rows."""
        n_d, dim = state.jacobian.shape
        total = min(n_d, dim)
        end = min(total, state.done - (-total // STEPS))
        at = posterior.model.linearize(state.point)
        jacobian = state.jacobian.copy()
        for k in range(state.done, end):
            if dim <= n_d:
                jacobian[:, k] = at.jvp(_unit(dim, k))
            else:
                jacobian[k] = at.vjp(_unit(n_d, k))
        charge(posterior, end - state.done, tangents=dim <= n_d)
        posterior.count_hidden()
        return replace(state, jacobian=jacobian, done=end)

    def record(self, state: GaussianState, step: int) -> Mapping[str, Any] | None:
        """Nothing; the last state says it all."""
        return None

    def finished(self, state: GaussianState) -> bool:
        """When the Jacobian is complete."""
        return state.done == min(len(state.value), len(state.point))

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
                "Jacobian; raise the budget and continue with --resume"
            )
        residual = posterior.data - state.offset
        found = exact_posterior(state.jacobian, residual, posterior.noise)
        n = self.config.chains * self.config.draws
        xi = found.sample(rng, n).reshape(self.config.chains, self.config.draws, -1)
        misfit = posterior.noise.misfit(xi @ state.jacobian.T - residual)
        at_mean = float(posterior.noise.misfit(state.jacobian @ found.mean - residual))
        informed = int(np.sum(found.eigenvalues > 1))
        return Outcome(
            xi=xi,
            stats={"misfit": misfit, "lp": -(misfit + cost(xi))},
            converged=True,
            message=f"exact: the data are linear in xi to {state.defect:.0e}; {informed} of "
            f"{posterior.dim} directions informed more by the data than by the prior",
            summary={
                "misfit": at_mean,
                "misfit_per_datum": at_mean / posterior.n_data,
                "informed": float(informed),
                "kl_divergence": found.kl_divergence,
                "log_evidence": _log_evidence(found, at_mean, posterior.noise),
            },
            groups={"gaussian": _dataset(found)},
            independent_chains=False,
        )


def _unit(n: int, k: int) -> Array:
    return np.asarray(np.arange(n) == k, dtype=np.float64)


def _log_evidence(found: LaplaceApproximation, misfit: float, noise: Noise) -> float:
    """ln p(y) = -Φ(mean) - R(mean) - ½ Σ ln(1 + λ) - ½ ln det(2πΓ)."""
    scale = noise.std if noise.covariance is None else np.diag(noise.root)
    volume = float(np.sum(np.log(scale))) + 0.5 * len(scale) * np.log(2 * np.pi)
    spread = 0.5 * float(np.sum(np.log1p(found.eigenvalues)))
    return float(-misfit - cost(found.mean) - spread - volume)


def _dataset(found: LaplaceApproximation) -> xr.Dataset:
    """The spectrum and the mean, for the group ``gaussian``."""
    return xr.Dataset(
        {
            "eigenvalue": ("mode", found.eigenvalues),
            "eigenvector": (("mode", "xi_dim"), found.vectors.T),
            "xi_mean": ("xi_dim", found.mean),
            "kl_divergence": ((), found.kl_divergence),
        }
    )
