"""The test of a surrogate in one round of its training."""

from __future__ import annotations

from dataclasses import dataclass

from pdeinv.jobs.two_level.admission import Difference
from pdeinv.jobs.two_level.explorers import Agreement

__all__ = ["Trial"]


@dataclass(frozen=True)
class Trial:
    """What a round's draws say of the surrogate that they were drawn from.

    Attributes:
        pairs: how many the surrogate had learned from.
        difference: of the misfits at those draws.
        agreement: of the explorers that made them.
    """

    pairs: int
    difference: Difference
    agreement: Agreement

    def passed(self, target: float) -> bool:
        """Whether explorers agree and the difference is within an sd of ``target``."""
        return self.agreement.reached and self.difference.within(target)

    def entry(self) -> dict[str, float]:
        """For the file of tests."""
        return {"pairs": self.pairs, "sd": self.difference.sd, "mean": self.difference.mean,
                "r_hat": self.agreement.r_hat}  # fmt: skip

    def figures(self) -> dict[str, float]:
        """For the result's attributes."""
        return {
            "explorers_r_hat": self.agreement.r_hat,
            "explorers_agreed": float(self.agreement.reached),
            "explorers_iact": self.agreement.iact,
        }
