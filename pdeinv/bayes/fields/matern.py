"""The Matérn covariance, in the one parametrisation that every field of pdeinv shares."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln, kve

from pdeinv.errors import ConfigError
from pdeinv.typing import Array

__all__ = ["Matern"]


@dataclass(frozen=True)
class Matern:
    """C(r) = std² 2^(1-ν)/Γ(ν) (κ r)^ν K_ν(κ r) with κ = sqrt(2 ν)/length.

    ν = 1/2 is the exponential covariance, ν = inf is std² exp(-r²/(2 length²)). The practical
    range sqrt(8 ν)/κ, where the correlation has fallen to about 0.13, is 2 length.

    Attributes:
        smoothness: ν, the mean-square smoothness of the field, positive or inf.
        length: correlation length, in the units of the coordinates.
        std: the standard deviation at every point.

    Raises:
        ConfigError: a parameter is not positive, or only ν may be infinite.

    Reference: Rasmussen and Williams (2006), equation 4.14.
    """

    smoothness: float
    length: float
    std: float = 1.0

    def __post_init__(self) -> None:
        if not self.smoothness > 0:
            raise ConfigError(f"smoothness must be positive (or inf), got {self.smoothness:g}")
        for name in ("length", "std"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ConfigError(f"{name} must be positive and finite, got {value:g}")

    @property
    def kappa(self) -> float:
        """κ = sqrt(2 ν)/length, in one over the units of the coordinates; inf where ν is."""
        return math.sqrt(2 * self.smoothness) / self.length

    def correlation(self, r: Array) -> Array:
        """C(r)/std² at distances ``r`` >= 0."""
        if math.isinf(self.smoothness):
            return np.asarray(np.exp(-0.5 * (np.asarray(r) / self.length) ** 2))
        return _correlation(self.smoothness, self.kappa * np.asarray(r, dtype=np.float64))

    def __call__(self, r: Array) -> Array:
        """C(r) at distances ``r`` >= 0."""
        return np.asarray(self.std**2 * self.correlation(r))


def _correlation(nu: float, z: Array) -> Array:
    """2^(1-ν)/Γ(ν) z^ν K_ν(z), by its elementary form where ν is 1/2, 3/2 or 5/2."""
    elementary = {0.5: 1.0, 1.5: 1 + z, 2.5: 1 + z + z**2 / 3}
    if nu in elementary:
        return np.asarray(elementary[nu] * np.exp(-z))
    safe = np.where(z > 0, z, 1.0)
    with np.errstate(over="ignore"):
        log = (
            (1 - nu) * math.log(2) - gammaln(nu) + nu * np.log(safe) + np.log(kve(nu, safe)) - safe
        )
    # K_ν overflows only where z^ν is so small that the correlation is one to rounding.
    return np.asarray(np.where((z > 0) & np.isfinite(log), np.exp(np.minimum(log, 0.0)), 1.0))
