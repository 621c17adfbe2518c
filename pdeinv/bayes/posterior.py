"""The posterior of the whitened unknown: Φ(xi) + R(xi), its derivatives and its cost counters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from pdeinv.bayes.counters import Counters
from pdeinv.bayes.likelihood import DataMisfit, Likelihood, finite_misfit
from pdeinv.bayes.noise import Noise, additive
from pdeinv.bayes.point import At, PosteriorPoint
from pdeinv.bayes.prior import Prior, cost
from pdeinv.bayes.prior_rows import linearize_through, through, unwhiten_rows
from pdeinv.bayes.simulations import Simulations
from pdeinv.errors import CapabilityError, ConfigError, ShapeError, SolverDiverged
from pdeinv.model.forward import (
    Capability,
    ForwardModel,
    HiddenCost,
    Linearization,
    ModelKind,
    OffersRows,
    Rows,
    RowsLinearization,
    finite,
)
from pdeinv.model.learned import Denoiser, Estimate
from pdeinv.model.rows import (
    block_of,
    by_rows,
    each_row,
    evaluate,
    joined,
    linearize,
    linearize_rows,
)
from pdeinv.model.spaces import Space, Variable
from pdeinv.model.strong_form import StrongFormOf
from pdeinv.model.traces import Traces, traces_of
from pdeinv.typing import Array

__all__ = ["Counters", "Posterior", "PosteriorPoint", "WhitenedModel", "xi_space"]


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

    @cached_property
    def capabilities(self) -> frozenset[Capability]:
        """Those of the inner model, without derivatives where the prior has none."""
        derivatives = {Capability.JVP, Capability.VJP}
        lost = set() if self.prior.differentiable else derivatives
        strong = set() if self.strong_form is None else {Capability.STRONG_FORM}
        return (self.model.capabilities - lost) | strong

    @property
    def block(self) -> int | None:
        """That of the inner model, where it has one."""
        return block_of(self.model)

    @property
    def hidden_cost(self) -> HiddenCost | None:
        """That of the inner model, where it has one."""
        return getattr(self.model, "hidden_cost", None)

    def __call__(self, xi: Array) -> Array:
        """G(m(xi))."""
        return self.model(self.prior.unwhiten(xi))

    def linearize(self, xi: Array) -> Linearization:
        """Chain rule through the prior's map."""
        return through(self.prior, xi, self.model.linearize(self.prior.unwhiten(xi)))

    def rows(self, xis: Array) -> Rows[Array]:
        """G(m(xi_i)) for (n, dim)."""
        return self._inner.rows(unwhiten_rows(self.prior, self.m_space.check(xis)))

    def linearize_rows(self, xis: Array) -> RowsLinearization:
        """Chain rule through the prior's map, each row by itself."""
        return linearize_through(self.prior, self._inner, self.m_space.check(xis))

    @property
    def _inner(self) -> OffersRows:
        own = by_rows(self.model)
        if own is None:
            raise CapabilityError("the forward model takes no rows; ask for one point at a time")
        return own


@dataclass
class Posterior:
    """Everything an engine may ask: misfit, density, gradient, Gauss-Newton action; it counts them.

    Attributes:
        prior: the unknown's prior.
        model: forward model on xi (see :class:`WhitenedModel`).
        data: the observed values y, shape (n_d,).
        likelihood: the distribution of y about G; additive noise is one.
        coarse: the same inverse problem with a cheaper model, where one is at hand.
        counters: what was spent so far.
        simulations: unknowns that are solved for already, where the engine asked for a file of
            them.
        estimate: what a learned inverse says of xi, of these data, where there is one: engines
            begin there. It is no part of the density.
        denoiser: the law of xi where it is a learned one and not N(0, I): engines that use it
            take it in the place of R, which is then no part of the density.
        stage: what Φ is meanwhile, in a stage of a search that ends with the likelihood; None
            otherwise.
        seen: draws of about this posterior, shape (n, dim), which tell chains how to propose; no
            part of the density. None where there are none.
    """

    prior: Prior
    model: ForwardModel
    data: Array
    likelihood: Likelihood
    coarse: Posterior | None = None
    counters: Counters = field(default_factory=Counters)
    simulations: Simulations | None = None
    estimate: Estimate | None = None
    denoiser: Denoiser | None = None
    stage: DataMisfit | None = None
    seen: Array | None = None

    def __post_init__(self) -> None:
        n = self.model.d_space.size
        if not len(self.data) == self.likelihood.size == n:
            raise ShapeError(
                f"data: the model predicts {n} values, the observations hold {len(self.data)} "
                f"with {self.likelihood.size} noise values"
            )
        self.likelihood.check(self.data)
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

    @property
    def n_counting(self) -> float:
        """Twice the misfit that is expected of a right model: a filter leaves less than n_data."""
        law = self.likelihood
        return law.count if isinstance(law, Noise) else float(self.n_data)

    @property
    def noise(self) -> Noise:
        """The likelihood where it is additive Gaussian noise.

        Raises:
            CapabilityError: it is another.
        """
        return additive(self.likelihood)

    @cached_property
    def traces(self) -> Traces:
        """Where the data stand in time.

        Raises:
            CapabilityError: they have no time, or not at equal steps.
        """
        coords: dict[str, Array] = {}
        for variable in self.model.d_space.variables:
            coords |= {name: values for name, (_, values) in variable.coords.items()}
        return traces_of(coords, "a search through bands of frequencies")

    @property
    def law(self) -> DataMisfit:
        """What Φ is: that of the stage, or of the likelihood."""
        return self.stage or self.likelihood

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
        return self.predict_rows(xi).values

    def predict_rows(self, xis: Array, charged: Sequence[Counters] | None = None) -> Rows[Array]:
        """G(m(xi_i)) for (n, dim), NaN where a solve failed, and why.

        Args:
            xis: shape (n, dim).
            charged: who pays for each row; this posterior's counters where not given.
        """
        rows = evaluate(self.model, xis)
        for i, counters in enumerate(self._payers(xis, charged)):
            counters.count(self.model.kind, forward=1, failed=int(i in rows.failures))
        return rows

    def _payers(self, xis: Array, charged: Sequence[Counters] | None) -> Sequence[Counters]:
        return [self.counters] * len(xis) if charged is None else charged

    def _predict_one(self, xi: Array) -> Array | None:
        """The same for one point, without the cost of rows: samplers call it millions of times."""
        self.counters.count(self.model.kind, forward=1)
        own = by_rows(self.model)
        try:
            return finite(self.model(xi)) if own is None else finite(own.rows(xi[None]).values[0])
        except SolverDiverged:
            self.counters.count(self.model.kind, failed=1)
            return None

    def misfit_of(self, prediction: Array) -> Array:
        """Φ of predicted data (..., n_d); infinite where the prediction is not finite."""
        return finite_misfit(self.law, prediction, self.data)

    def misfit(self, xi: Array) -> Array:
        """Φ(xi) of G(m(xi)) and y for (dim,) or (n, dim)."""
        if np.ndim(xi) > 1:
            return self.misfit_of(self.predict(xi))
        found = self._predict_one(xi)
        return np.asarray(np.inf) if found is None else self.law.misfit(found, self.data)

    def neg_log_posterior(self, xi: Array) -> Array:
        """Φ + R, the negative log density in xi up to a constant."""
        return np.asarray(self.misfit(xi) + cost(xi))

    def linearize(self, xi: Array) -> PosteriorPoint:
        """Misfit, gradient and Gauss-Newton action at ``xi`` of shape (dim,).

        Raises:
            CapabilityError: the model or prior has no derivative.
            SolverDiverged: a solve failed, or its values or the gradient are not finite (counted).
        """
        if by_rows(self.model) is None:
            return self._linearize_one(xi, self.counters)
        found = self.linearize_rows(xi[None])
        point = found.values[0]
        if point is None:
            raise SolverDiverged(found.failures[0])
        return point

    def linearize_rows(
        self, xis: Array, charged: Sequence[Counters] | None = None
    ) -> Rows[list[PosteriorPoint | None]]:
        """The same at each row of ``xis`` (n, dim), in one call where the model takes rows.

        Args:
            xis: shape (n, dim).
            charged: who pays for each row, now and later; this posterior's counters otherwise.
        """
        own, payers = by_rows(self.model), self._payers(xis, charged)
        if own is None:
            pairs = iter(payers)
            return each_row(lambda xi: self._linearize_one(xi, next(pairs)), xis)
        size = block_of(own) or max(len(xis), 1)
        parts = [slice(i, i + size) for i in range(0, len(xis), size)]
        found = (linearize_rows(self.model, xis[p]) for p in parts)
        return joined(
            [self._at.points(xis[p], at, payers[p]) for p, at in zip(parts, found, strict=True)]
        )

    @property
    def _at(self) -> At:
        return At(self.model, self.data, self.law)

    def _linearize_one(self, xi: Array, counters: Counters) -> PosteriorPoint:
        counters.count(self.model.kind, forward=1)
        try:
            at = linearize(self.model, xi)
        except SolverDiverged:
            counters.count(self.model.kind, failed=1)
            counters.count_hidden(self.model)
            raise
        return self._at.point(xi, at, counters)
