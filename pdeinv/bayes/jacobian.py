"""The same inverse problem seen from the unknown m itself, and whole Jacobians, both counted.

Classical reconstructions move m (or its logarithm) directly, so that they may leave the image of
the prior's map: the steps of a smooth reconstruction are no level sets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from pdeinv.bayes.counters import Counters
from pdeinv.bayes.fields.base import IndependentField
from pdeinv.bayes.posterior import Posterior, WhitenedModel
from pdeinv.bayes.prior import FieldPrior, Prior
from pdeinv.bayes.transforms import Identity
from pdeinv.errors import CapabilityError, SolverDiverged
from pdeinv.model.forward import ForwardModel, Rows, finite
from pdeinv.model.rows import block_of, by_rows, each_row, in_blocks, linearize, linearize_rows
from pdeinv.typing import Array

__all__ = [
    "DenseLinearization",
    "OffersJacobian",
    "by_columns",
    "dense_jacobian",
    "dense_jacobians",
    "unwhitened",
]


@runtime_checkable
class OffersJacobian(Protocol):
    """A forward model that builds its whole Jacobian cheaper than column by column."""

    def jacobian(self, m: Array, /) -> Array:
        """dG(m), shape (n_d, n_m)."""


@dataclass(frozen=True)
class DenseLinearization:
    """G(x), shape (n_d,), and the whole dG(x), shape (n_d, dim), or some of its columns or rows."""

    value: Array
    jacobian: Array


def unwhitened(posterior: Posterior, who: str) -> Posterior:
    """The data and model of ``posterior`` as functions of m, charged to the same counters.

    Its xi is m itself. Misfits and derivatives of the model are those of m; nothing may be asked
    that involves its prior, a stand-in of the right size, so neither densities nor gradients.

    Raises:
        CapabilityError: the model is defined on the whitened unknown only (a surrogate).
    """
    if not isinstance(posterior.model, WhitenedModel):
        raise CapabilityError(
            f"{who} moves the unknown itself and needs a model of it; this surrogate knows the "
            "whitened unknown only; use --model reference, or regularization 'prior'"
        )
    space, n = posterior.prior.space, posterior.prior.space.size
    flat = FieldPrior(space, IndependentField(np.zeros(n), np.ones(n)), Identity())
    inner, on = posterior.model.model, posterior
    return Posterior(flat, inner, on.data, on.likelihood, counters=on.counters, stage=on.stage)


def by_columns(posterior: Posterior) -> bool:
    """Whether a Jacobian is built by tangents: no more unknowns than data."""
    return posterior.dim <= posterior.n_data


def dense_jacobian(posterior: Posterior, x: Array, part: slice | None = None) -> DenseLinearization:
    """G(x) and dG(x), whole or in part.

    By one tangent per unknown or one adjoint per datum, whichever are fewer; the whole by the
    model's own ``jacobian`` where it has one (counted as one solve and one adjoint action).

    Args:
        posterior: whose model it is, and who is charged.
        x: the point, shape (dim,).
        part: which columns (:func:`by_columns`) or else rows.

    Raises:
        SolverDiverged: the solve failed or is not finite (counted).
    """
    found = dense_jacobians(posterior, x[None], part, [posterior.counters])
    at = found.values[0]
    if at is None:
        raise SolverDiverged(found.failures[0])
    return at


def dense_jacobians(
    posterior: Posterior, xs: Array, part: slice | None, charged: Sequence[Counters]
) -> Rows[list[DenseLinearization | None]]:
    """The same at each row of ``xs`` (n, dim), an action at all of them at once where rows are.

    Args:
        posterior: whose model it is.
        xs: the points, shape (n, dim).
        part: as in :func:`dense_jacobian`, of all.
        charged: who pays for each.
    """
    direct = None if part else _jacobian_of(posterior.model)
    if direct is None and by_rows(posterior.model) is not None:
        return _by_rows(posterior, xs, part or slice(None), charged)
    payers = iter(charged)
    return each_row(lambda x: _alone(posterior, x, part, direct, next(payers)), xs)


def _alone(
    posterior: Posterior,
    x: Array,
    part: slice | None,
    direct: Callable[[Array], Array] | None,
    counters: Counters,
) -> DenseLinearization:
    model = posterior.model
    try:
        if direct is None:
            value, jacobian = _by_actions(posterior, x, part or slice(None), counters)
        else:
            counters.count(model.kind, forward=1, adjoint=1)
            value, jacobian = model(x), direct(x)
        return DenseLinearization(finite(value), finite(jacobian, "derivative"))
    except SolverDiverged:
        counters.count(model.kind, failed=1)
        counters.count_hidden(model)
        raise


def _jacobian_of(model: ForwardModel) -> Callable[[Array], Array] | None:
    """The model's own method, the chain rule through the prior included; None without one."""
    if isinstance(model, OffersJacobian):
        return model.jacobian
    if isinstance(model, WhitenedModel) and isinstance(model.model, OffersJacobian):
        prior, inner = model.prior, model.model
        return lambda xi: _through(prior, xi, inner.jacobian(prior.unwhiten(xi)))
    return None


def _through(prior: Prior, xi: Array, jacobian: Array) -> Array:
    """dG/dm times dm/dxi, from the shorter side."""
    n_d = len(jacobian)
    if n_d <= prior.dim:
        return np.stack([prior.unwhiten_vjp(xi, row) for row in jacobian])
    columns = [prior.unwhiten_jvp(xi, e) for e in np.eye(prior.dim)]
    return np.asarray(jacobian @ np.stack(columns, axis=1))


def _by_actions(
    posterior: Posterior, x: Array, part: slice, counters: Counters
) -> tuple[Array, Array]:
    columns, units = by_columns(posterior), _units(posterior, part)
    _count_actions(posterior, len(units), counters)
    at = linearize(posterior.model, x)
    act = at.jvp if columns else at.vjp
    jacobian = np.stack([act(e) for e in units], axis=1 if columns else 0)
    counters.count_hidden(posterior.model)
    return at.value, jacobian


def _units(posterior: Posterior, part: slice) -> Array:
    """The chosen unit vectors, of unknowns or of data."""
    size = posterior.dim if by_columns(posterior) else posterior.n_data
    chosen = np.arange(size)[part]
    return np.asarray(chosen[:, None] == np.arange(size), dtype=np.float64)


def _count_actions(posterior: Posterior, n: int, counters: Counters) -> None:
    kind = "tangent" if by_columns(posterior) else "adjoint"
    counters.count(posterior.model.kind, forward=1, **{kind: n})


def _by_rows(
    posterior: Posterior, xs: Array, part: slice, charged: Sequence[Counters]
) -> Rows[list[DenseLinearization | None]]:
    """Some unit vectors acted on at all points at once, a block of the model at a time."""
    columns, units = by_columns(posterior), _units(posterior, part)
    block = block_of(posterior.model) or 1
    copies = max(1, min(len(units), block // max(1, len(xs))))
    at = linearize_rows(posterior.model, np.repeat(xs, copies, axis=0))
    acted = in_blocks(at.jvp if columns else at.vjp, units, len(xs), copies)
    reasons = {i // copies: why for i, why in at.failures.items()}
    found = list[DenseLinearization | None]()
    for i, counters in enumerate(charged):
        _count_actions(posterior, len(units), counters)
        jacobian = np.ascontiguousarray(acted[i].T if columns else acted[i])
        if i not in reasons and not np.isfinite(jacobian).all():
            reasons[i] = "the derivative is not finite"
        counters.count(posterior.model.kind, failed=int(i in reasons))
        value = at.values[i * copies]
        found.append(None if i in reasons else DenseLinearization(value, jacobian))
    return Rows(found, reasons)
