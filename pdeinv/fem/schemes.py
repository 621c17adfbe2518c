"""Linear multistep methods for M du/dt + K u = F, by their coefficients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["SCHEMES", "Scheme", "SchemeName"]

SchemeName = Literal["implicit-euler", "crank-nicolson", "bdf2"]


@dataclass(frozen=True)
class Scheme:
    """A linear multistep method.

    Attributes:
        alpha: coefficients of M u^(n-j) / Δt.
        beta: coefficients of K u^(n-j) and F^(n-j); at most two are not zero.
        order: of the error in Δt.
    """

    alpha: tuple[float, ...]
    beta: tuple[float, ...]
    order: int


SCHEMES: dict[SchemeName, Scheme] = {
    "implicit-euler": Scheme((1.0, -1.0), (1.0, 0.0), 1),
    "crank-nicolson": Scheme((1.0, -1.0), (0.5, 0.5), 2),
    "bdf2": Scheme((1.5, -2.0, 0.5), (1.0, 0.0, 0.0), 2),
}
