"""What a chain that learns its references keeps of the modes it is not in."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pdeinv.bayes.reference import Reference
from pdeinv.engines.mcmc.adaptation import Moments, with_directions
from pdeinv.engines.mcmc.modes import Modes
from pdeinv.typing import Array

__all__ = ["LearnedModes"]


@dataclass(frozen=True)
class LearnedModes:
    """The modes, which of them the chain is in, and the moments of its draws in the others.

    The reference and the moments of the present mode are the chain's own; those that stand here
    for it are out of date until it leaves.

    Attributes:
        modes: their Gaussians.
        at: the present mode.
        n: draws of each, shape (k,).
        mean: along the directions of each, shape (k, r).
        scatter: shape (k, r, r).
    """

    modes: Modes
    at: int
    n: Array
    mean: Array
    scatter: Array

    @classmethod
    def begun(cls, modes: Modes, first: Reference) -> LearnedModes:
        """In mode 0, whose reference is ``first``, with directions to learn along."""
        others = [with_directions(modes.reference(i)) for i in range(1, modes.count)]
        return cls._without_draws(modes.with_references([first, *others]), 0)

    @classmethod
    def _without_draws(cls, modes: Modes, at: int) -> LearnedModes:
        none, k = Moments.none(modes.reference(0)), modes.count
        mean, scatter = np.stack([none.mean] * k), np.stack([none.scatter] * k)
        return cls(modes, at, np.zeros(k, dtype=int), mean, scatter)

    def moments(self, i: int) -> Moments:
        """Those of mode i."""
        return Moments(int(self.n[i]), self.mean[i], self.scatter[i])

    def entered(self, j: int, left: Moments) -> LearnedModes:
        """In mode j, the moments of the mode that was left put away."""
        n, mean, scatter = self.n.copy(), self.mean.copy(), self.scatter.copy()
        n[self.at], mean[self.at], scatter[self.at] = left.n, left.mean, left.scatter
        return replace(self, at=j, n=n, mean=mean, scatter=scatter)

    def refined(self, present: Reference) -> LearnedModes:
        """All references moved by their moments, which begin anew; ``present`` has been moved."""
        references = [
            present if i == self.at else self.moments(i).refined(self.modes.reference(i))
            for i in range(self.modes.count)
        ]
        return self._without_draws(self.modes.with_references(references), self.at)
