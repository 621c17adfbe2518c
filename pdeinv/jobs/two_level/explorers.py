"""Independent explorers of a cheap posterior, and whether they found the same one.

Each starts from a prior draw of its own (:mod:`pdeinv.engines.mcmc.explorer`). Two of them in
different modes, or one in a mode that a surrogate invents, show as a large R-hat; more moves are
made before that is believed, since slow mixing looks the same and moves cost no fine solves.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from pdeinv.bayes.counters import Counters
from pdeinv.bayes.diagnostics import summary
from pdeinv.bayes.posterior import Posterior
from pdeinv.engines.mcmc.explorer import Explorer, ExplorerConfig
from pdeinv.engines.progress import Progress
from pdeinv.engines.run.driver import run
from pdeinv.engines.run.spec import Run
from pdeinv.errors import BudgetSpent
from pdeinv.typing import Array

__all__ = ["AGREED", "Explored", "Exploration"]

AGREED = 1.05
"""Explorers agree where R-hat is at most this in every component and in Φ."""

DOUBLINGS = 4
"""So often the moves of explorers that disagree are doubled."""

TUNING = 2
"""Moves that tune, as a multiple of the first moves that are kept."""

SEEN = 200
"""Draws that tell later chains how to move; more of them change little."""


@dataclass(frozen=True)
class Explored:
    """Draws of a cheap posterior by several explorers.

    Attributes:
        xi: shape (explorer, move, dim).
        misfit: Φ there, shape (explorer, move).
        counters: what they spent.
    """

    xi: Array
    misfit: Array
    counters: Counters

    def thinned(self, n: int) -> Array:
        """``n`` rows (n, dim), evenly from all explorers and their moves."""
        parts = np.array_split(np.arange(n), len(self.xi))
        rows = [x[_even(self.xi.shape[1], len(p))] for x, p in zip(self.xi, parts, strict=True)]
        return np.concatenate(rows)

    @property
    def seen(self) -> Array:
        """Draws for later chains to learn from, ``SEEN`` of them or all."""
        return self.thinned(min(SEEN, self.xi.shape[0] * self.xi.shape[1]))

    def agreement(self) -> Agreement:
        """R-hat and autocorrelation over the components and Φ."""
        found = summary(
            np.concatenate([self.xi, self.misfit[..., None]], axis=-1), allow_constant=True
        )
        dim, worst = self.xi.shape[-1], found.worst
        n = self.xi.shape[0] * self.xi.shape[1]
        name = "the misfit" if worst == dim else f"component {worst}"
        return Agreement(found.r_hat, name, n / found.ess_bulk)


@dataclass(frozen=True)
class Agreement:
    """Whether explorers found the same posterior.

    Attributes:
        r_hat: the largest, of every component and Φ.
        worst: where it is largest, in words.
        iact: moves per independent draw, where it is most.
    """

    r_hat: float
    worst: str
    iact: float

    @property
    def reached(self) -> bool:
        """Whether they agree; not where nothing can be told."""
        return bool(self.r_hat <= AGREED)


def _even(n: int, k: int) -> Array:
    """The last of each of ``k`` equal parts of ``n`` moves."""
    return np.linspace(n / k, n, k).astype(int) - 1 if k else np.zeros(0, dtype=int)


@dataclass(frozen=True)
class Exploration:
    """How explorers are run.

    Attributes:
        explorers: how many.
        moves: of each at first, after twice as many that tune.
        spec: seed, folder and limits; what is there is continued.
        progress: told how far they are.
    """

    explorers: int
    moves: int
    spec: Run
    progress: Progress

    def __call__(self, posterior: Posterior, spent: Callable[[], None]) -> Explored:
        """Explore until the explorers agree, or their moves were doubled four times.

        Args:
            posterior: cheap.
            spent: called where the budget ends an explorer; raises.

        Raises:
            Preempted: a stop was asked for; the explorers are saved.
            RunFailed: no starting point, or too many failed solves.
        """
        found = self._moved(posterior, self.moves, spent)
        for k in range(1, DOUBLINGS + 1):
            if found.agreement().reached:
                break
            found = self._moved(posterior, self.moves * 2**k, spent)
        return found

    def _moved(self, posterior: Posterior, moves: int, spent: Callable[[], None]) -> Explored:
        config = ExplorerConfig(chains=self.explorers, draws=moves, tuning=TUNING * self.moves)
        with warnings.catch_warnings():
            # draws beyond the range of the samples so far are what explorers are for
            warnings.simplefilter("ignore", UserWarning)
            try:
                result = run(
                    Explorer(config), lambda: replace(posterior, counters=Counters()),
                    replace(self.spec, resume=True), self.progress,
                )  # fmt: skip
            except BudgetSpent:
                spent()
                raise
        if result.exhausted:
            spent()
        # an earlier process may have gone further; what is judged must not depend on that
        xi, misfit = result.outcome.xi[:, :moves], result.outcome.stats["misfit"][:, :moves]
        return Explored(xi, misfit, result.counters)
