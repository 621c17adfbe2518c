"""What a search among simulations found, in words, numbers and groups of the result file."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pdeinv.bayes.posterior import Posterior
from pdeinv.engines.base import Outcome
from pdeinv.engines.database.hits import Hits
from pdeinv.engines.ended import Ended
from pdeinv.typing import Array

__all__ = ["Before", "best_hit", "refined"]


@dataclass(frozen=True)
class Before:
    """The simulations, before any refinement.

    Attributes:
        hits: the best of them.
        done: how many were compared.
        total: how many there are.
        where: the file that they are in, in words; empty where they were made by the run.
    """

    hits: Hits
    done: int
    total: int
    where: str

    @classmethod
    def of(cls, hits: Hits, done: int, total: int, on: Posterior) -> Before:
        """Those of a posterior."""
        where = "" if on.simulations is None else f" in {on.simulations.name}"
        return cls(hits, done, total, where)

    @property
    def words(self) -> str:
        """What they gave, for the start of a sentence."""
        n = f"{self.done} of {self.total}" if self.done < self.total else str(self.total)
        return f"the best of {n} simulations{self.where} has objective {self.hits.objective[0]:.4g}"

    @property
    def summary(self) -> dict[str, float]:
        """The numbers that describe them."""
        best = float(self.hits.objective[0])
        return {"simulations": float(self.done), "objective_simulated": best}


def best_hit(before: Before, complete: bool, on: Posterior) -> Outcome:
    """The best simulation as it is; a budget may have ended the run before all were compared."""
    hits, ended = before.hits, Ended.UNREFINED if complete else Ended.CUT
    misfit, objective = float(hits.misfit[0]), float(hits.objective[0])
    return Outcome(
        xi=hits.xi[None, :1],
        stats={"misfit": np.array([[misfit]]), "lp": np.array([[-objective]])},
        ended=ended,
        message=ended.sentence(
            f"database {ended.words}: {before.words}, misfit {misfit:.4g} for {on.n_data} data "
            f"({on.likelihood.expectation})"
        ),
        summary={**before.summary, "misfit": misfit, "misfit_per_datum": misfit / on.n_counting},
        groups={"hits": hits.group(on.prior)},
    )


def refined(before: Before, after: Outcome, on: Posterior) -> Outcome:
    """What the refinement found, by its own verdict, beside what it began with.

    A reason why it is not converged stands first.
    """
    objective: Array = -np.asarray(after.stats["lp"])
    told = f"{before.words}, refined to {objective[0, 0]:.4g}", after.message
    return replace(
        after,
        message="; ".join(told if after.converged else reversed(told)),
        summary={**before.summary, "objective": float(objective[0, 0]), **after.summary},
        groups={**after.groups, "hits": before.hits.group(on.prior)},
    )
