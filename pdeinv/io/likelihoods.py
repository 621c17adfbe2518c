"""What an observation file says of the likelihood of its data, by attributes of their variable.

``likelihood = "bernoulli"`` with ``likelihood_link`` and ``likelihood_weight``; without the first
the data have additive noise, which :mod:`pdeinv.io.observations` reads.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from pdeinv.bayes.bernoulli import Bernoulli
from pdeinv.bayes.likelihood import Likelihood
from pdeinv.errors import ConfigError, DataSchemaError

__all__ = ["likelihood_attrs", "said_likelihood"]

KIND, LINK, WEIGHT = "likelihood", "likelihood_link", "likelihood_weight"
GAUSSIAN = "gaussian"


def said_likelihood(variable: xr.DataArray, size: int, path: Path) -> Likelihood | None:
    """The likelihood of ``size`` data that the file names; None for additive noise.

    Raises:
        DataSchemaError: no such likelihood, or a wrong option of it.
    """
    kind = variable.attrs.get(KIND, GAUSSIAN)
    if kind == GAUSSIAN:
        return None
    where = f"{path}: '{variable.name}'"
    if kind != "bernoulli":
        raise DataSchemaError(
            f"{where}: attribute {KIND} must be '{GAUSSIAN}' or 'bernoulli', got {kind!r}"
        )
    weight = variable.attrs.get(WEIGHT, 1.0)
    if not isinstance(weight, int | float | np.number):
        raise DataSchemaError(f"{where}: attribute {WEIGHT} must be a number, got {weight!r}")
    try:
        return Bernoulli(size, str(variable.attrs.get(LINK, "logit")), float(weight))
    except ConfigError as error:
        raise DataSchemaError(f"{where}: {error}") from None


def likelihood_attrs(likelihood: Likelihood) -> dict[str, Any]:
    """The same attributes; none for additive noise."""
    if not isinstance(likelihood, Bernoulli):
        return {}
    return {KIND: "bernoulli", LINK: likelihood.link, WEIGHT: likelihood.weight}
