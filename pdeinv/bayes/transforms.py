"""Pointwise maps from a Gaussian field x to the physical unknown m = T(x)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from pdeinv.errors import CapabilityError, ConfigError
from pdeinv.typing import Array

__all__ = ["Exponential", "Identity", "Interval", "LevelSet", "Transform", "is_positive"]


class Transform(Protocol):
    """A map applied to each component on its own."""

    @property
    def differentiable(self) -> bool:
        """Whether :meth:`derivative` exists."""

    def __call__(self, x: Array) -> Array:
        """T(x), same shape."""

    def derivative(self, x: Array) -> Array:
        """T'(x), same shape.

        Raises:
            CapabilityError: the map has no derivative.
        """


@dataclass(frozen=True)
class Identity:
    """m = x."""

    differentiable: bool = True

    def __call__(self, x: Array) -> Array:
        """x itself."""
        return x

    def derivative(self, x: Array) -> Array:
        """One."""
        return np.ones_like(x)


@dataclass(frozen=True)
class Exponential:
    """m = exp(x): a log-normal unknown; infinite where exp overflows, which solvers refuse."""

    differentiable: bool = True

    def __call__(self, x: Array) -> Array:
        """exp(x)."""
        with np.errstate(over="ignore"):
            return np.asarray(np.exp(x))

    def derivative(self, x: Array) -> Array:
        """exp(x)."""
        return self(x)


@dataclass(frozen=True)
class Interval:
    """m = low + (high - low) Φ(x), uniform on (low, high) for x ~ N(0, 1); Φ is the normal cdf."""

    low: Array
    high: Array
    differentiable: bool = True

    def __call__(self, x: Array) -> Array:
        """The point of the interval at probability Φ(x)."""
        return np.asarray(self.low + (self.high - self.low) * ndtr(x))

    def derivative(self, x: Array) -> Array:
        """(high - low) φ(x), φ the normal density."""
        return np.asarray((self.high - self.low) * np.exp(-0.5 * x**2) / np.sqrt(2 * np.pi))


@dataclass(frozen=True)
class LevelSet:
    """Phases of constant value, separated where x crosses thresholds (Iglesias, Lu, Stuart 2016).

    With a ``blend`` w > 0 each step is ½ (1 + tanh((x - threshold) / w)), which has a derivative.

    Attributes:
        thresholds: increasing, k - 1 of them.
        values: k phase values; ``values[0]`` where x < thresholds[0].
        blend: half width of the passage between two phases; 0 for a jump.
    """

    thresholds: tuple[float, ...]
    values: tuple[float, ...]
    blend: float = 0.0

    def __post_init__(self) -> None:
        increasing: Sequence[float] = sorted(set(self.thresholds))
        if len(self.values) != len(self.thresholds) + 1 or list(increasing) != list(
            self.thresholds
        ):
            raise ConfigError(
                "level set: expected increasing thresholds and one more value than thresholds, "
                f"got thresholds {self.thresholds} and values {self.values}"
            )

    @property
    def differentiable(self) -> bool:
        """Where phases blend."""
        return self.blend > 0

    def _steps(self, x: Array) -> list[tuple[float, Array]]:
        """The jump of each threshold and tanh((x - threshold) / w)."""
        jumps = np.diff(self.values)
        at = zip(jumps, self.thresholds, strict=True)
        return [(float(jump), np.tanh((x - t) / self.blend)) for jump, t in at]

    def __call__(self, x: Array) -> Array:
        """The value of the phase that x falls in; x at a threshold belongs to the phase above."""
        if self.blend == 0:
            return np.asarray(self.values)[np.searchsorted(self.thresholds, x, side="right")]
        return np.asarray(self.values[0] + sum(0.5 * jump * (1 + s) for jump, s in self._steps(x)))

    def derivative(self, x: Array) -> Array:
        """That of the blend; a jump has none."""
        if self.blend > 0:
            return np.asarray(
                sum(0.5 * jump * (1 - s**2) / self.blend for jump, s in self._steps(x))
            )
        raise CapabilityError(
            "a level-set unknown has no derivative; use an engine without gradients "
            "(pcn, eki, two-level), or let its phases blend"
        )


def is_positive(transform: Transform) -> bool | NDArray[np.bool_]:
    """Whether m > 0 whatever x is, for all components or each; no where a map does not say so."""
    match transform:
        case Exponential():
            return True
        case Interval():
            return np.asarray(transform.low) >= 0
        case LevelSet():
            return min(transform.values) > 0
    return False
