"""Which samples train, which choose the stopping point, and which measure the error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pdeinv.rng import stream

__all__ = ["Index", "Split"]

Index = NDArray[np.intp]
"""Row or column numbers."""


@dataclass(frozen=True)
class Split:
    """Row numbers by use, each sorted.

    Attributes:
        train: what is learned from; scales and the trained range come from these alone.
        valid: what chooses the stopping point, or calibrates; may be empty.
        test: what measures the held-out error; may be empty.
    """

    train: Index
    valid: Index
    test: Index

    @classmethod
    def of(cls, n: int, seed: int, share: float = 0.1) -> Split:
        """A split of ``n`` samples; ``share`` of them, at least one, for each of valid and test."""
        order = stream(seed, "split").permutation(n)
        k = max(1, round(share * n))
        return cls(np.sort(order[2 * k :]), np.sort(order[:k]), np.sort(order[k : 2 * k]))

    @classmethod
    def whole(cls, n: int) -> Split:
        """All ``n`` samples train."""
        none = np.zeros(0, dtype=np.intp)
        return cls(np.arange(n), none, none)

    def joined(self) -> Split:
        """The same where nothing needs a stopping point: those samples train as well."""
        both = np.sort(np.concatenate([self.train, self.valid]))
        return Split(both, self.valid[:0], self.test)

    @property
    def sizes(self) -> dict[str, int]:
        """The numbers of samples by use, where there are any."""
        return {use: len(rows) for use, rows in vars(self).items() if len(rows)}
