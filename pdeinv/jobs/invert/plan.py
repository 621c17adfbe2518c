"""What an inversion would do and take, for ``--dry-run``: sizes, solves and memory."""

from __future__ import annotations

import sys
from typing import Any

from pdeinv.bayes.posterior import Posterior
from pdeinv.bayes.solve_costs import solve_costs
from pdeinv.engines.base import check_posterior, check_takes
from pdeinv.engines.requests import begin
from pdeinv.jobs.invert.denoising_costs import denoising_costs, foreseeing_costs
from pdeinv.jobs.invert.request import Inversion
from pdeinv.plugins import hooks
from pdeinv.rng import stream

__all__ = ["plan"]

TRIED = 6
"""Solves that are spent on finding out whether an engine can work on a posterior."""


def plan(inversion: Inversion) -> dict[str, Any]:
    """The plan; its models are built, and the engine is begun.

    Raises:
        PdeinvError: what the run would refuse.
    """
    inversion.require()
    inversion.check_surrogate()
    posterior, engine, problem = inversion.recipe()(), inversion.engine, inversion.problem
    trains, level = inversion.trains_surrogate, inversion.run.level
    if trains:  # the rest is there once it is trained
        check_takes(engine, posterior.likelihood)
    else:
        check_posterior(engine, posterior)
    chains, steps = engine.n_chains, engine.most_steps
    stored = chains * steps * posterior.dim * 8
    held = posterior.simulations
    peak = _predicted_peak(hooks.memory_estimate(problem, level), stored)
    _begin(inversion, posterior)
    # of all rounds, which few need
    training = {"training solves, at most": inversion.rounds_config().n_fine} if trains else {}
    return {
        "problem": problem.name,
        "engine": engine.name,
        "produces": engine.produces,
        "data": inversion.observations.size,
        "unknowns": posterior.dim,
        "dofs": problem.dofs(level),
        "chains": chains,
        "steps per chain": steps,
        **({} if held is None else {"simulations": held.size}),
        **training,
        "draws in memory (MB)": round(stored / 1e6, 1),
        **({} if peak is None else {"peak memory per process (MB)": round(peak / 1e6)}),
        **_costs(inversion, posterior),
        **foreseeing_costs(posterior),
        **denoising_costs(engine, posterior),
        "seed": inversion.seed,
    }


def _begin(inversion: Inversion, posterior: Posterior) -> None:
    """Refuse what the engine itself would; where costs are measured, also by a few solves.

    Raises:
        PdeinvError: what the engine refuses.
    """
    if not inversion.trains_surrogate:
        most = TRIED if inversion.engine.produces == "posterior" else 0
        begin(posterior, inversion.engine.init(posterior, stream(inversion.seed, "dry-run")), most)


def _costs(inversion: Inversion, posterior: Posterior) -> dict[str, float]:
    """What a solve takes, for samplers: how long they run, and whether a surrogate can pay."""
    engine = inversion.engine
    if engine.produces != "posterior":
        return {}
    return solve_costs(posterior, engine.n_chains * engine.most_steps)


def _resident_peak() -> int:
    """Bytes that this process held at most so far; 0 where the system does not tell."""
    try:
        import resource
    except ModuleNotFoundError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak) if sys.platform == "darwin" else 1024 * int(peak)


def _predicted_peak(model: int | None, stored: int) -> int | None:
    """Bytes at the peak of a run: the program with its models built, states, and stored draws.

    Args:
        model: bytes of one running model, where its problem estimates them.
        stored: bytes of what the engine keeps, counted twice since results are assembled from it.

    Returns:
        None without such an estimate.
    """
    return None if model is None else _resident_peak() + model + 2 * stored
