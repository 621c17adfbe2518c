"""The whitened draws of a result file, for runs that start from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from pdeinv.bayes.prior import TOLERANCE, Prior
from pdeinv.errors import DataSchemaError, ShapeError
from pdeinv.io.schema import ANY, Column, check
from pdeinv.typing import Array

__all__ = ["whitened_draws"]


def whitened_draws(tree: xr.DataTree, path: Path, prior: Prior) -> Array:
    """All draws of the whitened unknown in a result, shape (n, dim).

    A number of unknowns other than the prior's is for the caller to refuse.

    Raises:
        DataSchemaError: it holds none, or the prior makes other unknowns of them than it holds.
    """
    group = tree.children.get("unconstrained_posterior")
    if group is None or "xi" not in group.data_vars:
        raise DataSchemaError(
            f"{path}: no whitened draws (group unconstrained_posterior, variable xi); "
            "expected the output of 'pdeinv invert'"
        )
    check(group.to_dataset(), {"xi": Column((ANY, ANY), more=True, finite=True)}, str(path))
    xi = np.asarray(group["xi"], dtype=np.float64)
    if "posterior" in tree.children and xi.size and xi.shape[-1] == prior.dim:
        _check_meaning(tree["posterior"].to_dataset(), xi, path, prior)
    return xi.reshape(-1, xi.shape[-1])


def _check_meaning(stored: xr.Dataset, xi: Array, path: Path, prior: Prior) -> None:
    """The first draw of the unknown must be what the prior makes of its xi."""
    try:
        unknown = prior.space.pack(stored)
    except (ShapeError, KeyError, ValueError):
        return  # of another problem, which the caller refuses by name or size
    if unknown.shape[:-1] != xi.shape[:-1]:
        raise DataSchemaError(
            f"{path}: xi has draws of shape {xi.shape[:-1]}, its unknown {unknown.shape[:-1]}; "
            "expected the same: repeat 'pdeinv invert'"
        )
    first, m = xi.reshape(-1, prior.dim)[0], unknown.reshape(-1, prior.space.size)[0]
    if np.abs(prior.unwhiten(first) - m).max() > TOLERANCE * max(float(np.std(m)), np.abs(m).max()):
        raise DataSchemaError(
            f"{path}: its unknown is not what the prior makes of its xi; the prior is another one, "
            "or the result is of an older version with another basis: repeat 'pdeinv invert'"
        )
