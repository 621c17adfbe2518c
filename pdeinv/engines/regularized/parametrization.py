"""The coordinates in which a classical reconstruction moves: m, ln m, or the prior's ξ."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from pdeinv.bayes.jacobian import DenseLinearization
from pdeinv.bayes.point import PosteriorPoint
from pdeinv.bayes.posterior import Posterior
from pdeinv.bayes.prior import Prior, positive
from pdeinv.engines.regularized.config import GaussNewtonConfig
from pdeinv.engines.requests import Jacobian, Level, Linearize, Misfit, Steps
from pdeinv.errors import CapabilityError, ConfigError
from pdeinv.typing import Array

__all__ = ["Parametrization"]


@dataclass(frozen=True)
class Parametrization:
    """p, where each entry of m is p or exp(p), or m is the prior's map of p.

    Attributes:
        kind: whether p stands for m or for ξ.
        prior: the prior.
        log: which entries of m are exp(p), shape (n_m,); none where p is ξ.
        reference: where the penalty vanishes, in p.
        bounds: least and largest p.
    """

    kind: Literal["m", "xi"]
    prior: Prior
    log: NDArray[np.bool_]
    reference: Array
    bounds: tuple[float, float]

    @classmethod
    def of(cls, posterior: Posterior, config: GaussNewtonConfig) -> Self:
        """The coordinates that the options ask for.

        Raises:
            CapabilityError: the model or the prior cannot be used so.
            ConfigError: the reference is not positive or lies outside the bounds.
        """
        prior, who = posterior.prior, "engine 'gauss-newton'"
        if config.regularization == "prior":
            if not prior.differentiable:
                raise CapabilityError(
                    f"{who} with regularization 'prior' needs a differentiable prior; use 'noser', "
                    "'smoothness' or 'tv', which need none"
                )
            whole = (-np.inf, np.inf)
            return cls("xi", prior, np.zeros(prior.dim, bool), np.zeros(prior.dim), whole)
        m = _background(prior, config)
        low = -np.inf if config.lower is None else config.lower
        high = np.inf if config.upper is None else config.upper
        if config.reference is None:
            m = np.clip(m, low, high)  # where its fit to the data begins
        log = _in_log(prior, m, config)
        _check(m, log, (low, high))
        return cls("m", prior, log, _log_where(log, m), (low, high))

    def about(self, reference: Array) -> Self:
        """The same coordinates with the penalty about another point of them."""
        return replace(self, reference=self.inside(reference))

    def place(self, xi: Array) -> Array:
        """p of a prior draw; not a number where the draw has no logarithm."""
        if self.kind == "xi":
            return xi
        return self.inside(_log_where(self.log, self.prior.unwhiten(xi)))

    def of_unknown(self, m: Array) -> Array:
        """p of an unknown, where p stands for m; entries without a logarithm take the reference."""
        p = _log_where(self.log, m)
        return self.inside(np.where(np.isfinite(p), p, self.reference))

    def inside(self, p: Array) -> Array:
        """The nearest point within the bounds."""
        return np.clip(p, *self.bounds)

    def held(self, p: Array, gradient: Array) -> NDArray[np.bool_]:
        """Entries at a bound that the objective pushes against."""
        low, high = self.bounds
        return np.asarray(((p <= low) & (gradient > 0)) | ((p >= high) & (gradient < 0)))

    def unknown(self, p: Array) -> Array:
        """m of p."""
        return self.prior.unwhiten(p) if self.kind == "xi" else self.argument(p)

    def argument(self, p: Array) -> Array:
        """What the model is evaluated at: m or ξ."""
        with np.errstate(over="ignore"):
            return np.where(self.log, np.exp(np.where(self.log, p, 0.0)), p)

    def slope(self, p: Array) -> Array:
        """The derivative of the argument by p, entry by entry."""
        return np.where(self.log, self.argument(p), 1.0)

    @property
    def level(self) -> Level:
        """Whom to ask."""
        return "fine" if self.kind == "xi" else "unknown"

    def misfit(self, p: Array, *, trial: bool = False) -> Steps[float]:
        """Φ, infinite where the solve failed; that of a trial is not counted as failed."""
        return float((yield Misfit(self.argument(p), self.level, trial=trial)))

    def linearize(self, p: Array) -> Steps[DenseLinearization]:
        """G and dG/dp.

        Raises:
            SolverDiverged: the solve failed.
        """
        found: DenseLinearization = yield Jacobian(self.argument(p), self.level)
        return replace(found, jacobian=found.jacobian * self.slope(p))

    def products(self, p: Array) -> Steps[tuple[PosteriorPoint, Array, Callable[[Array], Array]]]:
        """The point, dΦ/dp and v ↦ Jᵀ F J v with J = dG/dp.

        Raises:
            SolverDiverged: the solve failed.
        """
        x, slope = self.argument(p), self.slope(p)
        at: PosteriorPoint = yield Linearize(x, self.level)
        pull = slope * (at.gradient - x)  # the point's own prior is N(0, I) in its argument

        def product(v: Array) -> Array:
            return np.asarray(slope * at.gauss_newton(slope * v))

        return at, pull, product


def _log_where(log: NDArray[np.bool_], m: Array) -> Array:
    """ln m where asked for, else m."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(log, np.log(np.where(log, m, 1.0)), m)


def _background(prior: Prior, config: GaussNewtonConfig) -> Array:
    """The prior's map at ξ = 0, its first variable at the value that is given."""
    m = np.array(prior.unwhiten(np.zeros(prior.dim)), dtype=np.float64)
    if isinstance(config.reference, float):
        m[: prior.space.variables[0].size] = config.reference
    return m


def _in_log(prior: Prior, m: Array, config: GaussNewtonConfig) -> NDArray[np.bool_]:
    """Which entries move in their logarithm: all, none, or those that their prior has positive."""
    if config.positivity is None:
        return positive(prior) & (m > 0)
    return np.full(len(m), config.positivity == "log")


def _check(m: Array, log: NDArray[np.bool_], bounds: tuple[float, float]) -> None:
    low, high = bounds
    if not ((m >= low) & (m <= high)).all():
        raise ConfigError(
            f"engine.reference: expected values within the bounds [{low:g}, {high:g}], got "
            f"{m.min():g} to {m.max():g}; move the bounds or set engine.reference"
        )
    if not (m[log] > 0).all():
        raise ConfigError(
            f"engine.positivity 'log' needs a positive reference, got {m[log].min():g}; set "
            "engine.reference, or positivity 'bounds'"
        )
