"""From what an engine found to a result file: predictive draws, diagnostics, costs, provenance.

The layout is that of ArviZ: groups of an ``xarray.DataTree``, readable without pdeinv.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pdeinv.bayes.misfits import noise_behind
from pdeinv.bayes.posterior import Counters, Posterior, xi_space
from pdeinv.bayes.prior import Prior, sample
from pdeinv.engines.base import Need, Outcome, Produces
from pdeinv.engines.run.driver import RunResult
from pdeinv.io.kinds import kind_attrs
from pdeinv.io.likelihoods import likelihood_attrs
from pdeinv.io.observations import Observations
from pdeinv.jobs.foreseen import Foreseen
from pdeinv.jobs.invert.derived import derived_draws
from pdeinv.jobs.invert.estimated_start import told_of_start
from pdeinv.jobs.invert.far import far_from_prior
from pdeinv.jobs.invert.labels import labelled
from pdeinv.jobs.invert.predictive import Predictive, predicted
from pdeinv.jobs.invert.prior_map import map_formula, map_group
from pdeinv.jobs.invert.request import Inversion
from pdeinv.jobs.invert.verdict import judged
from pdeinv.jobs.two_level.admission import SurrogateReport, trusted
from pdeinv.model.spaces import Space
from pdeinv.plugins.hooks import derived, fixtures
from pdeinv.plugins.mask import masks
from pdeinv.provenance import attributes
from pdeinv.rng import stream
from pdeinv.typing import Array

__all__ = ["ResultParts", "conclude", "estimates", "result_tree"]


def conclude(
    inversion: Inversion,
    posterior: Posterior,
    result: RunResult,
    surrogate: SurrogateReport,
    verified: Mapping[str, float],
    before: Foreseen | None,
) -> xr.DataTree:
    """All groups of the result file.

    Args:
        inversion: what was asked for.
        posterior: what the engine worked on; solved once for each predictive draw.
        result: what the engine found.
        surrogate: the surrogate, what it cost and what is said of it.
        verified: figures of the derivative tests.
        before: what the learned prior had foreseen, where there is one.
    """
    counters = Counters()
    posterior.charge(counters)
    predictive = predicted(posterior, result.outcome, stream(inversion.seed, "predictive"))
    interest = derived(inversion.problem, inversion.run.level)
    groups, cost = derived_draws(interest, posterior.prior, result.outcome, predictive)
    for part in (result.counters, surrogate.counters, cost):
        counters.add(part)
    outcome = judged(posterior, result.outcome, inversion.engine.produces, predictive)
    outcome = trusted(outcome, surrogate)
    if Need.ESTIMATE not in inversion.engine.needs:
        outcome = told_of_start(outcome, posterior.estimate)
    if before is None:
        remark = far_from_prior(posterior.prior, outcome.xi)
    else:
        remark, outcome = before.remark, before.told(outcome)
        counters.add(before.counters)
    said = (outcome.message, outcome.note, remark, surrogate.advice)
    outcome = replace(outcome, message="; ".join(text for text in said if text))
    attrs = {
        **attributes(inversion.resolved(), inversion.seed, inversion.sources),
        **{f"pdeinv_{k}": v for k, v in counters.as_dict().items()},
        "pdeinv_n_forward_training": surrogate.counters.n_forward,
        "pdeinv_n_tangent_training": surrogate.counters.n_tangent,
        "pdeinv_n_adjoint_training": surrogate.counters.n_adjoint,
        "pdeinv_n_forward_predictive": predictive.size + _weighed(outcome) + cost.n_forward,
        "pdeinv_notes": "\n".join(inversion.notes),
        "pdeinv_problem": inversion.problem.name,
        "pdeinv_engine": inversion.engine.name,
        "pdeinv_seconds": result.seconds + surrogate.seconds,
        "pdeinv_cpu_seconds": result.cpu_seconds + surrogate.cpu_seconds,
        "pdeinv_seconds_training": surrogate.seconds,
        "pdeinv_cpu_seconds_training": surrogate.cpu_seconds,
        **verified,
        **{f"pdeinv_{k}": v for k, v in surrogate.figures.items()},
    }
    parts = ResultParts(
        posterior.prior,
        outcome,
        inversion.engine.produces,
        inversion.observations,
        predictive,
        _prior_draws(posterior.prior, stream(inversion.seed, "prior"), before),
        attrs,
        masks(inversion.problem, posterior.prior.space),
        fixtures(inversion.problem),
        groups,
    )
    return result_tree(parts)


def _weighed(outcome: Outcome) -> int:
    """Draws that were solved for the verdict alone."""
    return 0 if outcome.further is None else len(outcome.further[0])


def _prior_draws(prior: Prior, rng: np.random.Generator, before: Foreseen | None) -> Array:
    """Draws of the unknown from the prior that was inverted with, a learned one included."""
    return sample(prior, rng, PRIOR_DRAWS) if before is None else prior.unwhiten(before.draws)


PRIOR_DRAWS = 200
"""Of the group ``prior``; of a learned law there are those that its data are foreseen of."""

MAX_STORED = 4_000_000
"""How many numbers of the unknown the ``posterior`` group holds at most; xi is stored whole."""

Index = NDArray[np.int64]

LEAD = ("chain", "draw")


@dataclass(frozen=True)
class ResultParts:
    """What a result file is made of.

    Attributes:
        prior: maps xi to the unknown.
        outcome: the engine's outcome.
        produces: what the engine claims its draws to be.
        observations: the data that were inverted.
        predictive: what some of the draws predict.
        prior_draws: (draw, n_m) prior draws of the unknown.
        attrs: provenance and summary attributes.
        inside: which nodes of the unknown lie in the body, for ``estimates``.
        fixtures: electrodes and the like, for ``constant_data``.
        derived: the group of quantities of interest, where there are any.
    """

    prior: Prior
    outcome: Outcome
    produces: Produces
    observations: Observations
    predictive: Predictive
    prior_draws: Array
    attrs: Mapping[str, Any]
    inside: xr.Dataset = field(default_factory=xr.Dataset)
    fixtures: xr.Dataset = field(default_factory=xr.Dataset)
    derived: Mapping[str, xr.Dataset] = field(default_factory=dict)


def _labelled(space: Space, flat: Array, draws: Index | None = None) -> xr.Dataset:
    """(chain, draw, size) numbers as a dataset with chain and draw coordinates."""
    dataset = space.unpack(flat, LEAD)
    numbers = np.arange(flat.shape[1]) if draws is None else draws
    return dataset.assign_coords(chain=np.arange(flat.shape[0]), draw=numbers)


def _batches(prior: Prior, outcome: Outcome, size: int = 512) -> Iterator[Array]:
    """The unknown of all draws, (n, n_m) at a time."""
    rows = outcome.xi if outcome.m is None else outcome.m
    rows = rows.reshape(-1, rows.shape[-1])
    for i in range(0, len(rows), size):
        part = rows[i : i + size]
        yield prior.unwhiten(part) if outcome.m is None else part


def estimates(prior: Prior, outcome: Outcome) -> xr.Dataset:
    """Pointwise mean and standard deviation of the unknown over all draws."""
    total, square, n = 0.0, 0.0, 0
    shift = outcome.unknowns(prior, slice(1))[0, 0]
    for rows in _batches(prior, outcome):
        m = rows - shift
        total, square, n = total + m.sum(axis=0), square + (m**2).sum(axis=0), n + len(rows)
    mean = total / n
    std = np.sqrt(np.maximum(square / n - mean**2, 0.0) * n / max(1, n - 1))
    found = prior.space.unpack(mean + shift).rename({v: f"{v}_mean" for v in prior.space.names})
    spread = prior.space.unpack(std).rename({v: f"{v}_sd" for v in prior.space.names})
    return found.merge(spread, compat="no_conflicts")


def _posterior(parts: ResultParts) -> xr.Dataset:
    chains, draws, _ = parts.outcome.xi.shape
    room = max(1, MAX_STORED // (chains * parts.prior.space.size))
    every = max(1, -(-draws // room))
    keep = np.arange(draws)[::every]
    m = parts.outcome.unknowns(parts.prior, slice(None, None, every))
    dataset = _labelled(parts.prior.space, m, keep)
    return dataset.assign_attrs(stored_every=int(keep[1] - keep[0]) if len(keep) > 1 else 1)


def _whitened(parts: ResultParts) -> dict[str, xr.Dataset]:
    """The groups of xi and of its map to the unknown, where the outcome has one."""
    if parts.outcome.m is not None:
        return {}
    draws = _labelled(xi_space(parts.prior.dim), parts.outcome.xi)
    draws["xi"].attrs["map"] = map_formula(parts.prior)
    return {"unconstrained_posterior": draws, "prior_map": map_group(parts.prior)}


def _data(parts: ResultParts) -> xr.Dataset:
    o = parts.observations
    attrs = {"units": o.observed.units, "long_name": o.observed.long_name}
    attrs |= likelihood_attrs(o.likelihood)
    variable = xr.Variable("obs", o.values, attrs)
    return xr.Dataset({o.observed.name: variable}, {"obs": np.arange(o.size)})


def _constants(parts: ResultParts) -> xr.Dataset:
    o = parts.observations
    variables = {
        name: xr.Variable("obs", array, o.observed.attrs_of(name))
        for name, array in o.coords.items()
    }
    if o.observed.kinds:
        variables[o.observed.kind].attrs |= kind_attrs(o.observed)
    noise = noise_behind(o.likelihood)
    if noise is not None:
        variables["noise_std"] = xr.Variable("obs", noise.std, {"units": o.observed.units})
    return xr.Dataset(variables, {"obs": np.arange(o.size)})


def _stats(parts: ResultParts) -> xr.Dataset:
    o = parts.outcome
    coords = {"chain": np.arange(o.xi.shape[0]), "draw": np.arange(o.xi.shape[1])}
    return xr.Dataset({k: (LEAD, v) for k, v in o.stats.items()}, coords)


def result_tree(parts: ResultParts) -> xr.DataTree:
    """All groups of a result file; the root holds the attributes.

    Groups: ``posterior``, ``unconstrained_posterior`` (xi, where the draws have one) with
    ``prior_map`` (how the unknown follows from it),
    ``sample_stats``, ``estimates`` (mean and sd over all draws), ``prior``,
    ``posterior_predictive`` (with and without noise), ``log_likelihood`` (of each datum),
    ``derived`` (quantities of interest, where the problem has some),
    ``observed_data``, ``constant_data``, ``diagnostics`` where chains are compared, and those of
    the engine.
    """
    o = parts.outcome
    groups: dict[str, xr.Dataset] = {
        "posterior": _posterior(parts),
        **_whitened(parts),
        "sample_stats": _stats(parts),
        "estimates": estimates(parts.prior, o).merge(parts.inside),
        "prior": _labelled(parts.prior.space, parts.prior_draws[None]),
        **parts.predictive.groups(parts.observations),
        **parts.derived,
        "observed_data": _data(parts),
        "constant_data": _constants(parts).merge(parts.fixtures),
        **o.groups,
    }
    root = xr.Dataset(attrs={
        **parts.attrs,
        "pdeinv_kind": "result",
        "pdeinv_produces": parts.produces,
        "pdeinv_converged": int(o.converged),
        "pdeinv_message": o.message,
        "pdeinv_summary": json.dumps({k: float(v) for k, v in o.summary.items()}),
        "inference_library": "pdeinv",
    })  # fmt: skip
    return xr.DataTree.from_dict({"/": root, **{k: labelled(v) for k, v in groups.items()}})
