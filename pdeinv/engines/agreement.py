"""Do several searches for one minimum agree, or may a lower one be unseen?

A search that has ended is at a minimum of its own, whatever the others found. That the best of them
is the lowest of all is only seen where others end as low: where it is the only one at its height,
and most of the others ended alone as well, the next search is likelier than not to find a minimum
that is not known yet, and nothing says that it is not lower.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pdeinv.bayes.fit import LARGEST_SHIFT
from pdeinv.engines.base import Outcome
from pdeinv.engines.ended import Ended
from pdeinv.typing import Array

__all__ = ["Agreement"]

UNSEEN = 0.5
"""Where more of the searches ended alone, the next one is likelier than not to find another
minimum (Good 1953: the share of what was seen once estimates that of what was not seen)."""

LIKE = LARGEST_SHIFT**2 / 2
"""Heights that differ by no more are the same: a most probable unknown is right within so much."""


@dataclass(frozen=True)
class Agreement:
    """What the ends of searches say of one another.

    Attributes:
        ended: how many searches ended at a minimum.
        alone: how many of these have no other at their height.
        best_alone: whether the lowest has none.
    """

    ended: int
    alone: int
    best_alone: bool

    @classmethod
    def of(cls, heights: Array) -> Agreement:
        """Of J where each search ended, shape (k,); those that ended at no minimum are left out."""
        apart = np.diff(np.sort(heights)) > LIKE
        alone = np.append(True, apart) & np.append(apart, True) if len(heights) else apart
        return cls(len(heights), int(alone.sum()), bool(alone[:1].any()))

    @property
    def scattered(self) -> bool:
        """Whether most of several searches ended alone."""
        return self.ended > 1 and self.alone > UNSEEN * self.ended

    @property
    def doubtful(self) -> bool:
        """Whether the best is one of these."""
        return self.scattered and self.best_alone

    @property
    def words(self) -> str:
        """How many ended alone."""
        whole = "all" if self.alone == self.ended else f"{self.alone} of"
        return f"{whole} {self.ended} searches that ended at a minimum are at a height of their own"

    def judged(self, outcome: Outcome) -> Outcome:
        """The outcome, not converged where it would be and the best is doubtful."""
        if not (outcome.converged and self.doubtful):
            return outcome
        why = Ended.ALONE.sentence(f"{self.words}, the best one among them")
        return replace(outcome, ended=Ended.ALONE, message=f"{why}; {outcome.message}")
