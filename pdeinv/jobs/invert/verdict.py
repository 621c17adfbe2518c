"""Has a run converged? What the chains, or an approximation's own predictions, say about it.

The driver has compared the misfit with its noise by then (:mod:`pdeinv.bayes.fit`); here draws are
compared with one another, or with the posterior that they stand for.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from pdeinv.bayes.diagnostics import Diagnostics, summary
from pdeinv.bayes.importance import importance
from pdeinv.bayes.posterior import Posterior
from pdeinv.engines.base import Outcome, Produces
from pdeinv.engines.ended import Ended
from pdeinv.jobs.invert.components import component_group, xi_name
from pdeinv.jobs.invert.predictive import Predictive
from pdeinv.typing import Array

__all__ = ["judged"]

ROUNDING = 1e-6
"""Misfits that differ by no more, relatively, are the same."""


def judged(
    posterior: Posterior, outcome: Outcome, produces: Produces, predictive: Predictive
) -> Outcome:
    """The outcome with its diagnostics and the verdict that follows from them.

    Args:
        posterior: what was inverted.
        outcome: the engine's, after the driver's look at its misfit.
        produces: what the engine claims its draws to be.
        predictive: what some of the draws predict.
    """
    if produces == "posterior" and outcome.independent_chains:
        return _by_chains(posterior, outcome)
    if produces == "approximate":
        return _by_weights(posterior, outcome, predictive)
    return outcome


def _by_chains(posterior: Posterior, outcome: Outcome) -> Outcome:
    """R-hat of every xi and of the misfit, effective sample sizes of every xi."""
    found = _diagnosed(posterior, outcome)
    verdict = found.verdict
    if not outcome.converged:  # the engine, a budget or the misfit has something to say as well
        figures = verdict.removeprefix("not ").removeprefix("converged: ")
        verdict = f"not converged: {outcome.message}; {figures}"
    elif not found.converged:
        outcome = replace(outcome, ended=Ended.UNMIXED)
    checks = {"r_hat": found.r_hat, "ess_bulk": found.ess_bulk, "ess_tail": found.ess_tail}
    told = {k: v for k, v in checks.items() if math.isfinite(v)}
    group = component_group(posterior.prior, outcome, found.each)
    return replace(
        outcome,
        message=verdict,
        summary={**outcome.summary, **told},
        groups={**outcome.groups, "diagnostics": group},
    )


def _diagnosed(posterior: Posterior, outcome: Outcome) -> Diagnostics:
    misfit = outcome.stats["misfit"]
    told = bool(np.isfinite(misfit).all()) and np.ptp(misfit) > 0
    also = misfit[..., None] if told else None
    return summary(outcome.xi, also=also, named=xi_name(posterior.prior))


def _by_weights(posterior: Posterior, outcome: Outcome, predictive: Predictive) -> Outcome:
    """Whether the draws, weighted by the misfits that the model gives them, stay as they are.

    An engine that solved for its draws says the same misfits: all weights are alike, whatever
    density the draws have, and nothing is told.
    """
    said, true = _misfits(posterior, outcome, predictive)
    if not outcome.approximated and np.allclose(said, true, rtol=ROUNDING, atol=ROUNDING):
        return outcome
    found = importance((said - true).ravel())
    told = {"effective_share": found.effective, "pareto_k": found.pareto_k}
    outcome = replace(outcome, summary={**outcome.summary, **told})
    if found.holds:
        return outcome
    if not outcome.converged:  # one reason more, behind the first
        first, mark, rest = outcome.message.partition("; ")
        return replace(outcome, message=f"{first}; {found.sentence()}{mark}{rest}")
    why = Ended.NOT_GAUSSIAN.sentence(found.sentence())
    return replace(outcome, ended=Ended.NOT_GAUSSIAN, message=f"{why}; {outcome.message}")


def _misfits(posterior: Posterior, outcome: Outcome, predictive: Predictive) -> tuple[Array, Array]:
    """Of the draws that are weighed: misfits as the engine says them, and as the model does."""
    if outcome.further is None:
        said = predictive.of(outcome.stats["misfit"])
        return said, posterior.misfit_of(predictive.clean)
    xi, said = outcome.further
    return said, posterior.misfit_of(posterior.predict(xi))
