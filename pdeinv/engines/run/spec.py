"""How to run an engine: seed, folder, workers and limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pdeinv.bayes.posterior import Counters

__all__ = ["Budget", "Run"]


@dataclass(frozen=True)
class Budget:
    """What one chain may spend; None means no limit."""

    n_forward: int | None = None
    seconds: float | None = None

    def spent(self, counters: Counters, seconds: float) -> bool:
        """Whether a limit is reached."""
        over_solves = self.n_forward is not None and counters.n_forward >= self.n_forward
        return over_solves or (self.seconds is not None and seconds >= self.seconds)


@dataclass(frozen=True)
class Run:
    """How to run an engine.

    Attributes:
        seed: root seed; chain k draws from stream ("chain", k).
        folder: where checkpoints go.
        resume: continue from the checkpoints in ``folder``; they are replaced otherwise.
        workers: processes; chains are spread over them.
        alone_first: whether the run begins in this process, and goes to the workers once it turns
            out to be long enough for them.
        budget: limits of one chain.
        checkpoint_seconds: time between checkpoints.
        tag: what else decides the numbers, by name, so that another run's checkpoint is refused.
        stop: the file that asks to stop; ``STOP`` in ``folder`` where None.
    """

    seed: int
    folder: Path
    resume: bool = False
    workers: int = 1
    alone_first: bool = False
    budget: Budget = field(default_factory=Budget)
    checkpoint_seconds: float = 30.0
    tag: Mapping[str, Any] = field(default_factory=dict)
    stop: Path | None = None

    @property
    def stop_file(self) -> Path:
        """Chains that see this file save and stop."""
        return self.stop or self.folder / "STOP"
