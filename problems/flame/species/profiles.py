"""What a network of a flame corrects: profiles that have the right values at the ends.

Each is G, with a factor D that is zero where G is held: the network's fields are G + D N.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Protocol

import numpy as np
from scipy.interpolate import CubicSpline

from pdeinv.typing import Array

from .gas import SPECIES, Reaction
from .guess import Thin
from .parameters import Parameters, Setting
from .start import Domain

__all__ = ["LOGITS", "Free", "Guess", "Odds", "layered", "logits"]

THICK = 4.0
"""How much thicker than its preheated zone a flame is."""
RANGE = (0.5, 2.0)
"""Flame speeds that are searched, by that of the guess."""
TRACE = 1e-7
"""Mass fractions that logits begin with where a species is missing."""
SHARE = 0.8
"""Of the points at which the equations are asked for, those near the flame."""
LOGITS = tuple(f"z_{name}" for name in SPECIES[:-1])
LARGE = 40.0
"""Of odds of burnt gas, as logarithms."""


class Guess(Protocol):
    """Profiles to start from."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of what they are of."""

    @property
    def thin(self) -> Thin:
        """The flame of one variable."""

    @property
    def eigenvalue(self) -> tuple[float, float, float]:
        """Where a search begins, the least and the largest."""

    @property
    def width(self) -> float:
        """Over which fields change, m."""

    @property
    def centre(self) -> float:
        """Where they do, m."""

    def __call__(self, x: Any, /) -> tuple[Any, Any]:
        """G and D at tensors of places (n, 1), each (n, outputs)."""

    def spread(self, unit: Array, /) -> Array:
        """Even points in [0, 1] to places, (n, 1)."""

    def sizes(self, x: Array, /) -> Array:
        """Of the terms of each equation at places (n, 1), (n, equations)."""


def logits(fractions: Any) -> Any:
    """ln(Y_k/Y_N2) of fractions (n, 5), (n, 4)."""
    logarithms = (fractions.clamp(min=0.0) + TRACE).log()
    return logarithms[:, :-1] - logarithms[:, -1:]


def layered(unit: Array, length: float, layers: Sequence[tuple[float, float, float]]) -> Array:
    """Places in [0, length], of which parts are distributed around centres (logistic law).

    Args:
        unit: even points in [0, 1].
        length: m.
        layers: part, centre and width of each; the rest is even.
    """
    x = np.linspace(0.0, length, 20001)
    found = (1 - sum(part for part, _, _ in layers)) * x / length
    for part, centre, width in layers:
        near = np.tanh((x - centre) / width)
        found = found + part * (near - near[0]) / (near[-1] - near[0])
    return np.asarray(np.interp(unit, found, x))


@dataclass(frozen=True)
class Odds:
    """ln(θ/(1 − θ)) of the part θ of the rise, as a smooth function of x, straight beyond its ends.

    Attributes:
        thin: the flame.
    """

    thin: Thin

    @cached_property
    def _table(self) -> tuple[Array, Array]:
        """Ends of pieces, and coefficients of cubic ones, lowest first, straight ones outside."""
        x, y = self.thin.places, self.thin.part
        some = np.unique(np.searchsorted(y, np.linspace(y[0], y[-1], 80)).clip(max=len(y) - 1))
        spline = CubicSpline(x[some], y[some], bc_type="natural")
        ends, inner = spline.x, spline.c[::-1]
        outer = [[spline(e), spline(e, 1), 0.0, 0.0] for e in (ends[0], ends[-1])]
        return ends, np.column_stack([outer[0], inner, outer[1]])

    def __call__(self, x: Any) -> Any:
        """At tensors of places, from where half of the rise is reached."""
        import torch

        ends, table = self._table
        piece = torch.bucketize(x.detach(), x.new_tensor(ends))
        begin = x.new_tensor(np.append(ends[0], ends))[piece]
        a, b, c, d = x.new_tensor(table)[:, piece]
        t = x - begin
        return (a + t * (b + t * (c + t * d))).clamp(-LARGE, LARGE)

    def place(self, part: float) -> float:
        """x of a part of the rise."""
        return float(np.interp(np.log(part / (1 - part)), self.thin.part, self.thin.places))


@dataclass(frozen=True)
class Free:
    """The flame of one variable, at its place.

    Attributes:
        thin: that flame.
        domain: length and place.
        fixed: temperature at that place, K.
    """

    thin: Thin
    domain: Domain
    fixed: float
    outputs: ClassVar[tuple[str, ...]] = ("T", *LOGITS)

    @classmethod
    def of(cls, setting: Setting, reaction: Reaction, domain: Domain, at: Parameters) -> Free:
        """That of parameters."""
        return cls(Thin.of(setting, reaction, at), domain, at.fixed_temperature)

    @property
    def centre(self) -> float:
        """The place where it is held."""
        return self.domain.held

    @property
    def width(self) -> float:
        """Of the whole flame."""
        return THICK * self.thin.width

    @property
    def eigenvalue(self) -> tuple[float, float, float]:
        """Flame speeds, m s-1."""
        speed = self.thin.flux / self.thin.density
        return speed, RANGE[0] * speed, RANGE[1] * speed

    def sizes(self, x: Array) -> Array:
        """Of what is carried through the flame over its width, then in all."""
        thin = self.thin
        moles = thin.flux * thin.moles
        terms = [*thin.carried / (2 * thin.width), thin.carried[0], *[moles] * 3]
        return np.tile(np.array(terms), (len(x), 1))

    def __call__(self, x: Any) -> tuple[Any, Any]:
        """The profiles, and tanh functions that are zero at both ends and, of T, at the place."""
        import torch

        thin, width, (length, held) = self.thin, self.thin.width, self._domain
        rise, odds = thin.hot - thin.cold, Odds(thin)
        shift = odds.place((self.fixed - thin.cold) / rise) - held
        done = torch.sigmoid(odds(x + shift))
        fresh, burnt = x.new_tensor(thin.fresh), x.new_tensor(thin.burnt)
        guess = torch.cat([thin.cold + rise * done, logits(fresh + (burnt - fresh) * done)], 1)
        ends = torch.tanh(x / width) * torch.tanh((length - x) / width)
        hot = rise * ends * torch.tanh((x - held) / width)
        return guess, torch.cat([hot, ends.expand(len(x), len(LOGITS))], dim=1)

    @property
    def _domain(self) -> tuple[float, float]:
        return self.domain.length, self.domain.held

    def spread(self, unit: Array) -> Array:
        """Most of them within the flame."""
        return layered(unit, self.domain.length, [(SHARE, self.centre, 1.5 * self.thin.width)])
