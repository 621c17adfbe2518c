"""A likelihood of what passes a filter, as a stage of a search for the minimum of the whole."""

from __future__ import annotations

from dataclasses import dataclass

from pdeinv.bayes.causal import Causal
from pdeinv.bayes.correlation import Correlation
from pdeinv.bayes.envelope import Envelope
from pdeinv.bayes.likelihood import DataMisfit, Fisher
from pdeinv.bayes.noise import Noise
from pdeinv.bayes.passband import InBand
from pdeinv.typing import Array

__all__ = ["Filtered", "filter_of", "in_band"]


def filter_of(law: DataMisfit) -> Causal | None:
    """What data and predictions pass before Φ compares them; None where that is nothing."""
    match law:
        case Envelope() | Correlation():
            return law.filter
        case Noise(along=InBand() as band):
            return band.filter
    return None


def in_band(law: DataMisfit, filter: Causal) -> DataMisfit:
    """The same law of what passes a filter; of additive noise it is such noise again."""
    return Noise.of_traces(InBand(filter, law)) if isinstance(law, Noise) else Filtered(law, filter)


@dataclass(frozen=True)
class Filtered:
    """Φ(F G, F y).

    Attributes:
        law: Φ.
        filter: F.
    """

    law: DataMisfit
    filter: Causal

    def misfit(self, prediction: Array, data: Array) -> Array:
        """Φ for (..., n_d)."""
        return self.law.misfit(self.filter(prediction), self.filter(data))

    def slope(self, prediction: Array, data: Array) -> tuple[Array, Array]:
        """Φ and dΦ/dG."""
        value, slope = self.law.slope(self.filter(prediction), self.filter(data))
        return value, self.filter.transpose(slope)

    def fisher(self, prediction: Array) -> FilteredFisher:
        """That of the law at F G, through F."""
        return FilteredFisher(self.law.fisher(self.filter(prediction)), self.filter)


@dataclass(frozen=True)
class FilteredFisher:
    """Fᵀ I F.

    Attributes:
        inner: I.
        filter: F.
    """

    inner: Fisher
    filter: Causal

    def whiten(self, residual: Array) -> Array:
        """A square root of I on F r, for (..., n_d)."""
        return self.inner.whiten(self.filter(residual))

    def whiten_transpose(self, w: Array) -> Array:
        """Its transpose."""
        return self.filter.transpose(self.inner.whiten_transpose(w))
