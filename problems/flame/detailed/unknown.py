"""The unknown m: rates of reactions, then the state of the inlet, those that have a prior."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pdeinv.bayes.named_priors import normal, product
from pdeinv.bayes.prior import Prior
from pdeinv.errors import SolverDiverged
from pdeinv.typing import Array

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
    """

    rates: Sequence[Sought]
    states: tuple[str, ...]
    start: Nominal

    @classmethod
    def of(cls, config: DetailedConfig, gas: Any) -> Unknown:
        """That of a configuration.

        Raises:
            ConfigError: a reaction that the mechanism does not have.
        """
        rates = sought_rates(config, gas)
        return cls(rates, tuple(config.unknown.states), nominal(gas, rates))

    def middle(self, at: Inlet) -> Array:
        """The rates of the mechanism, at a state."""
        return np.array([0.0] * len(self.rates) + [getattr(at, name) for name in self.states])

    def prior(self, config: DetailedConfig) -> Prior:
        """Independent numbers."""
        parts = [
            normal(one.name, mean=0.0, std=one.std, units=one.labels[0], long_name=one.labels[1])
            for one in self.rates
        ]
        states = config.unknown.states
        return product(*parts, *([prior_of_numbers(states, LABELS)] if states else []))

    def inlet(self, at: Inlet, m: Array) -> Inlet:
        """The state of an experiment with the values of m."""
        sought = dict(zip(self.states, m[len(self.rates) :].tolist(), strict=True))
        return at._replace(**sought)

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
        names = [*(one.name for one in self.rates), *self.states]
        for name, value, (low, high) in zip(names, m.tolist(), ends, strict=True):
            if not low <= value <= high:
                raise SolverDiverged(
                    f"{name} = {value:g} is beyond what a flame has, {low:g} to {high:g}"
                )
