"""What data say in a band of frequencies, as noise that is known there alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from pdeinv.bayes.causal import Causal
from pdeinv.bayes.noise import Noise
from pdeinv.model.traces import Traces
from pdeinv.typing import Array

__all__ = ["InBand"]

PROBES = 8
"""Random signs by which a trace is estimated."""


@dataclass(frozen=True)
class InBand:
    """W = Γ₀^(-1/2) F: what the data say in a band of frequencies, nothing outside of it.

    The data have the errors of Γ₀ all the same. Where these are white and F is 1 in its band, Φ is
    the part of Φ₀ that the band has.

    Attributes:
        filter: F.
        noise: Γ₀.
    """

    filter: Causal
    noise: Noise

    def whiten(self, residual: Array) -> Array:
        """W r for (..., n_d)."""
        return self.noise.whiten(self.filter(residual))

    def whiten_transpose(self, w: Array) -> Array:
        """Wᵀ w for (..., n_d)."""
        return self.filter.transpose(self.noise.whiten_transpose(w))

    def draw(self, white: Array) -> Array:
        """Errors of Γ₀."""
        return self.noise.colored(white)

    @property
    def std(self) -> Array:
        """Those of Γ₀."""
        return self.noise.std

    @property
    def traces(self) -> Traces:
        """Where the data stand."""
        return self.filter.traces

    @property
    def log_volume(self) -> float:
        """½ ln det Γ₀ − ln det F, F being triangular in time."""
        return self.noise.log_volume - self.traces.size * float(np.log(self.filter.first))

    @cached_property
    def counts(self) -> tuple[float, float]:
        """tr A and tr A² of A = S Wᵀ W S, S that of σ, by random signs (Hutchinson 1990)."""
        signs = np.random.default_rng(0).integers(0, 2, (PROBES, self.traces.size)) * 2.0 - 1.0
        once = self.whiten(np.asarray(self.std * signs))
        twice = np.asarray(self.whiten_transpose(once) * self.std)
        return float(np.mean(np.sum(once**2, axis=1))), float(np.mean(np.sum(twice**2, axis=1)))

    def tempered(self, temperature: float) -> InBand:
        """That of ``temperature`` Γ."""
        return replace(self, noise=self.noise.tempered(temperature))
