"""What is sought of reactions: factors and shifts that a gas takes on, and their derivatives.

The rate constant of a reaction is multiplied by 10^a T^b exp(−E/(R T)), T in K, where a is
``log_a``, b the change of the temperature exponent and E that of the activation energy. Where a
rate falls off with pressure, both limits are multiplied, which multiplies all between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from pdeinv.errors import ConfigError
from pdeinv.typing import Array

from .config import DetailedConfig
from .mechanism import cantera, reactions

__all__ = ["LN10", "Nominal", "Sought", "apply", "factors", "nominal", "sought_rates"]

Part = Literal["log_a", "b", "ea"]

GAS_CONSTANT = 8.31446261815324
"""J mol-1 K-1."""

LN10 = float(np.log(10.0))


@dataclass(frozen=True)
class Sought:
    """One unknown of a rate.

    Attributes:
        part: of the rate.
        reactions: which, by index.
        equation: as the mechanism writes it.
        std: of the normal prior of mean zero.
    """

    part: Part
    reactions: tuple[int, ...]
    equation: str
    std: float

    @property
    def name(self) -> str:
        """In files."""
        return f"{self.part}_{self.reactions[0]}"

    @property
    def labels(self) -> tuple[str, str]:
        """Units and words."""
        words = {
            "log_a": ("1", "log10 of the pre-exponential factor over that of the mechanism"),
            "b": ("1", "change of the temperature exponent"),
            "ea": ("J mol-1", "change of the activation energy"),
        }
        units, text = words[self.part]
        return units, f"{text}, {self.equation}"


def sought_rates(config: DetailedConfig, gas: Any) -> list[Sought]:
    """The unknowns of rates, in the order of the configuration.

    Raises:
        ConfigError: no such reaction, one twice, or one whose rate has no exponent to change.
    """
    found: list[Sought] = []
    taken: dict[int, str] = {}
    for named, table in config.unknown.rates.items():
        at = reactions(config, gas, named)
        twice = [taken[i] for i in at if i in taken]
        if twice:
            raise ConfigError(f"unknown.rates: '{named}' and '{twice[0]}' are one reaction")
        taken |= dict.fromkeys(at, named)
        equation = gas.reaction(at[0]).equation
        stds = {
            "log_a": table.log_a and table.log_a.spread,
            "b": table.b and table.b.std,
            "ea": table.ea and table.ea.std,
        }
        for part, std in stds.items():
            if std is not None:
                _check_kind(gas, at, part, named)
                found.append(Sought(part, tuple(at), equation, std))  # type: ignore[arg-type]
    return found


def _check_kind(gas: Any, at: Sequence[int], part: str, named: str) -> None:
    kinds = {gas.reaction(i).rate.type for i in at}
    if part != "log_a" and not all(_constants(gas.reaction(i).rate) for i in at):
        raise ConfigError(
            f"unknown.rates: '{named}' is of kind {', '.join(sorted(kinds))}, of which log_a alone "
            "can be sought"
        )


def _constants(rate: Any) -> dict[str, Any]:
    """The Arrhenius expressions of a rate by the attribute that sets them; none of other kinds."""
    ct = cantera()
    if type(rate) is ct.ArrheniusRate:
        return {"": rate}
    if isinstance(rate, ct.FalloffRate):
        return {"low_rate": rate.low_rate, "high_rate": rate.high_rate}
    return {}


Nominal = dict[int, dict[str, tuple[float, float, float]]]


def nominal(gas: Any, sought: Sequence[Sought]) -> Nominal:
    """A, b and E (J kmol-1) in the mechanism of the reactions whose exponents are sought."""
    which = {i for one in sought if one.part != "log_a" for i in one.reactions}
    return {
        i: {
            where: (rate.pre_exponential_factor, rate.temperature_exponent, rate.activation_energy)
            for where, rate in _constants(gas.reaction(i).rate).items()
        }
        for i in sorted(which)
    }


def apply(gas: Any, sought: Sequence[Sought], start: Nominal, values: Array) -> None:
    """Give a gas the rates of values, whatever rates it had."""
    shifts: dict[int, dict[str, float]] = {i: {"b": 0.0, "ea": 0.0} for i in start}
    for one, value in zip(sought, values.tolist(), strict=True):
        for i in one.reactions:
            if one.part == "log_a":
                gas.set_multiplier(float(10.0**value), i)
            else:
                shifts[i][one.part] = value
    for i, shift in shifts.items():
        _shift(gas, i, start[i], shift)


def _shift(
    gas: Any, i: int, start: dict[str, tuple[float, float, float]], shift: dict[str, float]
) -> None:
    ct = cantera()
    reaction = gas.reaction(i)
    rate = reaction.rate
    for where, (a, b, e) in start.items():
        constants = (a, b + shift["b"], e + 1e3 * shift["ea"])
        if where:
            setattr(rate, where, ct.ArrheniusRate(*constants))
        else:
            rate = ct.ArrheniusRate(*constants)
    if start:
        multiplier = gas.multiplier(i)
        reaction.rate = rate
        gas.modify_reaction(i, reaction)
        gas.set_multiplier(multiplier, i)


def factors(part: Part, temperature: Array) -> Array:
    """∂ ln k by an unknown of that part, at temperatures (n,)."""
    if part == "log_a":
        return np.full_like(temperature, LN10)
    return np.log(temperature) if part == "b" else -1.0 / (GAS_CONSTANT * temperature)
