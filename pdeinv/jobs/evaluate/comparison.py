"""Two models at the same draws: errors, errors in units of the noise, misfit differences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pdeinv.bayes.noise import Noise
from pdeinv.model.observed import Sensors
from pdeinv.plugins.problem import Problem
from pdeinv.plugins.surrogate import Surrogate
from pdeinv.typing import Array

__all__ = ["Comparison", "Region"]


@dataclass(frozen=True)
class Region:
    """Both models at draws of one kind; failed solves are rows of NaN.

    Attributes:
        name: ``prior`` or ``posterior``.
        xi: shape (n, dim).
        reference: shape (n, n_obs).
        predicted: shape (n, n_obs).
        failures: by row, empty where both models gave numbers.
    """

    name: str
    xi: Array
    reference: Array
    predicted: Array
    failures: tuple[str, ...]

    @property
    def good(self) -> NDArray[np.bool_]:
        """The rows in which both models gave numbers."""
        return np.array([not text for text in self.failures])

    @property
    def error(self) -> Array:
        """Surrogate minus reference, shape (n, n_obs)."""
        return self.predicted - self.reference

    def relative_l2(self) -> Array:
        """‖error‖ / ‖reference‖ by row."""
        size = np.maximum(np.linalg.norm(self.reference, axis=1), 1e-300)
        return np.asarray(np.linalg.norm(self.error, axis=1) / size)

    def rms_over_sigma(self, noise: Noise) -> Array:
        """The rms error in units of the noise by row."""
        return np.sqrt(np.mean(noise.whiten(self.error) ** 2, axis=1))

    def misfit_difference(self, noise: Noise, data: Array) -> Array:
        """Φ of the surrogate minus Φ of the reference by row."""
        return noise.misfit(self.predicted - data) - noise.misfit(self.reference - data)


@dataclass(frozen=True)
class Comparison:
    """All that was found.

    Attributes:
        surrogate: what was examined.
        problem: what it stands for.
        sensors: where the data are.
        noise: what errors are weighed against.
        data: the data of the misfits, shape (n_obs,).
        sources: where noise and data came from, in words.
        regions: the draws with both models' values, prior draws first.
        seconds: CPU time of one evaluation: ``reference``, ``surrogate``, ``surrogate_batched``.
    """

    surrogate: Surrogate
    problem: Problem
    sensors: Sensors
    noise: Noise
    data: Array
    sources: Mapping[str, str]
    regions: tuple[Region, ...]
    seconds: Mapping[str, float]
