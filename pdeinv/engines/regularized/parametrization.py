"""The coordinates in which a classical reconstruction moves: m, ln m, or the prior's ξ."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from pdeinv.bayes.jacobian import DenseLinearization
from pdeinv.bayes.posterior import Posterior
from pdeinv.bayes.prior import Prior
from pdeinv.engines.regularized.config import GaussNewtonConfig
from pdeinv.engines.requests import Jacobian, Level, Misfit, Steps
from pdeinv.errors import CapabilityError, ConfigError
from pdeinv.typing import Array

__all__ = ["Parametrization"]


@dataclass(frozen=True)
class Parametrization:
    """p, where m = p, exp(p) or the prior's map of p.

    Attributes:
        kind: which.
        prior: the prior.
        reference: where the penalty vanishes, in p.
        bounds: least and largest p.
    """

    kind: Literal["m", "log", "xi"]
    prior: Prior
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
            return cls("xi", prior, np.zeros(prior.dim), (-np.inf, np.inf))
        m = prior.unwhiten(np.zeros(prior.dim))
        if config.reference is not None:
            m = np.full_like(m, config.reference)
        low = -np.inf if config.lower is None else config.lower
        high = np.inf if config.upper is None else config.upper
        _check(m, config, (low, high))
        if config.positivity == "log":
            return cls("log", prior, np.log(m), (-np.inf, np.inf))
        return cls("m", prior, np.asarray(m, dtype=np.float64), (low, high))

    def place(self, xi: Array) -> Array:
        """p of a prior draw."""
        if self.kind == "xi":
            return xi
        m = self.inside(self.prior.unwhiten(xi)) if self.kind == "m" else self.prior.unwhiten(xi)
        return np.asarray(np.log(m) if self.kind == "log" else m)

    def inside(self, p: Array) -> Array:
        """The nearest point within the bounds."""
        return np.clip(p, *self.bounds)

    def held(self, p: Array, gradient: Array) -> NDArray[np.bool_]:
        """Entries at a bound that the objective pushes against."""
        low, high = self.bounds
        return np.asarray(((p <= low) & (gradient > 0)) | ((p >= high) & (gradient < 0)))

    def unknown(self, p: Array) -> Array:
        """m of p."""
        return self.prior.unwhiten(p) if self.kind == "xi" else self._argument(p)

    def _argument(self, p: Array) -> Array:
        """What the model is evaluated at."""
        if self.kind != "log":
            return p
        with np.errstate(over="ignore"):
            return np.asarray(np.exp(p))

    @property
    def _level(self) -> Level:
        return "fine" if self.kind == "xi" else "unknown"

    def misfit(self, p: Array) -> Steps[float]:
        """Φ, infinite where the solve failed."""
        return float((yield Misfit(self._argument(p), self._level)))

    def linearize(self, p: Array) -> Steps[DenseLinearization]:
        """G and dG/dp.

        Raises:
            SolverDiverged: the solve failed.
        """
        x = self._argument(p)
        found: DenseLinearization = yield Jacobian(x, self._level)
        return replace(found, jacobian=found.jacobian * x) if self.kind == "log" else found


def _check(m: Array, config: GaussNewtonConfig, bounds: tuple[float, float]) -> None:
    low, high = bounds
    if not ((m >= low) & (m <= high)).all():
        raise ConfigError(
            f"engine.reference: expected values within the bounds [{low:g}, {high:g}], got "
            f"{m.min():g} to {m.max():g}; move the bounds or set engine.reference"
        )
    if config.positivity == "log" and not (m > 0).all():
        raise ConfigError(
            f"engine.positivity 'log' needs a positive reference, got {m.min():g}; set "
            "engine.reference, or positivity 'bounds'"
        )
