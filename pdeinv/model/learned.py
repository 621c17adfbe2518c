"""What is trained, and what it stands for once it is bound: roles and their protocols.

A learned map is a forward model (from xi to data, like the solver), an inverse (from data to the
unknown) or a denoiser (from a noisy whitened field to a clean one). Engines and verbs ask for a
role; what has another one is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal, Protocol

import numpy as np

from pdeinv.model.spaces import Space
from pdeinv.typing import Array

__all__ = ["Denoiser", "Estimate", "Family", "Inverse", "Of", "Role", "TrainedNoise"]

Of = Literal["xi", "m", "grid"]
"""What is estimated: the whitened unknown, the unknown, or the coefficient on a regular grid."""


class Role(StrEnum):
    """What a trained member does."""

    FORWARD = "forward"
    """From xi to data: bound, it is a :class:`pdeinv.model.forward.ForwardModel` on xi."""
    INVERSE = "inverse"
    """From data to the unknown: bound, it is an :class:`Inverse`."""
    DENOISER = "denoiser"
    """From a noisy whitened field to a clean one: bound, it is a :class:`Denoiser`."""


@dataclass(frozen=True)
class Family:
    """What the unknowns of a training have in common: x ≈ mean + modes z with z ~ N(0, I).

    Attributes:
        mean: shape (dim,).
        modes: shape (dim, r), each as large as one standard deviation.
    """

    mean: Array
    modes: Array

    def member(self, z: Array) -> Array:
        """The unknown of z, shape (dim,)."""
        return np.asarray(self.mean + self.modes @ z)


FAR = 2.0
"""By what factor noise may leave the range of a training before it counts as far from it."""


@dataclass(frozen=True)
class TrainedNoise:
    """How the noise of data compares with that of a training.

    Attributes:
        std: median σ of the data, in their units.
        ratio: median over the data of σ over that of the training.
        served: the least and the largest such ratio that it was trained with.
    """

    std: float
    ratio: float
    served: tuple[float, float]

    @classmethod
    def of(cls, std: Array, usual: Array, served: tuple[float, float]) -> TrainedNoise:
        """That of σ of the data beside those of the training, both (n_d,)."""
        return cls(float(np.median(std)), float(np.median(std / usual)), served)

    @property
    def far(self) -> bool:
        """Whether it is far from all that the training served."""
        low, high = self.served
        return not low / FAR <= self.ratio <= FAR * high

    @property
    def words(self) -> str:
        """The noise of the data beside that of the training."""
        low, high = self.served
        return (
            f"the noise of the data (median σ {self.std:.3g}) is {self.ratio:.4g} times that of "
            f"the training, whose noise_range is {low:g} to {high:g} times"
        )


@dataclass(frozen=True)
class Estimate:
    """What an inverse says of the unknown behind each row of data.

    Attributes:
        mean: shape (n, dim), or (dim,) of one row.
        std: how far the truth may lie from it, one standard deviation, positive, of that shape.
        of: what it is an estimate of.
        likeness: for each row the share of data that the training held out that are as odd as
            these, or odder, (n,) or of one row (); small where these are unlike all of them. None
            where the inverse does not judge that.
        family: what the training's unknowns have in common; None where that is not known.
        noise: of the data beside that of the training; None where it has no range.
    """

    mean: Array
    std: Array
    of: Of = "xi"
    likeness: Array | None = None
    family: Family | None = None
    noise: TrainedNoise | None = None

    def row(self, i: int) -> Estimate:
        """That of one row."""
        likeness = None if self.likeness is None else self.likeness[i]
        return replace(self, mean=self.mean[i], std=self.std[i], likeness=likeness)

    def distance(self, xi: Array) -> Array:
        """How far (dim,), or (n, dim) row by row, lies from the mean, in standard deviations."""
        return np.asarray((xi - self.mean) / self.std)


class Inverse(Protocol):
    """From data to estimates of the unknown, with their spread."""

    @property
    def of(self) -> Of:
        """What is estimated; that of every estimate."""

    @property
    def d_space(self) -> Space:
        """The space of one row of data, of size n_d."""

    @property
    def space(self) -> Space:
        """The space of one estimate, of size dim; of a grid, one variable with its nodes."""

    def __call__(self, data: Array, noise_std: Array) -> Estimate:
        """Estimates from rows of data.

        Args:
            data: shape (n, n_d), in the units of the data.
            noise_std: σ of each datum, shape (n_d,), in the same units.

        Raises:
            ShapeError: the shapes do not fit ``d_space``.
        """


class Denoiser(Protocol):
    """The law of a clean whitened field x by E[x | x + level · n], n ~ N(0, I), at every level.

    It need not be N(0, I), which the whitening of a prior leaves behind: a learned law has the same
    coordinates and another density. With D that mean, ∇ ln p_level(y) = (D(y) - y) / level² is the
    score of the noisy fields (Tweedie's formula; Efron 2011).

    Where it has an attribute ``prior``, a :class:`pdeinv.bayes.prior.Prior` from its ``space`` to
    the unknown of the problem, x lies in coordinates of its own and not in the xi of the problem's
    prior: runs with it are then in those.
    """

    @property
    def space(self) -> Space:
        """The space of xi, or of its own coordinates, of size dim."""

    @property
    def spread(self) -> float:
        """The largest standard deviation of clean fields in any direction, in units of xi."""

    @property
    def differentiable(self) -> bool:
        """Whether :meth:`vjp` is there."""

    def __call__(self, noisy: Array, level: float) -> Array:
        """The denoised fields.

        Args:
            noisy: shape (..., dim).
            level: standard deviation of the noise, in units of xi, positive.

        Returns:
            Shape (..., dim).

        Raises:
            ShapeError: the last axis does not fit ``space``.
        """

    def vjp(self, noisy: Array, level: float, w: Array) -> Array:
        """The adjoint action of its derivative by ``noisy`` on ``w``, each row by itself.

        Args:
            noisy: shape (..., dim).
            level: as in :meth:`__call__`.
            w: shape (..., dim).

        Returns:
            Shape (..., dim).

        Raises:
            CapabilityError: it is not differentiable.
        """
