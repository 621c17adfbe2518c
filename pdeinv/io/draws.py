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
    draws = xi.reshape(-1, xi.shape[-1])
    if "posterior" in tree.children and len(draws) and draws.shape[1] == prior.dim:
        _check_meaning(tree["posterior"].to_dataset(), draws[0], path, prior)
    return draws


def _check_meaning(stored: xr.Dataset, first: Array, path: Path, prior: Prior) -> None:
    """The first draw of the unknown must be what the prior makes of its xi."""
    try:
        m = prior.space.pack(stored)
    except (ShapeError, KeyError, ValueError):
        return  # of another problem, which the caller refuses by name or size
    m = m.reshape(-1, prior.space.size)[0]
    if np.abs(prior.unwhiten(first) - m).max() > TOLERANCE * max(float(np.std(m)), np.abs(m).max()):
        raise DataSchemaError(
            f"{path}: its unknown is not what the prior makes of its xi; the prior is another one, "
            "or the result is of an older version with another basis: repeat 'pdeinv invert'"
        )
