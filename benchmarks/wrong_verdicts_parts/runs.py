"""Runs that are known to fail, and controls that are not; and what makes an answer right."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import xarray as xr

__all__ = ["CASES", "Asked", "judged"]

Kind = Literal["posterior", "approximate", "mode", "fit"]


@dataclass(frozen=True)
class Asked:
    """An engine with options on a problem.

    ``control`` where it should converge and be right; ``blind`` where it is wrong by a mode that
    no chain or start has visited, which nothing in the run can show.
    """

    engine: str
    problem: str
    options: dict[str, Any] = field(default_factory=dict)
    control: bool = False
    blind: bool = False

    @property
    def key(self) -> str:
        """What its results are stored under."""
        told = ", ".join(f"{k} {v}" for k, v in self.options.items())
        return f"{self.engine} | {self.problem} | {told or 'defaults'}"

    @property
    def kind(self) -> Kind:
        """What its answer is compared with."""
        return KINDS[self.engine]


KINDS: dict[str, Kind] = {
    "eki": "approximate", "laplace": "approximate", "emcee": "posterior", "pcn": "posterior",
    "map": "mode", "cma": "mode", "database": "mode", "pinn": "mode", "gauss-newton": "fit",
}  # fmt: skip

LIMITS = {"posterior": (0.3, 1.5), "approximate": (1.0, 2.0), "mode": (1.0, np.inf)}
"""How far a mean may be off in posterior standard deviations, and a spread by which factor."""

SLACK = 0.5
"""By how much Φ + R of a mode may be above the lowest that is known."""

EQUAL = 1e-3
"""Another mode as low as that, its mirror image for instance, is as right."""


def judged(kind: Kind, found: xr.DataTree, reference: dict[str, Any]) -> dict[str, Any]:
    """Whether the answer is right, and by how much it is off."""
    if kind == "fit":
        ratio = (
            2 * float(found["sample_stats"]["misfit"].mean()) / found["observed_data"].sizes["obs"]
        )
        return {"off": ratio, "right": bool(ratio <= 2)}
    xi = found["unconstrained_posterior"]["xi"].values
    xi = xi.reshape(-1, xi.shape[-1])
    mean, sd = np.array(reference["mean"]), np.array(reference["sd"])
    shift, factor = LIMITS[kind]
    off = float(np.max(np.abs(xi.mean(axis=0) - mean) / sd))
    right = off <= shift
    if kind == "mode":
        above = -float(found["sample_stats"]["lp"].item()) - reference["objective"]
        right = above <= (SLACK if right else EQUAL)
        return {"off": off, "above": above, "right": bool(right)}
    ratio = xi.std(axis=0) / sd
    wide = float(np.max(np.maximum(ratio, 1 / np.maximum(ratio, 1e-12))))
    return {"off": off, "factor": wide, "right": bool(right and wide <= factor)}


UNEVEN, HEAVY = "Darcy, 5 x 3 uneven cells, ln-sd 2", "Darcy, 2 x 2 cells, ln-sd 2, 20 % noise"
NOSER = {"positivity": "log"}
BRIEF = {"adam_steps": 50, "newton_steps": 40, "settle": 10.0}

CASES = (
    Asked("eki", "Darcy, 6 modes", {"ensemble_size": 5}),
    Asked("eki", "Darcy, 6 modes", {"ensemble_size": 10}),
    Asked("eki", "Darcy, 16 modes", {"ensemble_size": 40}),
    Asked("eki", "Darcy, 7 x 7 cells", {"ensemble_size": 100}),
    Asked("eki", "banana"),
    Asked("eki", "waves"),
    Asked("eki", "two modes"),
    Asked("eki", "Darcy, 6 modes", {"ensemble_size": 400}, control=True),
    Asked("emcee", "Darcy, 5 x 4 cells", {"draws": 200, "warmup": 100}),
    Asked("emcee", "Darcy, 5 x 4 cells", {"draws": 400, "warmup": 50, "moves": "stretch"}),
    Asked("emcee", "Darcy, 6 modes", {"draws": 100, "warmup": 0, "spread": 0.01}),
    Asked("emcee", "two modes", {"draws": 300, "moves": "stretch"}),
    Asked("emcee", "waves", {"draws": 1000}),
    Asked("emcee", "Darcy, 2 x 2 cells", {"draws": 3000}, control=True),
    Asked("pcn", "Darcy, 7 x 7 cells", {"draws": 2000, "warmup": 500}),
    Asked("pcn", "Darcy, 16 modes", {"draws": 4000, "warmup": 1000}),
    Asked("pcn", "Darcy, 6 modes", {"draws": 1000, "warmup": 0, "beta": 1.0}),
    Asked("pcn", "waves", {"draws": 4000, "warmup": 1000}),
    Asked("pcn", "two modes", {"draws": 4000, "warmup": 1000}, blind=True),
    Asked("pcn", HEAVY, control=True),
    Asked("laplace", HEAVY),
    Asked("laplace", "banana"),
    Asked("laplace", "Darcy, 16 modes, ln-sd 2"),
    Asked("laplace", "Darcy, 7 x 7 cells"),
    Asked("laplace", "two modes"),
    Asked("laplace", "waves", {"start": "prior"}),
    Asked("laplace", "two modes", {"start": "prior"}, blind=True),
    Asked("laplace", "Darcy, 6 modes", control=True),
    Asked("map", "Darcy, 16 modes, ln-sd 2"),
    Asked("map", "Darcy, 16 modes, 0.01 % noise", {"tolerance": 1e-2}),
    Asked("map", "waves"),
    Asked("map", "waves", {"start": "prior"}),
    Asked("map", "waves", {"start": "prior", "method": "lbfgs"}),
    Asked("map", "Darcy, 6 modes", {"method": "lbfgs", "tolerance": 0.1}),
    Asked("map", "kink"),
    Asked("map", "kink", {"method": "lbfgs"}),
    Asked("map", "two modes"),
    Asked("map", "Darcy, 6 modes", control=True),
    Asked("cma", "Darcy, 16 modes, ln-sd 2"),
    Asked("cma", "waves"),
    Asked("cma", "kink"),
    Asked("cma", "two modes"),
    Asked("cma", "two modes", {"searches": 1, "start": "prior"}),
    Asked("cma", "Darcy, 6 modes", {"tolerance": 1.0}),
    Asked("cma", "Darcy, 6 modes", control=True),
    Asked("database", "Darcy, 16 modes, ln-sd 2"),
    Asked("database", "waves"),
    Asked("database", "kink"),
    Asked("database", "two modes", {"starts": 1}),
    Asked("database", "waves", {"n": 64, "starts": 1}),
    Asked("database", "Darcy, 6 modes", {"refine": "none"}),
    Asked("database", "Darcy, 6 modes", {"refine": "cma", "max_iterations": 20}),
    Asked("database", "Darcy, 6 modes", control=True),
    Asked("gauss-newton", UNEVEN, NOSER),
    Asked("gauss-newton", UNEVEN, {**NOSER, "noser_power": 1.0}),
    Asked("gauss-newton", UNEVEN, {**NOSER, "weight": 1.0}),
    Asked("gauss-newton", UNEVEN, {**NOSER, "rule": "gcv"}),
    Asked("gauss-newton", UNEVEN, {**NOSER, "steps": 1}),
    Asked("gauss-newton", "Darcy, 9 x 9 cells", NOSER, control=True),
    Asked("pinn", "Darcy, 8 modes", BRIEF),
    Asked("pinn", "Darcy, 8 modes", {**BRIEF, "penalty": 10.0, "penalty_start": 10.0}),
    Asked("pinn", "Darcy, 8 modes", {"penalty": 100.0, "penalty_start": 100.0}),
    Asked("pinn", "Darcy, 8 modes, 10 % noise", control=True),
)
