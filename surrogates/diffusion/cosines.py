"""Fields on a grid as cosine series: the coordinates in which a learned prior is written.

x = mean + Σ_k a_k cos(π k·j / (n - 1)) ζ_k with every mode that the grid has, so that fields and ζ
determine each other. With ζ ~ N(0, I) that is a Gaussian field of zero flux, the noise of the
diffusion: its amplitude falls as a power of the frequency, whatever the fields' own does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from scipy.special import ndtri

from pdeinv.bayes.fields.cosine import CosineField
from pdeinv.bayes.fields.grid import RegularGrid
from pdeinv.errors import DataSchemaError
from pdeinv.rng import stream
from pdeinv.typing import Array

from ..training.redrawn import Redrawn

__all__ = ["LOG_CENTRE", "LOG_SPREAD", "Cosines", "NoisyFields", "cosine_matrix", "stratified"]

LOG_CENTRE, LOG_SPREAD = math.log(0.5), 1.4
"""Mean and standard deviation of ln level in training, the fields' largest spread being 1 (after
Karras et al. 2022): the levels at which there is most to learn beyond a Gaussian."""

STEADY = 1e-9
"""Fields that vary by less than this share of their size do not vary."""


def cosine_matrix(n: int) -> Array:
    """cos(π k j / (n - 1)): values at node j of mode k, shape (n, n), rows nodes."""
    k = np.arange(n)
    return np.asarray(np.cos(np.pi * np.outer(k, k) / (n - 1)))


def _fall(grid: RegularGrid, decay: float) -> Array:
    """Amplitudes of noise whose variance is one, falling as frequency^-decay."""
    noise = CosineField.on_grid(grid, tau=3 / max(grid.lengths), alpha=decay, normalise=True)
    return noise.amplitude


def _waves(shape: tuple[int, ...]) -> Array:
    """Half waves along both sides, the root of the sum of their squares."""
    return np.hypot.outer(*(np.arange(n) for n in shape))


@dataclass(frozen=True)
class Cosines:
    """The map between fields and ζ, and what the training's fields are as a Gaussian.

    Attributes:
        mean: of the fields, shape (p,).
        amplitude: a, shape (rows, columns).
        variance: of each ζ, shape (rows, columns); the largest of any direction is 1.
    """

    mean: Array
    amplitude: Array
    variance: Array

    @classmethod
    def fit(cls, fields: Array, grid: RegularGrid, decay: float) -> Self:
        """That of the training's fields (n, p), noise amplitudes falling as frequency^-decay.

        The unit of noise is the largest standard deviation of the fields in any direction, found on
        one half of them and measured on the other.

        Raises:
            DataSchemaError: all fields are alike, or they are rougher than the noise.
        """
        mean = fields.mean(axis=0)
        spread = float(np.std(fields - mean))
        if not spread > STEADY * max(float(np.abs(fields).max()), 1e-300):
            raise DataSchemaError(
                f"all {len(fields)} fields are the same, so that there is no prior to learn; "
                "generate from a prior that varies"
            )
        first = cls(mean, spread * _fall(grid, decay), np.ones(grid.shape))
        zeta = first.zeta(fields)
        half = len(zeta) // 2
        direction = np.linalg.svd(zeta[:half], full_matrices=False)[2][0]
        largest = float(np.sqrt(np.mean((zeta[half:] @ direction) ** 2)))
        found = replace(
            first,
            amplitude=largest * first.amplitude,
            variance=(np.mean(zeta**2, axis=0) / largest**2).reshape(grid.shape),
        )
        found.check_rougher(decay)
        return found

    def check_rougher(self, decay: float) -> None:
        """Refuse noise that is smoother than the fields: short waves would never be covered.

        Raises:
            DataSchemaError: the fields' short waves are larger, in units of noise, than long ones.
        """
        rows, columns = self.shape
        wave = np.hypot.outer(np.arange(rows) / (rows - 1), np.arange(columns) / (columns - 1))
        short, long = self.variance[wave > 0.5].mean(), self.variance[wave < 0.25].mean()
        if short > long:
            raise DataSchemaError(
                f"the fields are rougher than noise of decay {decay:g}: short waves are "
                f"{np.sqrt(short / long):.2g} times as large in its units as long ones; lower "
                "surrogate.decay, which has to be above 1, or give smoother fields"
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the grid."""
        rows, columns = self.amplitude.shape
        return int(rows), int(columns)

    @property
    def dim(self) -> int:
        """The number of ζ, and of nodes."""
        return int(self.amplitude.size)

    @cached_property
    def matrices(self) -> tuple[Array, Array]:
        """Values of the modes along y and along x."""
        rows, columns = self.shape
        return cosine_matrix(rows), cosine_matrix(columns)

    @cached_property
    def power(self) -> Array:
        """The mean square over nodes of each mode times its amplitude, shape (rows, columns)."""
        along = [np.mean(m**2, axis=0) for m in self.matrices]
        return np.asarray(self.amplitude**2 * np.multiply.outer(*along))

    @property
    def size(self) -> float:
        """The root of the mean variance of the fields over nodes."""
        return float(np.sqrt(np.sum(self.power * self.variance)))

    def zeta(self, fields: Array) -> Array:
        """ζ (n, p) of fields (n, p)."""
        rows, columns = self.shape
        up, across = (np.linalg.inv(m) for m in self.matrices)
        centred = (fields - self.mean).reshape(-1, rows, columns)
        return np.asarray((up @ centred @ across.T / self.amplitude).reshape(len(fields), -1))

    def centred(self, zeta: Array) -> Array:
        """Fields less their mean, (n, p), of ζ (n, p)."""
        rows, columns = self.shape
        up, across = self.matrices
        modes = self.amplitude * zeta.reshape(-1, rows, columns)
        return np.asarray((up @ modes @ across.T).reshape(len(zeta), -1))

    def on(self, grid: RegularGrid, decay: float) -> Cosines:
        """The same law at the nodes of another grid of the domain.

        Waves that both grids have keep mean, amplitude and variance. Shorter ones have no mean, the
        noise's amplitude, and a variance that goes on as it falls with the wave number among the
        shorter half of the known ones.

        Args:
            grid: the nodes.
            decay: of the noise, as in :meth:`fit`.
        """
        both = tuple(slice(min(a, b)) for a, b in zip(self.shape, grid.shape, strict=True))
        fall = _fall(grid, decay)
        amplitude = fall * (self.amplitude[0, 1] / fall[0, 1])
        variance = self._continued(grid.shape)
        variance[both] = self.variance[both]
        up, across = (np.linalg.inv(m) for m in self.matrices)
        modes = np.zeros(grid.shape)
        modes[both] = (up @ self.mean.reshape(self.shape) @ across.T)[both]
        rows, columns = (cosine_matrix(n) for n in grid.shape)
        return replace(
            self, mean=(rows @ modes @ columns.T).ravel(), amplitude=amplitude, variance=variance
        )

    def _continued(self, shape: tuple[int, ...]) -> Array:
        """c k^(-p) at wave numbers k, fitted to the variances of the shorter half of the waves."""
        known, wanted = _waves(self.shape), _waves(shape)
        short = (known > known.max() / 2) & (self.variance > 0)
        fitted = np.polyfit(np.log(known[short]), np.log(self.variance[short]), 1)
        power, most = min(float(fitted[0]), 0.0), float(np.log(self.variance[short].mean()))
        middle = float(np.log(known[short]).mean())
        far = np.log(np.maximum(wanted, 1.0)) - middle
        return np.exp(np.minimum(float(np.polyval(fitted, middle)) + power * far, most))

    @property
    def field(self) -> CosineField:
        """The same as a Gaussian field, which a prior is made of."""
        return CosineField(self.mean, self.shape, self.amplitude, float(np.sum(self.power)))

    def wiener(self, noisy: Array, level: float) -> Array:
        """The best linear denoiser of ζ (n, p), were its modes independent (Wiener 1949)."""
        v = self.variance.ravel()
        return np.asarray(v / (v + level**2) * noisy)

    def arrays(self) -> dict[str, Array]:
        """For storage."""
        return {"mean": self.mean, "amplitude": self.amplitude, "variance": self.variance}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> Self:
        """The inverse of :meth:`arrays`."""
        return cls(arrays["mean"], arrays["amplitude"], arrays["variance"])


@dataclass
class NoisyFields(Redrawn):
    """Inputs of a network, a level and ζ with noise of that level, drawn anew in every epoch.

    Attributes:
        zeta: shape (n, p).
        seed: of the draws.
        epoch: which draws; :meth:`begin` sets it.
    """

    zeta: Array
    seed: int
    epoch: int = 0

    @property
    def shape(self) -> tuple[int, int]:
        """Of all inputs."""
        return len(self.zeta), 1 + self.zeta.shape[1]

    def __len__(self) -> int:
        return len(self.zeta)

    def __getitem__(self, rows: Any) -> Array:
        return np.stack([self._row(k, number) for k, number in self.numbered(rows)])

    def _row(self, k: int, number: int) -> Array:
        rng = stream(self.seed, "level", number)
        level = math.exp(LOG_CENTRE + LOG_SPREAD * rng.standard_normal())
        return np.append(level, self.zeta[k] + level * rng.standard_normal(self.zeta.shape[1]))


def stratified(zeta: Array, seed: int, least: int = 256) -> tuple[Array, Array]:
    """Inputs with levels spread evenly over those of training, and the ζ behind them.

    Fields come again where there are fewer than ``least``.
    """
    rows = np.resize(np.arange(len(zeta)), max(least, len(zeta)))
    share = (stream(seed, "valid-level").permutation(len(rows)) + 0.5) / len(rows)
    levels = np.exp(LOG_CENTRE + LOG_SPREAD * ndtri(share))[:, None]
    noise = stream(seed, "valid-noise").standard_normal((len(rows), zeta.shape[1]))
    return np.concatenate([levels, zeta[rows] + levels * noise], axis=1), zeta[rows]
