"""The test of a surrogate in one round of its training, and the file that keeps all of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pdeinv.bayes.surrogate_limits import REJECT_SD
from pdeinv.io.atomic import write_text
from pdeinv.jobs.two_level.admission import Difference
from pdeinv.jobs.two_level.explorers import Agreement

__all__ = ["Trial", "keep_tests"]

TESTS = "tests.json"
"""In the run folder: what each test of a surrogate found, the last one last."""


def keep_tests(folder: Path, entries: Sequence[Mapping[str, float | bool]]) -> None:
    """Write them for those who look at the run folder meanwhile."""
    write_text(folder / TESTS, json.dumps(list(entries)))


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

    @property
    def telling(self) -> bool:
        """Whether its draws tell how to move on the next surrogate too."""
        return self.passed(REJECT_SD)

    def entry(self, target: float) -> dict[str, float | bool]:
        """For the file of tests."""
        return {"pairs": self.pairs, "sd": self.difference.sd, "mean": self.difference.mean,
                "r_hat": self.agreement.r_hat, "passed": self.passed(target)}  # fmt: skip

    def figures(self) -> dict[str, float]:
        """For the result's attributes."""
        return {
            "explorers_r_hat": self.agreement.r_hat,
            "explorers_agreed": float(self.agreement.reached),
            "explorers_iact": self.agreement.iact,
        }
