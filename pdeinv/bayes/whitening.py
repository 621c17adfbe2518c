"""The way back from an unknown m to xi, for priors whose map has an inverse."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from pdeinv.bayes.prior import FieldPrior, Prior, ProductPrior
from pdeinv.bayes.transforms import Exponential, Identity, Interval, Transform
from pdeinv.errors import CapabilityError, DataSchemaError
from pdeinv.typing import Array

__all__ = ["whiten"]

TOLERANCE = 1e-6
"""How far m(xi) may be from m, relative to the spread of all m."""


def whiten(prior: Prior, m: Array) -> Array:
    """xi with m(xi) = m, shape (n, dim), for m of shape (n, n_m).

    x = T^(-1)(m) is unique, and xi the solution of mean + L xi = x, which must exist and be unique:
    a truncated expansion has one only for unknowns that it can express.

    Raises:
        CapabilityError: the prior's map has no inverse (level sets, more xi than values).
        DataSchemaError: an unknown that the prior cannot give.
    """
    if isinstance(prior, ProductPrior):
        cuts = np.cumsum([p.space.size for p in prior.factors])[:-1]
        parts = zip(prior.factors, np.split(m, cuts, axis=-1), strict=True)
        return np.concatenate([whiten(p, part) for p, part in parts], axis=-1)
    if not isinstance(prior, FieldPrior):
        raise CapabilityError(f"the prior of {'+'.join(prior.space.names)} cannot be inverted")
    return _whiten_field(prior, m)


def _whiten_field(prior: FieldPrior, m: Array) -> Array:
    name = prior.space.names[0]
    if prior.dim > prior.space.size:
        raise CapabilityError(
            f"'{name}' does not determine xi: its prior has {prior.dim} of them for "
            f"{prior.space.size} values"
        )
    x = _before(prior.transform, m, name)
    root = prior.field.apply(np.eye(prior.dim)).T
    xi, _, rank, _ = np.linalg.lstsq(root, (x - prior.field.mean).T)
    if rank < prior.dim:
        raise CapabilityError(f"'{name}' does not determine xi: its prior is degenerate")
    miss = np.abs(prior.unwhiten(xi.T) - m).max(axis=1)
    bad = np.flatnonzero(miss > TOLERANCE * max(float(np.std(m)), 1e-300))
    if len(bad):
        raise DataSchemaError(
            f"'{name}' of sample {bad[0]} (and {len(bad) - 1} more) is none that the prior can "
            f"give: the nearest differs by {miss[bad[0]]:.3g}; correct the prior's configuration"
        )
    return np.asarray(xi.T)


def _before(transform: Transform, m: Array, name: str) -> Array:
    """T^(-1)(m).

    Raises:
        CapabilityError: T has no inverse.
        DataSchemaError: a value that T does not take.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        if isinstance(transform, Identity):
            x = np.asarray(m, dtype=np.float64)
        elif isinstance(transform, Exponential):
            x = np.log(m)
        elif isinstance(transform, Interval):
            x = ndtri((m - transform.low) / (transform.high - transform.low))
        else:
            raise CapabilityError(
                f"'{name}' does not determine xi: {type(transform).__name__} has no inverse"
            )
    if not np.isfinite(x).all():
        raise DataSchemaError(f"'{name}' holds values that its prior cannot give, or none at all")
    return x
