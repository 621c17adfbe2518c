"""Masks: what is predicted of each datum is how far c is above the threshold of its region."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pdeinv.bayes.bernoulli import Bernoulli
from pdeinv.bayes.dice import Dice
from pdeinv.bayes.likelihood import Likelihood
from pdeinv.errors import DataSchemaError
from pdeinv.model.observed import Sensors
from pdeinv.typing import Array

from .config import MasksConfig
from .unknown import Parameters

__all__ = ["LINK", "REGION", "REGIONS", "Direct", "Lazy", "Masks", "likelihood_of", "regions_of"]

Lazy = Callable[[], Array]
"""What is computed where it is needed."""

Direct = Mapping[str, Array]
"""Derivatives by what data depend on besides concentrations, as :class:`Parameters` name it."""

REGION, REGIONS = "region", ("whole", "core")
"""The coordinate that numbers regions, from 1, and what those are."""

LINK = "threshold"
"""The likelihood of a mask (:data:`pdeinv.bayes.links.LINKS`)."""


@dataclass(frozen=True)
class Masks:
    """z = (c − θ_k) / s for each datum of region k, for tiles of c and θ.

    Attributes:
        region: of each datum, from 0, shape (n_d,).
        softness: s.
    """

    region: NDArray[np.int64]
    softness: float

    def data(self, c: Array, at: Parameters) -> Array:
        """z (n_d, width) of c (n_d, width) and θ (regions, width); their changes likewise."""
        return np.asarray((c - at.thresholds[self.region]) / self.softness)

    def tangent(self, c: Lazy, at: Parameters, dc: Array, change: Parameters) -> Array:
        """Its change with those of concentrations and thresholds."""
        return self.data(dc, change)

    def adjoint(self, c: Lazy, at: Parameters, w: Array) -> tuple[Array, Direct]:
        """The transpose: w on z to that on c, and on thresholds."""
        scaled = w / self.softness
        each = [self.region == k for k in range(len(REGIONS))]
        on_thresholds = -np.stack([np.add.reduce(scaled[own], axis=0) for own in each])
        return scaled, {"thresholds": on_thresholds}


def regions_of(sensors: Sensors) -> NDArray[np.int64]:
    """The region of each datum, from 0.

    Raises:
        DataSchemaError: one is of no region.
    """
    said = np.asarray(sensors[REGION], dtype=np.float64)
    bad = np.flatnonzero(~np.isin(said, np.arange(1, len(REGIONS) + 1)))
    if len(bad):
        known = ", ".join(f"{k} ({name} tumor)" for k, name in enumerate(REGIONS, 1))
        raise DataSchemaError(f"sensor {bad[0]} is of region {said[bad[0]]:g}; expected {known}")
    return said.astype(np.int64) - 1


def likelihood_of(config: MasksConfig, sensors: Sensors) -> Likelihood:
    """What masks tell: a likelihood, or a score of each region at each time."""
    region, t = (np.asarray(sensors[name]) for name in (REGION, "t"))
    if config.score == "bernoulli":
        return Bernoulli(len(region), LINK, config.share)
    masks = np.unique(np.stack([region, t]), axis=1, return_inverse=True)[1]
    return Dice(tuple(masks.ravel().tolist()), LINK, config.share)
