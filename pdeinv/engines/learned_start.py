"""Where an engine begins that a learned inverse has told about the data at hand.

The estimate of a trained inverse changes where a search or a chain starts and how long its first
steps are. It is no part of the posterior: chains that begin there are corrected as all are, and
searches go on until nothing is left to gain.
"""

from __future__ import annotations

import numpy as np

from pdeinv.bayes.posterior import Posterior
from pdeinv.bayes.reference import Reference
from pdeinv.errors import CapabilityError
from pdeinv.typing import Array

__all__ = ["drawn_start", "estimated_reference", "estimated_start"]

WIDER = 1.5
"""Starts are drawn with so many times the standard deviation of the estimate: further apart than
the posterior is wide, so that chains that agree have found it from several sides."""


def estimated_start(posterior: Posterior, otherwise: Array) -> Array:
    """The mean of the estimate where there is one, shape (dim,)."""
    return otherwise if posterior.estimate is None else posterior.estimate.mean


def drawn_start(posterior: Posterior, rng: np.random.Generator) -> Array:
    """A draw of the widened estimate, where there is one, else of the prior, shape (dim,)."""
    z, at = rng.standard_normal(posterior.dim), posterior.estimate
    return z if at is None else np.asarray(at.mean + WIDER * at.std * z)


def estimated_reference(posterior: Posterior, who: str) -> Reference:
    """The estimate as a Gaussian that proposals move about.

    Raises:
        CapabilityError: there is none.
    """
    at = posterior.estimate
    if at is None:
        raise CapabilityError(f"{who} needs a learned inverse; pass --surrogate with one")
    return Reference(at.mean, np.eye(posterior.dim), at.std**2 - 1)
