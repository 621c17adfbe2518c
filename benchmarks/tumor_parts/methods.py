"""Ways to find the parameters of a tumor from its masks, each with at most 600 solves.

Solves are counted one by one; a gradient counts as two more. After each solve the overlap of what
it predicts with data and truth is noted, so that no method is asked for more than it does.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pdeinv.bayes.posterior import Posterior
from pdeinv.bayes.prior import cost, whiten
from pdeinv.engines.base import Engine
from pdeinv.engines.cma import Cma, CmaConfig
from pdeinv.engines.database.config import DatabaseConfig
from pdeinv.engines.database.engine import Database
from pdeinv.engines.eki import Eki, EkiConfig
from pdeinv.engines.gaussian.map import Map, MapConfig
from pdeinv.engines.requests import Curvature, Linearize, Misfit, Steps, advance, answered
from pdeinv.errors import PdeinvError, SolverDiverged
from pdeinv.rng import stream
from pdeinv.typing import Array

__all__ = ["BUDGET", "METHODS", "Hunt", "Patient", "dice"]

BUDGET = 600
"""Solves."""
ENOUGH = 0.9
"""The product of both overlaps that counts as found."""
THRESHOLDS = 0.25, 0.675
"""Of whole tumor and core, where a published method takes them for known."""
FLOOR = 1e-7
LOW, HIGH = np.array([1e-4, 1e-3, 0.0, 0.0, 0.0]), np.array([0.225, 3.0, 1.0, 1.0, 1.0])
"""Bounds of D (cm²/d), ρ (1/d) and the seed (parts of the box) of the published search."""
STARTED = 1e-3
"""D and ρ where it begins."""


def dice(a: Array, b: Array) -> float:
    """Of two masks."""
    return float(2 * np.sum(a & b) / max(int(np.sum(a) + np.sum(b)), 1))


@dataclass(frozen=True)
class Patient:
    """What the methods are given.

    Attributes:
        number: of the random numbers.
        posterior: of the masks; with ``simulations`` and ``estimate``.
        region: of each datum, from 1.
        truth: true masks at the same places, which no method sees.
        centre: middle of the whole tumor in its mask, mm.
        box: edge of the box, mm.
        ridge: the estimate of a linear regression, shape (dim,).
    """

    number: int
    posterior: Posterior
    region: Array
    truth: Array
    centre: Array
    box: float
    ridge: Array

    def overlap(self, z: Array, seen: Array) -> tuple[float, float]:
        """Dice of whole tumor and core of a prediction z."""
        one, two = (self.region == k for k in (1, 2))
        return dice(z[one] > 0, seen[one] > 0.5), dice(z[two] > 0, seen[two] > 0.5)


@dataclass
class Hunt:
    """What a search has spent and found.

    Attributes:
        who: whose masks.
        solves: forward solves and twice the gradients.
        best: the lowest objective so far and where.
        found: solves until the overlaps' product was enough, with truth and with data.
        moved: whether any solve gave a lower objective than the first.
    """

    who: Patient
    solves: int = 0
    best: tuple[float, Array] = (np.inf, np.zeros(0))
    found: dict[str, int] = field(default_factory=dict)
    first: float = np.nan

    @property
    def spent(self) -> bool:
        """Whether nothing is left of the budget."""
        return self.solves >= BUDGET

    def note(self, m: Array, z: Array, objective: float) -> None:
        """One more solve."""
        self.solves += 1
        if self.solves > BUDGET:
            return
        self.first = objective if np.isnan(self.first) else self.first
        if objective < self.best[0]:
            self.best = objective, m
        for name, seen in (("truth", self.who.truth), ("data", self.who.posterior.data)):
            if name not in self.found and np.prod(self.who.overlap(z, seen)) >= ENOUGH:
                self.found[name] = self.solves

    def answers(self, request: Any) -> Any:
        """To an engine's request, solved one by one and noted."""
        on = self.who.posterior
        if isinstance(request, Misfit):
            xis = np.atleast_2d(request.xi)
            z = np.atleast_2d(on.predict(xis))
            misfit = on.misfit_of(z)
            for row in zip(xis, z, misfit, strict=True):
                self._noted(*row)
            return misfit if request.xi.ndim == 2 else misfit[0]
        found = answered(on, request)
        if isinstance(request, Linearize):
            if not isinstance(found, SolverDiverged):
                self._noted(request.xi, on.predict(request.xi), found.misfit)
            self.solves += 2
            return found
        if isinstance(request, Curvature):  # of the Gaussian about an end, no part of the search
            return found
        for row in zip(np.atleast_2d(request.xi), np.atleast_2d(found), strict=True):
            self._noted(*row, float(on.misfit_of(row[1])))
        return found

    def _noted(self, xi: Array, z: Array, misfit: float) -> None:
        self.note(self.who.posterior.prior.unwhiten(xi), z, float(misfit + cost(xi)))

    def drive(self, steps: Steps[Any]) -> Any:
        """What ``steps`` return; None where the budget ends them."""
        found = None
        try:
            while not self.spent:
                found = self.answers(advance(steps, found))
        except StopIteration as end:
            return end.value
        return None

    def run(self, engine: Engine[Any], start: Steps[Any] | None = None) -> None:
        """An engine to its end or that of the budget."""
        rng = stream(self.who.number, engine.name)
        state = self.drive(start or engine.init(self.who.posterior, rng))
        n = 0
        while state is not None and not engine.finished(state) and n < engine.n_steps:
            state = self.drive(engine.step(self.who.posterior, state, rng))
            n += 1


def published(hunt: Hunt) -> None:
    """CMA-ES in D, ρ and seed, population 8, σ₀ 0.02, from D = ρ = 0.001 and the oedema's centre.

    Score: ln Dice of both masks, thresholds known; bounds by clipping.
    """
    import cma

    who, rng = hunt.who, np.random.default_rng(hunt.who.number)
    start = np.concatenate([[STARTED, STARTED], who.centre / who.box])
    options = {"popsize": 8, "verbose": -9, "seed": 0,
               "randn": lambda *shape: rng.standard_normal(shape)}  # fmt: skip
    strategy = cma.CMAEvolutionStrategy(start, 0.02, options)
    model: Any = who.posterior.model
    while not hunt.spent and not strategy.stop():
        asked, heights = strategy.ask(), []
        for u in asked:
            v = np.clip(u, LOW, HIGH)
            m = np.concatenate([[100 * v[0], v[1]], v[2:] * who.box, THRESHOLDS])
            z = model.model(m)
            score = np.log(np.add(who.overlap(z, who.posterior.data), FLOOR)).sum()
            hunt.note(m, z, -float(score))
            heights.append(-float(score))
        strategy.tell(asked, heights)


def _centred(who: Patient) -> Array:
    """ξ of the prior's medians with the seed at the oedema's centre."""
    prior = who.posterior.prior
    m = prior.unwhiten(np.zeros(prior.dim))
    m[2:5] = who.centre
    return whiten(prior, m[None])[0]


def fair(hunt: Hunt) -> None:
    """Engine ``cma`` on ln D, ln ρ, seed and thresholds with bounds, from the oedema's centre.

    First steps are 0.5 of the prior's deviations: for a uniform one 0.2 of its width.
    """
    engine = Cma(CmaConfig(searches=1, population=8, start="mean"))
    rng = stream(hunt.who.number, "fair")
    hunt.run(engine, engine.init(hunt.who.posterior, rng, _centred(hunt.who)))


def learned(hunt: Hunt) -> None:
    """Engine ``cma`` from the learned inverse, with its spread as first steps."""
    hunt.run(Cma(CmaConfig(searches=1, population=8)))


def searched(hunt: Hunt, refine: str) -> None:
    """Engine ``database``."""
    hunt.run(Database(DatabaseConfig(simulations=Path("held"), refine=refine, starts=1)))


def regressed(hunt: Hunt) -> None:
    """The estimate of a ridge regression on moments of the masks."""
    hunt.answers(Misfit(hunt.who.ridge))


def most_probable(hunt: Hunt, start: str | None) -> None:
    """Engine ``map``, one search from the prior mean or from the learned inverse."""
    hunt.run(Map(MapConfig(starts=1, start=start)))


def ensemble(hunt: Hunt) -> None:
    """Engine ``eki`` with 60 members."""
    hunt.run(Eki(EkiConfig(ensemble_size=60)))


METHODS: dict[str, Callable[[Hunt], None]] = {
    "CMA-ES as published": published,
    "CMA-ES fair": fair,
    "database": lambda hunt: searched(hunt, "none"),
    "database, refined": lambda hunt: searched(hunt, "local"),
    "ridge on moments": regressed,
    "learned start, CMA-ES": learned,
    "MAP": lambda hunt: most_probable(hunt, "mean"),
    "learned start, MAP": lambda hunt: most_probable(hunt, None),
    "EKI": ensemble,
}


def judged(name: str, who: Patient, m: Array) -> dict[str, Any]:
    """One row: cost, overlap and errors of a method for a patient.

    Args:
        name: of the method.
        who: the patient.
        m: the truth.
    """
    hunt, began = Hunt(who), time.process_time()
    try:
        METHODS[name](hunt)
    except PdeinvError as error:
        return {"failed": str(error).splitlines()[0], "solves": BUDGET}
    cpu = time.process_time() - began
    found = hunt.best[1]
    if not len(found):
        return {"failed": "nothing found", "solves": BUDGET}
    z = np.asarray(who.posterior.model.model(found))  # type: ignore[attr-defined]
    return {
        "solves": min(hunt.solves, BUDGET),
        "cpu_seconds": round(cpu, 2),
        "dice_truth": who.overlap(z, who.truth),
        "dice_data": who.overlap(z, who.posterior.data),
        "found": hunt.found,
        "moved": bool(hunt.best[0] < hunt.first),
        "error": [*np.log(found[:2] / m[:2]).tolist(), *(found[2:5] - m[2:5]).tolist()],
    }
