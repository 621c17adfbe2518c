"""The unknown m: rates of reactions, state of the inlet, offset, those that have a prior."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pdeinv.bayes.named_priors import normal, product
from pdeinv.bayes.prior import Prior
from pdeinv.errors import SolverDiverged
from pdeinv.typing import Array

from ..config import LENGTHS
from ..number_priors import prior_of_numbers
from .config import DetailedConfig
from .inlet import Inlet
from .rates import Nominal, Sought, apply, nominal, sought_rates

__all__ = ["LABELS", "Unknown"]

LABELS = {
    "equivalence_ratio": ("1", "equivalence ratio"),
    "pressure": ("Pa", "pressure"),
    "inlet_temperature": ("K", "temperature of the inlet"),
}
"""Units and words of what may be sought of the state of the inlet."""

OFFSET = "offset"
OFFSET_LABELS = "m", "places of data less those of the domain"

FARTHEST = {"log_a": 10.0, "b": 10.0, "ea": 5e5}
"""Beyond these a rate is no number that a mechanism has."""

STATES = {
    "equivalence_ratio": (1e-3, 1e3),
    "pressure": (1.0, 1e9),
    "inlet_temperature": (150.0, 2000.0),
}


@dataclass(frozen=True)
class Unknown:
    """What is sought.

    Attributes:
        rates: of reactions.
        states: entries of the inlet.
        start: the constants of the mechanism.
        shifted: whether the offset of data is sought.
    """

    rates: Sequence[Sought]
    states: tuple[str, ...]
    start: Nominal
    shifted: bool

    @classmethod
    def of(cls, config: DetailedConfig, gas: Any) -> Unknown:
        """That of a configuration.

        Raises:
            ConfigError: a reaction that the mechanism does not have.
        """
        rates = sought_rates(config, gas)
        shifted = config.unknown.shift is not None
        return cls(rates, tuple(config.unknown.states), nominal(gas, rates), shifted)

    @property
    def names(self) -> list[str]:
        """Of the entries of m."""
        last = [OFFSET] if self.shifted else []
        return [*(one.name for one in self.rates), *self.states, *last]

    def middle(self, at: Inlet) -> Array:
        """The rates of the mechanism, at a state, and no offset."""
        states = [getattr(at, name) for name in self.states]
        return np.array([0.0] * len(self.rates) + states + [0.0] * self.shifted)

    def prior(self, config: DetailedConfig) -> Prior:
        """Independent numbers."""
        parts: list[Prior] = [
            normal(one.name, mean=0.0, std=one.std, units=one.labels[0], long_name=one.labels[1])
            for one in self.rates
        ]
        states, shift = config.unknown.states, config.unknown.shift
        if states:
            parts.append(prior_of_numbers(states, LABELS))
        if shift is not None:
            units, words = OFFSET_LABELS
            mean, std = shift.mean, shift.std
            parts.append(normal(OFFSET, mean=mean, std=std, units=units, long_name=words))
        return product(*parts)

    def inlet(self, at: Inlet, m: Array) -> Inlet:
        """The state of an experiment with the values of m."""
        first = len(self.rates)
        own = m[first : first + len(self.states)].tolist()
        return at._replace(**dict(zip(self.states, own, strict=True)))

    def offset(self, m: Array) -> float:
        """Places of data less those of the domain, m."""
        return float(m[-1]) if self.shifted else 0.0

    def set(self, gas: Any, m: Array) -> None:
        """Give a gas the rates of m."""
        apply(gas, self.rates, self.start, m[: len(self.rates)])

    def check(self, m: Array) -> None:
        """Refuse values that no mechanism and no inlet has.

        Raises:
            SolverDiverged: names the first one.
        """
        ends = [(-FARTHEST[one.part], FARTHEST[one.part]) for one in self.rates]
        ends += [STATES[name] for name in self.states]
        ends += [(-LENGTHS[1], LENGTHS[1])] * self.shifted
        for name, value, (low, high) in zip(self.names, m.tolist(), ends, strict=True):
            if not low <= value <= high:
                raise SolverDiverged(
                    f"{name} = {value:g} is beyond what a flame has, {low:g} to {high:g}"
                )
