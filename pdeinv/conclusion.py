"""From what an engine found to a result file: predictive draws, diagnostics, costs, provenance."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import xarray as xr

from pdeinv.admission import Refined
from pdeinv.bayes.diagnostics import summary as diagnose
from pdeinv.bayes.physical import in_unknown
from pdeinv.bayes.posterior import Counters, Posterior
from pdeinv.bayes.prior import sample
from pdeinv.body import inside_of
from pdeinv.engines.base import Outcome
from pdeinv.engines.driver import RunResult
from pdeinv.hooks import fixtures
from pdeinv.io.results import ResultParts, result_tree
from pdeinv.provenance import attributes, sha256
from pdeinv.resolved import Inversion
from pdeinv.rng import stream
from pdeinv.typing import Array

__all__ = ["conclude"]

N_PREDICTIVE = 100
"""Posterior-predictive draws in a result; each costs one solve."""


def conclude(
    inversion: Inversion,
    posterior: Posterior,
    result: RunResult,
    refined: Refined,
    verified: Mapping[str, float],
) -> xr.DataTree:
    """All groups of the result file.

    Args:
        inversion: what was asked for.
        posterior: what the engine worked on; solved once for each predictive draw.
        result: what the engine found.
        refined: the surrogate, what it cost and what is said of it.
        verified: figures of the derivative tests.
    """
    counters = Counters()
    posterior.charge(counters)
    predictive = _predictive(posterior, result.outcome, stream(inversion.seed, "predictive"))
    for part in (result.counters, refined.counters):
        counters.add(part)
    outcome, checks = _judged(inversion, result)
    attrs = {
        **attributes(inversion.resolved(), inversion.seed, _inputs(inversion)),
        **{f"pdeinv_{k}": v for k, v in counters.as_dict().items()},
        "pdeinv_n_forward_training": refined.counters.n_forward,
        "pdeinv_n_tangent_training": refined.counters.n_tangent,
        "pdeinv_n_adjoint_training": refined.counters.n_adjoint,
        "pdeinv_n_forward_predictive": len(predictive),
        "pdeinv_problem": inversion.problem.name,
        "pdeinv_engine": inversion.engine.name,
        "pdeinv_seconds": result.seconds,
        **verified,
        **{f"pdeinv_{k}": v for k, v in refined.report.items()},
    }
    parts = ResultParts(
        posterior.prior,
        replace(outcome, summary={**outcome.summary, **checks}),
        inversion.engine.produces,
        inversion.observations,
        predictive,
        sample(posterior.prior, stream(inversion.seed, "prior"), 200),
        attrs,
        inside_of(inversion.problem, posterior.prior.space),
        fixtures(inversion.problem),
    )
    return result_tree(parts)


def _predictive(posterior: Posterior, outcome: Outcome, rng: np.random.Generator) -> Array:
    """Data with noise at evenly spaced draws, shape (draw, n_d); one solve each."""
    if outcome.m is None:
        source, points = posterior, outcome.xi.reshape(-1, posterior.dim)
    else:
        source = in_unknown(posterior, "the result")
        points = outcome.m.reshape(-1, source.dim)
    n = min(N_PREDICTIVE, len(points))
    chosen = points[np.unique(np.linspace(0, len(points) - 1, n).astype(int))]
    return source.predict(chosen) + posterior.noise.sample(rng, len(chosen))


def _judged(inversion: Inversion, result: RunResult) -> tuple[Outcome, dict[str, float]]:
    """The outcome with its diagnostics, where R-hat means something."""
    outcome = result.outcome
    if inversion.engine.produces != "posterior" or not outcome.independent_chains:
        return outcome, {}
    found = diagnose(outcome.xi)
    verdict = found.verdict
    if not outcome.converged:  # the engine, or a budget, has something to say as well
        figures = verdict.removeprefix("not ").removeprefix("converged: ")
        verdict = f"not converged: {outcome.message}; {figures}"
    checks = {"r_hat": found.r_hat, "ess_bulk": found.ess_bulk, "ess_tail": found.ess_tail}
    return (
        replace(outcome, converged=outcome.converged and found.converged, message=verdict),
        {k: v for k, v in checks.items() if math.isfinite(v)},
    )


def _inputs(inversion: Inversion) -> dict[str, str]:
    inputs = dict([inversion.observations.source] if inversion.observations.source else [])
    if inversion.surrogate_path is not None:
        inputs[inversion.surrogate_path.name] = sha256(inversion.surrogate_path)
    return inputs
