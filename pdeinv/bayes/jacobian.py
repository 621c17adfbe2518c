"""The same inverse problem seen from the unknown m itself, and whole Jacobians, both counted.

Classical reconstructions move m (or its logarithm) directly, so that they may leave the image of
the prior's map: the steps of a smooth reconstruction are no level sets.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np

from pdeinv.bayes.fields.base import IndependentField
from pdeinv.bayes.posterior import Posterior, WhitenedModel
from pdeinv.bayes.prior import FieldPrior, Prior
from pdeinv.bayes.transforms import Identity
from pdeinv.errors import CapabilityError, SolverDiverged
from pdeinv.model.forward import ForwardModel
from pdeinv.typing import Array

__all__ = ["OffersJacobian", "charge", "dense_jacobian", "in_unknown"]


@runtime_checkable
class OffersJacobian(Protocol):
    """A forward model that builds its whole Jacobian cheaper than column by column."""

    def jacobian(self, m: Array, /) -> Array:
        """dG(m), shape (n_d, n_m)."""


def in_unknown(posterior: Posterior, who: str) -> Posterior:
    """The data and model of ``posterior`` as functions of m, charged to the same counters.

    What it calls xi is m; its prior cost ½ ‖m‖² means nothing and is not to be used.

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
    return Posterior(
        flat, posterior.model.model, posterior.data, posterior.noise, counters=posterior.counters
    )


def charge(posterior: Posterior, n: int, *, tangents: bool) -> None:
    """Count one linearisation and ``n`` derivative actions."""
    counters = posterior.counters
    if posterior.model.kind == "surrogate":
        counters.n_surrogate += n + 1
        return
    counters.n_forward += 1
    counters.n_tangent += n if tangents else 0
    counters.n_adjoint += 0 if tangents else n


def dense_jacobian(posterior: Posterior, x: Array) -> tuple[Array, Array]:
    """G(x) and the whole dG(x), shapes (n_d,) and (n_d, dim).

    By the model's own ``jacobian`` where it has one (counted as one solve and one adjoint action),
    else by one tangent per unknown or one adjoint per datum, whichever are fewer.

    Raises:
        SolverDiverged: the solve failed or is not finite (counted).
    """
    try:
        value, jacobian = _direct(posterior, x) or _by_actions(posterior, x)
        if not (np.isfinite(value).all() and np.isfinite(jacobian).all()):
            raise SolverDiverged("the prediction or its derivative is not finite")
    except SolverDiverged:
        if posterior.model.kind == "surrogate":
            posterior.counters.n_surrogate_failed += 1
        else:
            posterior.counters.n_failed += 1
        raise
    return value, jacobian


def _direct(posterior: Posterior, x: Array) -> tuple[Array, Array] | None:
    """By the model's own method, the chain rule through the prior included; None without one."""
    model: ForwardModel = posterior.model
    whitened = model if isinstance(model, WhitenedModel) else None
    inner = model if whitened is None else whitened.model
    if not isinstance(inner, OffersJacobian):
        return None
    charge(posterior, 1, tangents=False)
    m = x if whitened is None else whitened.prior.unwhiten(x)
    value, jacobian = inner(m), inner.jacobian(m)
    return value, jacobian if whitened is None else _through(whitened.prior, x, jacobian)


def _through(prior: Prior, xi: Array, jacobian: Array) -> Array:
    """dG/dm times dm/dxi, from the shorter side."""
    n_d = len(jacobian)
    if n_d <= prior.dim:
        return np.stack([prior.unwhiten_vjp(xi, row) for row in jacobian])
    columns = [prior.unwhiten_jvp(xi, e) for e in np.eye(prior.dim)]
    return np.asarray(jacobian @ np.stack(columns, axis=1))


def _by_actions(posterior: Posterior, x: Array) -> tuple[Array, Array]:
    n_d, dim = posterior.n_data, posterior.dim
    charge(posterior, min(n_d, dim), tangents=dim <= n_d)
    at = posterior.model.linearize(x)
    if dim <= n_d:
        jacobian = np.stack([at.jvp(e) for e in np.eye(dim)], axis=1)
    else:
        jacobian = np.stack([at.vjp(e) for e in np.eye(n_d)])
    posterior.count_hidden()
    return at.value, jacobian
