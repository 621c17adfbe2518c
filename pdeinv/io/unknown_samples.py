"""The unknowns of a data set's samples: what the prior makes of ξ, else the fields themselves."""

from __future__ import annotations

import numpy as np

from pdeinv.bayes.prior import Prior, positive
from pdeinv.errors import DataSchemaError
from pdeinv.io.datasets import TrainingSet
from pdeinv.typing import Array

__all__ = ["check_unknowns", "unknowns_of"]


def unknowns_of(data: TrainingSet, prior: Prior) -> Array:
    """m of all samples, shape (n, n_m).

    Args:
        data: with ξ of ``prior``, or with ``coefficient`` on the grid of its unknown.
        prior: of the problem that the data belong to.

    Raises:
        DataSchemaError: ξ of some samples only, or neither ξ nor fields on that grid.
    """
    if _without_xi(data.xi):
        return _coefficients(data, prior)
    return np.asarray(prior.unwhiten(data.xi))


def check_unknowns(m: Array, prior: Prior, where: str = "") -> None:
    """Refuse unknowns (n, n_m) that no law of the kind of ``prior`` can have.

    Args:
        m: one a row.
        prior: says what is positive.
        where: what the message begins with, such as the name of a file.

    Raises:
        DataSchemaError: not finite, or not positive where every unknown of the prior is.
    """
    low = positive(prior)
    bad = np.flatnonzero((~np.isfinite(m) | (low & ~(m > 0))).any(axis=1))
    if bad.size:
        wanted = "positive and finite" if low.any() else "finite"
        raise DataSchemaError(
            f"{where}the field of sample {bad[0]}{_and_more(bad.size)} is not {wanted}; correct "
            "the data set, or leave those samples out"
        )


def _and_more(n: int) -> str:
    """How many further ones there are of n."""
    return f" (and of {n - 1} more)" if n > 1 else ""


def _without_xi(xi: Array) -> bool:
    """Whether a data set leaves xi out.

    Raises:
        DataSchemaError: it has xi of some samples only, or one that is not finite.
    """
    bad = ~np.isfinite(xi)
    if not bad.any() or np.isnan(xi).all():
        return bool(bad.any())
    rows = np.flatnonzero(bad.any(axis=1))
    raise DataSchemaError(
        f"xi of sample {rows[0]}{_and_more(len(rows))} is not finite; correct the data set, leave "
        "those samples out, or leave xi out of the whole file"
    )


def _coefficients(data: TrainingSet, prior: Prior) -> Array:
    """The fields of a data set that holds no xi.

    Raises:
        DataSchemaError: they are on another grid than the unknown.
    """
    shape, found = prior.space.variables[0].shape, data.coefficient
    if found is None or tuple(found.shape[1:]) != tuple(shape):
        got = "none" if found is None else "x".join(map(str, found.shape[1:]))
        raise DataSchemaError(
            f"a learned prior needs 'coefficient' on the grid of the unknown, "
            f"{'x'.join(map(str, shape))}, got {got}; set problem.unknown.grid to that of the data"
        )
    return np.asarray(found[:], dtype=np.float64).reshape(len(found), -1)
