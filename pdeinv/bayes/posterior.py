"""The posterior of the whitened unknown: Φ(xi) + R(xi), its derivatives and its cost counters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import cached_property

import numpy as np

from pdeinv.bayes.noise import Noise
from pdeinv.bayes.prior import Prior, cost
from pdeinv.errors import ConfigError, ShapeError, SolverDiverged
from pdeinv.model.forward import (
    Capability,
    ForwardModel,
    HiddenCost,
    Linearization,
    ModelKind,
    Rows,
    each_row,
    evaluate,
    finite,
    linearize,
)
from pdeinv.model.spaces import Space, Variable
from pdeinv.model.strong_form import StrongFormOf
from pdeinv.typing import Array

__all__ = ["Counters", "Posterior", "PosteriorPoint", "WhitenedModel", "xi_space"]


@dataclass
class Counters:
    """How often each kind of solve ran.

    Attributes:
        n_forward: reference solves.
        n_tangent: directional derivatives of the reference model.
        n_adjoint: adjoint actions of the reference model.
        n_surrogate: surrogate evaluations (derivative actions included).
        n_failed: reference solves that failed; each counted above too.
        n_surrogate_failed: surrogate evaluations that failed; likewise.
    """

    n_forward: int = 0
    n_tangent: int = 0
    n_adjoint: int = 0
    n_surrogate: int = 0
    n_failed: int = 0
    n_surrogate_failed: int = 0

    def count(
        self,
        kind: ModelKind,
        *,
        forward: int = 0,
        tangent: int = 0,
        adjoint: int = 0,
        failed: int = 0,
    ) -> None:
        """Add solves of a model of that kind."""
        if kind == "surrogate":
            self.n_surrogate += forward + tangent + adjoint
            self.n_surrogate_failed += failed
            return
        self.n_forward += forward
        self.n_tangent += tangent
        self.n_adjoint += adjoint
        self.n_failed += failed

    def count_hidden(self, model: ForwardModel) -> None:
        """Add what the model did beyond what it was asked for (finite differences)."""
        hidden: HiddenCost | None = getattr(model, "hidden_cost", None)
        if hidden is not None:
            forward, tangent, adjoint = hidden.take()
            self.count(model.kind, forward=forward, tangent=tangent, adjoint=adjoint)

    def add(self, other: Counters) -> None:
        """Add the counts of ``other``."""
        for f in fields(self):
            setattr(self, f.name, getattr(self, f.name) + getattr(other, f.name))

    def as_dict(self) -> dict[str, int]:
        """The counts by name."""
        return {f.name: int(getattr(self, f.name)) for f in fields(self)}


def xi_space(dim: int) -> Space:
    """The space of the whitened unknown."""
    return Space((Variable("xi", ("xi_dim",), (dim,), long_name="whitened unknown"),))


@dataclass(frozen=True)
class WhitenedModel:
    """xi ↦ G(m(xi)): a forward model composed with a prior, itself a forward model on xi.

    Attributes:
        prior: m(xi).
        model: G.
        strong_form: the same physics (in m) as residuals at points, where the problem has them.
    """

    prior: Prior
    model: ForwardModel
    strong_form: StrongFormOf | None = None

    @cached_property
    def m_space(self) -> Space:
        """The space of xi."""
        return xi_space(self.prior.dim)

    @property
    def d_space(self) -> Space:
        """The data space of the inner model."""
        return self.model.d_space

    @property
    def kind(self) -> ModelKind:
        """As the inner model."""
        return self.model.kind

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Those of the inner model, without derivatives where the prior has none."""
        derivatives = {Capability.JVP, Capability.VJP}
        lost = set() if self.prior.differentiable else derivatives
        strong = set() if self.strong_form is None else {Capability.STRONG_FORM}
        return (self.model.capabilities - lost) | strong

    @property
    def hidden_cost(self) -> HiddenCost | None:
        """That of the inner model, where it has one."""
        return getattr(self.model, "hidden_cost", None)

    def __call__(self, xi: Array) -> Array:
        """G(m(xi))."""
        return self.model(self.prior.unwhiten(xi))

    def linearize(self, xi: Array) -> Linearization:
        """Chain rule through the prior's map."""
        inner = self.model.linearize(self.prior.unwhiten(xi))
        return Linearization(
            inner.value,
            lambda dxi: inner.jvp(self.prior.unwhiten_jvp(xi, dxi)),
            lambda w: self.prior.unwhiten_vjp(xi, inner.vjp(w)),
        )


@dataclass(frozen=True)
class PosteriorPoint:
    """The posterior with its derivatives at one xi.

    Attributes:
        misfit: Φ(xi).
        neg_log_posterior: Φ + R.
        prediction: G(m(xi)), shape (n_d,).
        gradient: ∇(Φ + R), shape (dim,).
        gauss_newton: v ↦ (J^T Γ^(-1) J) v without the prior's identity, (dim,) to (dim,).
        jvp: v ↦ J v, (dim,) to (n_d,).
    """

    misfit: float
    neg_log_posterior: float
    prediction: Array
    gradient: Array
    gauss_newton: Callable[[Array], Array]
    jvp: Callable[[Array], Array]


@dataclass
class Posterior:
    """Everything an engine may ask: misfit, density, gradient, Gauss-Newton action; it counts them.

    Attributes:
        prior: the unknown's prior.
        model: forward model on xi (see :class:`WhitenedModel`).
        data: the observed values y, shape (n_d,).
        noise: the distribution of y - G.
        coarse: the same inverse problem with a cheaper model, where one is at hand.
        counters: what was spent so far.
    """

    prior: Prior
    model: ForwardModel
    data: Array
    noise: Noise
    coarse: Posterior | None = None
    counters: Counters = field(default_factory=Counters)

    def __post_init__(self) -> None:
        n = self.model.d_space.size
        if not len(self.data) == self.noise.size == n:
            raise ShapeError(
                f"data: the model predicts {n} values, the observations hold {len(self.data)} "
                f"with {self.noise.size} noise values"
            )
        if self.model.m_space.size != self.prior.dim:
            raise ConfigError(
                f"model takes {self.model.m_space.size} unknowns, the prior has {self.prior.dim}"
            )

    @property
    def dim(self) -> int:
        """The length of xi."""
        return self.prior.dim

    @property
    def n_data(self) -> int:
        """The number of data."""
        return len(self.data)

    def charge(self, counters: Counters) -> None:
        """Count into ``counters`` from now on, here and in the coarse twin."""
        self.counters = counters
        if self.coarse is not None:
            self.coarse.charge(counters)

    def predict(self, xi: Array) -> Array:
        """G(m(xi)) for (dim,) or (n, dim); a failed solve gives NaN and is counted."""
        if np.ndim(xi) == 1:
            found = self._predict_one(xi)
            return np.full(self.n_data, np.nan) if found is None else found
        rows = evaluate(self.model, xi)
        self.counters.count(self.model.kind, forward=len(xi), failed=len(rows.failures))
        return rows.values

    def _predict_one(self, xi: Array) -> Array | None:
        """The same for one point, without the cost of rows: samplers call it millions of times."""
        self.counters.count(self.model.kind, forward=1)
        try:
            return finite(self.model(xi))
        except SolverDiverged:
            self.counters.count(self.model.kind, failed=1)
            return None

    def misfit_of(self, prediction: Array) -> Array:
        """Φ of predicted data (..., n_d); infinite where the prediction is not finite."""
        ok = np.isfinite(prediction).all(axis=-1)
        safe = np.where(ok[..., None], prediction, self.data)
        return np.asarray(np.where(ok, self.noise.misfit(safe - self.data), np.inf))

    def misfit(self, xi: Array) -> Array:
        """Φ(xi) = ½ ‖Γ^(-1/2)(G(m(xi)) - y)‖² for (dim,) or (n, dim)."""
        if np.ndim(xi) > 1:
            return self.misfit_of(self.predict(xi))
        found = self._predict_one(xi)
        return np.asarray(np.inf) if found is None else self.noise.misfit(found - self.data)

    def neg_log_posterior(self, xi: Array) -> Array:
        """Φ + R, the negative log density in xi up to a constant."""
        return np.asarray(self.misfit(xi) + cost(xi))

    def linearize(self, xi: Array) -> PosteriorPoint:
        """Misfit, gradient and Gauss-Newton action at ``xi`` of shape (dim,).

        Raises:
            CapabilityError: the model or prior has no derivative.
            SolverDiverged: a solve failed, or its values or the gradient are not finite (counted).
        """
        self.counters.count(self.model.kind, forward=1)
        try:
            return self._point(xi, linearize(self.model, xi))
        except SolverDiverged:
            self.counters.count(self.model.kind, failed=1)
            raise

    def linearize_rows(self, xis: Array) -> Rows[list[PosteriorPoint | None]]:
        """The same at each row of ``xis`` (n, dim)."""
        return each_row(self.linearize, xis)

    def _point(self, xi: Array, at: Linearization) -> PosteriorPoint:
        # whoever asked for the point also pays for what is done with it later
        counters, kind = self.counters, self.model.kind
        residual = self.noise.whiten(at.value - self.data)

        def vjp(w: Array) -> Array:
            counters.count(kind, adjoint=1)
            found = at.vjp(self.noise.whiten_transpose(w))
            counters.count_hidden(self.model)
            return found

        def jvp(v: Array) -> Array:
            counters.count(kind, tangent=1)
            found = at.jvp(v)
            counters.count_hidden(self.model)
            return found

        misfit = 0.5 * float(residual @ residual)
        return PosteriorPoint(
            misfit,
            misfit + float(cost(xi)),
            at.value,
            finite(vjp(residual) + xi, "gradient"),
            lambda v: vjp(self.noise.whiten(jvp(v))),
            jvp,
        )
