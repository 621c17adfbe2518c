"""The soft Dice score of masks: how well predicted and seen regions overlap. It is no density."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np

from pdeinv.bayes.bernoulli import Bernoulli
from pdeinv.bayes.links import LINKS
from pdeinv.bayes.noise import Noise
from pdeinv.bayes.score import Score
from pdeinv.errors import DataSchemaError
from pdeinv.typing import Array

__all__ = ["Dice"]


@dataclass(frozen=True)
class Dice(Score):
    """Φ = -w Σ_k n_k ln D_k with D_k = 2 Σ p y / (Σ p + Σ y) over the n_k data of mask k.

    Attributes:
        masks: to which mask each datum belongs, whole numbers, shape (n_d,).
        link: name of p(z), one of :data:`pdeinv.bayes.links.LINKS`.
        weight: w, the weight of the score against the prior.
    """

    masks: tuple[int, ...]
    link: str = "logit"
    weight: float = 1.0

    called: ClassVar[str] = "a Dice score"

    def __post_init__(self) -> None:
        _ = self._alike

    @cached_property
    def _alike(self) -> Bernoulli:
        """The likelihood of the same data, for what both have."""
        return Bernoulli(self.size, self.link, self.weight)

    @cached_property
    def _members(self) -> Array:
        """1 where a datum (columns) is of a mask (rows)."""
        own = np.unique(self.masks)[:, None] == np.array(self.masks)
        return np.asarray(own, dtype=np.float64)

    @cached_property
    def _counts(self) -> Array:
        """n_k, how many data each mask has."""
        return np.asarray(self._members.sum(axis=1))

    def _sums(self, values: Array) -> Array:
        """Sums over each mask, (..., n_d) to (..., masks).

        Each of them is one product of its own, so that its bits depend on its row alone.
        """
        return np.stack([np.vecdot(values, own) for own in self._members], axis=-1)

    @property
    def size(self) -> int:
        """The number of data."""
        return len(self.masks)

    @property
    def std(self) -> Array:
        """As of the likelihood."""
        return self._alike.std

    def check(self, data: Array) -> None:
        """Data are 0 or 1, and no mask is empty.

        Raises:
            DataSchemaError: otherwise.
        """
        self._alike.check(data)
        empty = np.flatnonzero(self._members @ data == 0)
        if len(empty):
            name = np.unique(self.masks)[empty[0]]
            raise DataSchemaError(f"mask {name} is empty and has no Dice score; leave it out")

    def misfit(self, prediction: Array, data: Array) -> Array:
        """Φ for (..., n_d)."""
        return self._score(*self._overlap(LINKS[self.link].probability(prediction), data))

    def _overlap(self, p: Array, data: Array) -> tuple[Array, Array]:
        """2 Σ p y and Σ p + Σ y of each mask, shapes (..., masks)."""
        return 2 * self._sums(p * data), self._sums(p) + self._sums(data)

    def _score(self, both: Array, total: Array) -> Array:
        return np.asarray(-self.weight * np.sum(self._counts * np.log(both / total), axis=-1))

    def slope(self, prediction: Array, data: Array) -> tuple[Array, Array]:
        """Φ and dΦ/dz."""
        link, members, n = LINKS[self.link], self._members, self._counts
        p = link.probability(prediction)
        both, total = self._overlap(p, data)
        by_p = (n / both) @ members * 2 * data - (n / total) @ members
        slope = -self.weight * by_p * p * link.slope(prediction)
        return self._score(both, total), slope

    def fisher(self, prediction: Array) -> Noise:
        """That of the likelihood of the same data, which curves as the score does near its best."""
        return self._alike.fisher(prediction)

    def tempered(self, temperature: float) -> Dice:
        """With the weight w / ``temperature``."""
        return replace(self, weight=self.weight / temperature)
