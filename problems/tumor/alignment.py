"""Growth in one brain as growth in another: an affine map that makes tissues lie on each other.

Along each axis place and scale are such that the tissue (white and grey) of both has the same mean
and the same variance; axes are not turned. A tumor whose places are scaled by s_k grows as one with
D scaled by the mean of s_k², exactly where all s_k are one number; ρ is the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pdeinv.bayes.likelihood import Likelihood
from pdeinv.bayes.noise import Noise, additive
from pdeinv.bayes.prior import FieldPrior, Prior, ProductPrior, whiten
from pdeinv.bayes.transforms import Interval
from pdeinv.errors import DataSchemaError
from pdeinv.model.observed import Sensors
from pdeinv.model.sensors import points_of
from pdeinv.plugins.aligned import Aligned, Measured
from pdeinv.typing import Array

from .config import TumorConfig
from .grids import voxels
from .masks import REGION
from .scans import law_of
from .tissue import Tissue
from .unknown import gradient, parameters

__all__ = ["Alignment", "Brain", "aligned"]

EDGE = 1e-3
"""Unknowns that come to lie beyond the bounds of a uniform prior go so far inside, of its width."""

REACH = 0.6
"""How far the nearest datum may be, in diagonals of a voxel of data: a little more than from a
corner."""

Index = NDArray[np.intp]


class Brain(Protocol):
    """The tumor problem, as far as it is asked here."""

    @property
    def config(self) -> TumorConfig:
        """What a user has set."""

    @property
    def tissue(self) -> Tissue:
        """White and grey matter."""

    @property
    def axes(self) -> tuple[str, ...]:
        """The coordinates of the box."""

    def prior(self) -> Prior:
        """Of the unknown."""


@dataclass(frozen=True)
class Alignment:
    """x here = centre + scale (x there − centre there), axis by axis.

    Attributes:
        centre: mean place of the tissue here, shape (d,).
        there: the same of the other brain.
        scale: standard deviation of places here over that there.
    """

    centre: Array
    there: Array
    scale: Array

    @classmethod
    def of(cls, here: Brain, there: Brain) -> Alignment:
        """That of the tissues of two problems."""
        (centre, spread), (other, others) = _moments(here), _moments(there)
        return cls(centre, other, spread / others)

    def places(self, x: Array) -> Array:
        """Places there (n, d) as places here."""
        return np.asarray(self.centre + self.scale * (x - self.there))


def _moments(problem: Brain) -> tuple[Array, Array]:
    """Mean and standard deviation of the places of tissue, on the voxels of level 0."""
    points = voxels(problem.config, problem.tissue, 0).centres.points
    white, grey = problem.tissue(points)
    weight = (white + grey) / np.sum(white + grey)
    mean = weight @ points
    return mean, np.sqrt(weight @ (points - mean) ** 2)


def aligned(here: Brain, measured: Measured, there: Brain, sensors: Sensors) -> Aligned | None:
    """Data of one brain where another was simulated; None where that is the same in all.

    Raises:
        DataSchemaError: in other dimensions, with other masks, at other times, or nowhere near.
    """
    mine, other = here.config, there.config
    if _same(mine, other) and _alike(measured.sensors, sensors):
        return None
    _check(mine, other)
    by = Alignment.of(here, there)
    nearest = _nearest(by, measured.sensors, sensors, here.axes)
    columns = np.flatnonzero(nearest >= 0)
    if not len(columns):
        raise DataSchemaError("none of its sensors comes to lie near a datum of this brain")
    found = nearest[columns]
    values, size = measured.values[found], len(measured.values)
    law = _likelihood(mine, measured, found, {c: sensors[c][columns] for c in sensors})
    law.check(values)
    # so that all data together count as much as they do here
    return Aligned(
        columns, values, law.tempered(len(columns) / size), partial(_carried, here, there, by)
    )


def _same(mine: TumorConfig, other: TumorConfig) -> bool:
    same = ("tissue", "tensor", "lengths", "unknown", "masks", "pet")
    return all(getattr(mine, key) == getattr(other, key) for key in same)


def _alike(mine: Sensors, others: Sensors) -> bool:
    return mine.keys() == others.keys() and all(np.array_equal(mine[c], others[c]) for c in mine)


def _check(mine: TumorConfig, other: TumorConfig) -> None:
    """Refuse simulations that no map of places makes comparable."""
    if mine.dim != other.dim:
        raise DataSchemaError(f"simulated in {other.dim} dimensions, this run has {mine.dim}")
    body = ("tissue", "tensor", "lengths", "factors")
    moved = any(getattr(mine, key) != getattr(other, key) for key in body)
    if moved and (mine.factors or other.factors):
        raise DataSchemaError(
            "fields of factors on D and rho belong to one brain, and are not carried to another; "
            "simulate in this one, or leave unknown.diffusivity_factor and growth_factor out"
        )
    if mine.masks is None or other.masks is None:
        return
    own, theirs = mine.masks.softened, other.masks.softened
    if own != theirs:
        raise DataSchemaError(f"simulated with masks.{theirs}, this run has {own}")


def _kinds(sensors: Sensors) -> Array:
    """What a sensor has besides its place: time and, of masks, region; (n, 1 or 2)."""
    return np.stack([np.asarray(sensors[c]) for c in ("t", REGION) if c in sensors], axis=1)


def _nearest(by: Alignment, mine: Sensors, others: Sensors, axes: tuple[str, ...]) -> Index:
    """The datum nearest to each sensor there, of the same time and region; -1 where none is."""
    own, theirs = _kinds(mine), _kinds(others)
    if not np.array_equal(np.unique(own, axis=0), np.unique(theirs, axis=0)):
        raise DataSchemaError(
            f"simulated at times {_listed(others)}, the data are at {_listed(mine)}, or of other "
            "regions"
        )
    here, there = points_of(mine, axes), by.places(points_of(others, axes))
    found = np.full(len(there), -1, dtype=np.intp)
    for kind in np.unique(own, axis=0):
        a, b = (np.flatnonzero((kinds == kind).all(axis=1)) for kinds in (own, theirs))
        found[b] = _of(a, here[a], there[b])
    return found


def _of(number: Index, here: Array, there: Array) -> Index:
    """The numbers of the places here that are nearest to places there; -1 where none is near."""
    tree = cKDTree(here)
    apart = tree.query(here, k=2)[0][:, 1] if len(here) > 1 else np.zeros(1)
    limit = REACH * np.sqrt(here.shape[1]) * float(np.median(apart))
    distance, nearest = tree.query(there)
    return np.where(distance <= limit, number[nearest], -1)


def _listed(sensors: Sensors) -> str:
    return ", ".join(f"{t:g}" for t in np.unique(sensors["t"])[:6])


def _likelihood(
    config: TumorConfig, measured: Measured, found: Index, sensors: Sensors
) -> Likelihood:
    """That of the data that were taken, at their sensors there."""
    law = law_of(config, sensors)
    return Noise(additive(measured.likelihood).std[found]) if law is None else law


def _carried(here: Brain, there: Brain, by: Alignment, xi: Array) -> Array:
    """ξ there (n, dim) as ξ here, by the unknowns that they stand for."""
    found = parameters(there.config, there.prior().unwhiten(xi).T)
    mine = replace(
        found,
        diffusivity=found.diffusivity * np.mean(by.scale**2),
        seed=by.places(found.seed.T).T,
    )
    prior = here.prior()
    # which puts what is sought into the rows of m, whether derivatives or the numbers themselves
    return whiten(prior, _within(prior, gradient(here.config, mine).T))


def _within(prior: Prior, m: Array) -> Array:
    """Unknowns (n, n_m) moved into the bounds of their uniform priors."""
    assert isinstance(prior, ProductPrior)
    low, high = np.full((2, m.shape[1]), [[-np.inf], [np.inf]])
    sizes = [one.space.size for one in prior.factors]
    for k, one in zip(np.cumsum([0, *sizes[:-1]]), prior.factors, strict=True):
        if isinstance(one, FieldPrior) and isinstance(one.transform, Interval):
            inside = EDGE * (one.transform.high - one.transform.low)
            low[k : k + 1] = one.transform.low + inside
            high[k : k + 1] = one.transform.high - inside
    return np.clip(m, low, high)
