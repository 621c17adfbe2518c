"""Limited-memory BFGS on arrays of fixed size, so that its memory is part of a checkpoint."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pdeinv.typing import Array

__all__ = ["Memory"]


@dataclass(frozen=True)
class Memory:
    """The last steps s and differences of gradients y, shape (memory, n), the newest last.

    ``n_pairs`` tells how many rows, counted from the end, are in use.
    """

    s: Array
    y: Array
    n_pairs: int = 0

    @classmethod
    def empty(cls, size: int, n: int) -> Memory:
        """Room for ``size`` pairs of vectors of length ``n``."""
        return cls(np.zeros((size, n)), np.zeros((size, n)))

    def descent_direction(self, gradient: Array) -> Array:
        """-H g by the two-loop recursion (Nocedal, Wright 2006, Algorithm 7.4)."""
        s, y, q, alphas = self.s, self.y, gradient.copy(), {}
        rows = range(len(s) - self.n_pairs, len(s))
        for i in reversed(rows):
            alphas[i] = (s[i] @ q) / (y[i] @ s[i])
            q -= alphas[i] * y[i]
        if self.n_pairs:
            q *= (s[-1] @ y[-1]) / (y[-1] @ y[-1])
        for i in rows:
            q += (alphas[i] - (y[i] @ q) / (y[i] @ s[i])) * s[i]
        return -q

    def remember(self, step: Array, difference: Array) -> Memory:
        """With one more pair; a pair without positive curvature is left out."""
        if not step @ difference > 1e-12 * (difference @ difference):
            return self
        n = min(self.n_pairs + 1, len(self.s))
        return Memory(np.vstack([self.s[1:], step]), np.vstack([self.y[1:], difference]), n)
