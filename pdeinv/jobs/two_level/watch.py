"""When a training on the way of an inversion ends early: a file STOP, or a spent budget."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pdeinv.bayes.counters import Counters
from pdeinv.engines.ended import Ended
from pdeinv.engines.run.spec import Budget
from pdeinv.errors import BudgetSpent, Preempted
from pdeinv.jobs.two_level.clock import TrainingClock

__all__ = ["Watch"]


@dataclass
class Watch:
    """Asked between the parts of a training whether it may go on.

    Attributes:
        folder: the run folder, where a file STOP asks to stop.
        budget: that of one chain; the training spends from it before the chains do.
        clock: of the training.
        counters: what the training has spent.
    """

    folder: Path
    budget: Budget
    clock: TrainingClock
    counters: Counters = field(default_factory=Counters)

    @classmethod
    def of(cls, folder: Path, budget: Budget | None = None) -> Watch:
        """Of a training that begins now, or goes on."""
        return cls(folder, budget or Budget(), TrainingClock(folder))

    @property
    def stop_file(self) -> Path:
        """The file that asks to stop."""
        return self.folder / "STOP"

    @property
    def spent_seconds(self) -> float:
        """Wall seconds of the training."""
        return self.clock.spent.wall

    def look(self) -> None:
        """Go on, or end here.

        Raises:
            Preempted: a stop was asked for; finished rounds are saved.
            BudgetSpent: the budget is spent.
        """
        if self.stop_file.exists():
            raise Preempted(f"stopped and saved in {self.folder}; continue with --resume")
        if self.budget.spent(self.counters, self.spent_seconds):
            self.out_of_budget()

    def out_of_budget(self) -> None:
        """End for want of budget.

        Raises:
            BudgetSpent: always.
        """
        raise BudgetSpent(
            f"{Ended.BUDGET.words} in training, before the first draw, after "
            f"{self.counters.n_forward} reference solves; {Ended.BUDGET.advice}"
        )

    def solves_left(self, wanted: int) -> int:
        """How many of so many reference solves the budget allows."""
        most = self.budget.n_forward
        return wanted if most is None else max(0, min(wanted, most - self.counters.n_forward))

    def of_explorers(self, n: int) -> Budget:
        """The seconds that each of ``n`` explorers, which share one process, may take."""
        most = self.budget.seconds
        return Budget() if most is None else Budget(None, max(0.0, most - self.spent_seconds) / n)

    def for_chains(self) -> Budget:
        """What the training leaves to each chain."""
        solves, seconds = self.budget.n_forward, self.budget.seconds
        return Budget(
            None if solves is None else max(0, solves - self.counters.n_forward),
            None if seconds is None else max(0.0, seconds - self.spent_seconds),
        )
