"""Leapfrog with damping: one step as two vectors and a sparse matrix, and their derivative by s.

With the mass M = W s of slowness squared s, the boundary mass B = W_b √s of waves that leave
(Clayton and Engquist 1977) and the damping γ of the absorbing layer,

    a (u⁺ − 2u + u⁻) + c (u⁺ − u⁻) + K u = f,  a = W s/dt²,  c = (γ W s + W_b √s)/(2 dt).

So u⁺ = A u − b u⁻ + k f with k = 1/(a + c), A = k (2a − K) and b = k (a − c). Damping does not
change the longest stable step. At a free surface u is held at zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pdeinv.typing import Array

from .config import SeismicConfig
from .elements import SpectralElements
from .unknown_config import velocities

__all__ = ["Scheme", "Step", "damping"]


def damping(config: SeismicConfig, points: Array) -> Array:
    """γ at points: γ₀ (depth/width)² in the layer, zero in the rectangle.

    γ₀ = 3 v ln(1/R)/width lets the part R of a wave of velocity v through the layer and back.
    """
    width = config.boundary.width
    if width == 0:
        return np.zeros(len(points))
    beyond = np.maximum(np.maximum(-points, points - np.asarray(config.lengths)), 0.0)
    middle = velocities(config.unknown)[1]
    peak = -3 * middle * np.log(config.boundary.reflection) / width
    return np.asarray(peak * (np.square(beyond).sum(axis=1) / width**2))


@dataclass(frozen=True)
class Step:
    """The coefficients of a step.

    Attributes:
        matrix: A, CSR.
        past: b.
        scale: k, zero where u is held.
    """

    matrix: Any
    past: Array
    scale: Array


@dataclass(frozen=True)
class Scheme:
    """The discrete equation but for s.

    Attributes:
        elements: in space.
        config: of the problem.
        dt: time step.
    """

    elements: SpectralElements
    config: SeismicConfig
    dt: float

    @cached_property
    def free(self) -> NDArray[np.bool_]:
        """Where u is not held at zero."""
        y = self.elements.points[:, 1]
        held = self.config.boundary.top == "free"
        return np.asarray((y > 1e-9 * self.config.lengths[1]) | (not held))

    @cached_property
    def _damped(self) -> Array:
        """γ W."""
        return damping(self.config, self.elements.points) * self.elements.weights

    @cached_property
    def _stiffness(self) -> tuple[Any, NDArray[np.int64], NDArray[np.int64]]:
        """K with its diagonal in the pattern; the row of each entry, and where the diagonal is."""
        k = self.elements.stiffness
        rows = np.repeat(np.arange(k.shape[0]), np.diff(k.indptr))
        diagonal = np.flatnonzero(k.indices == rows)
        return k, rows, diagonal

    def coefficients(self, s: Array) -> tuple[Array, Array]:
        """a and c, each of shape (n,)."""
        e = self.elements
        c = (self._damped * s + e.rim * np.sqrt(s)) / (2 * self.dt)
        return e.weights * s / self.dt**2, c

    def change(self, s: Array, ds: Array) -> tuple[Array, Array]:
        """Their derivative along ds."""
        on_a, on_c = self._slopes(s)
        return on_a * ds, on_c * ds

    def gradient(self, s: Array, ga: Array, gc: Array) -> Array:
        """Derivatives by a and c as one by s."""
        on_a, on_c = self._slopes(s)
        return on_a * ga + on_c * gc

    def _slopes(self, s: Array) -> tuple[Array, Array]:
        e = self.elements
        on_c = (self._damped + e.rim / (2 * np.sqrt(s))) / (2 * self.dt)
        return e.weights / self.dt**2, on_c

    def step(self, s: Array) -> Step:
        """The coefficients of a step."""
        a, c = self.coefficients(s)
        scale = self.free / (a + c)
        k, rows, diagonal = self._stiffness
        data = -scale[rows] * k.data
        data[diagonal] += 2 * a * scale
        matrix = sparse.csr_array((data, k.indices, k.indptr), k.shape)
        return Step(matrix, (a - c) * scale, scale)
