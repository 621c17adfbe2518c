"""Outcomes: what an engine hands back has the promised shapes, and is what it claims to be."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import numpy as np
import xarray as xr
from scipy import stats

from pdeinv.bayes.jacobian import unwhitened
from pdeinv.bayes.posterior import Posterior
from pdeinv.engines.base import Chain, Outcome
from pdeinv.engines.ended import Ended
from pdeinv.errors import CapabilityError, RunFailed, reason
from pdeinv.rng import stream
from pdeinv.typing import Array

from .clauses import Broken, Table, hold, one_line
from .engine_case import PROTOCOL, Case, example, linear, same

__all__ = ["CLAUSES"]

CLAUSES: Table[Case] = Table(PROTOCOL)

OUTCOME = "pdeinv.engines.base.Outcome"
RUNS = 8
MAX_Z = 5.0


def _shape(found: Outcome, on: Posterior, point: bool) -> None:
    chain, draw, dim = np.shape(found.xi)
    wanted = 0 if found.m is not None else on.dim
    hold(dim == wanted, f"xi has {dim} columns, expected {wanted}")
    hold(not point or (chain, draw) == (1, 1), f"a point has {chain} x {draw} draws")
    m = found.unknowns(on.prior)
    size = on.prior.space.size
    hold(m.shape == (chain, draw, size), f"draws of m have shape {m.shape}")
    hold(np.isfinite(m).all() and np.isfinite(found.xi).all(), "a draw is not finite")


@CLAUSES.clause(
    "outcome", "`finalize` gives finite draws (chain, draw, dim); a point is one",
    needs=("records",), where=OUTCOME,
)  # fmt: skip
def outcome(case: Case) -> None:
    _shape(case.outcome, case.on, case.kind.produces == "point")


@CLAUSES.clause(
    "statistics", "`stats` holds finite arrays (chain, draw) by name, `misfit` always",
    needs=("outcome",), where=OUTCOME,
)  # fmt: skip
def statistics(case: Case) -> None:
    found = case.outcome
    hold("misfit" in found.stats, f"no misfit in {sorted(found.stats)}")
    shape = (found.xi if found.m is None else found.m).shape[:2]
    for name, values in found.stats.items():
        hold(np.shape(values) == shape, f"'{name}' has shape {np.shape(values)}, expected {shape}")
        hold(np.isfinite(values).all(), f"'{name}' is not finite")


@CLAUSES.clause(
    "words", "an outcome says how it ended in one line, with numbers and datasets by name",
    needs=("outcome",), where=OUTCOME,
)  # fmt: skip
def words(case: Case) -> None:
    found = case.outcome
    hold(isinstance(found.ended, Ended), f"`ended` is {type(found.ended).__name__}")
    hold(found.message and "\n" not in found.message, f"`message` is {found.message!r}")
    bad = [k for k, v in found.summary.items() if not isinstance(v, float)]
    hold(not bad, f"no float in summary: {', '.join(bad)}")
    bad = [k for k, v in found.groups.items() if not isinstance(v, xr.Dataset)]
    hold(not bad, f"no dataset in groups: {', '.join(bad)}")
    hold(isinstance(found.independent_chains, bool), "`independent_chains` is no bool")


@CLAUSES.clause(
    "misfits", "the misfits of an outcome are those of its draws", needs=("statistics",),
    where=OUTCOME,
)  # fmt: skip
def misfits(case: Case) -> None:
    at = case.on if case.outcome.m is None else unwhitened(case.on, "the kit")
    found, said = at.misfit(case.draws()), case.outcome.stats["misfit"].ravel()
    worst = np.abs(found - said).max()
    hold(worst <= 1e-6 * (1 + np.abs(found).max()), f"they differ by {worst:.2g}")


@CLAUSES.clause(
    "finalize-pure", "`finalize` gives the same each time and leaves the chains as they are",
    needs=("outcome",),
)  # fmt: skip
def finalize_pure(case: Case) -> None:
    kept = deepcopy(case.chains)
    again = case.engine().finalize(case.on, case.chains, stream(0, "finalize"))
    hold(np.array_equal(again.xi, case.outcome.xi), "draws differ")
    hold(all(same(a.state, b.state) for a, b in zip(case.chains, kept, strict=True)),
         "a state changes")  # fmt: skip
    for a, b in zip(case.chains, kept, strict=True):
        hold(all(same(a.records[n], b.records[n]) for n in b.records), "records change")


def _ends(case: Case, on: Posterior, chains: list[Chain], what: str) -> Outcome | None:
    """The outcome, or None where the engine says in one line that there is none."""
    try:
        return case.engine().finalize(on, chains, stream(0, "finalize"))
    except RunFailed as error:
        hold(one_line(error), f"{what}: the message must be one line, got {str(error)!r}")
        return None
    except Exception as error:
        raise Broken(f"{what} gives {type(error).__name__}: {reason(error)}") from None


@CLAUSES.clause(
    "cut-short", "chains that a budget cuts short give an outcome, or RunFailed in one line",
    needs=("outcome",),
)  # fmt: skip
def cut_short(case: Case) -> None:
    for most in (0, 1):
        chains = [case.chain(k, most) for k in range(case.engine().n_chains)]
        found = _ends(case, case.on, chains, f"a run of {most} steps")
        if found is not None:
            _shape(found, case.on, case.kind.produces == "point")


@CLAUSES.clause("one-unknown", "it works where the unknown is one number", needs=("outcome",))
def one_unknown(case: Case) -> str | None:
    if case.build is not linear:
        return "tried on a problem of its own"
    alone = replace(case, build=lambda: linear(1))
    _shape(alone.outcome, alone.on, case.kind.produces == "point")
    return None


def _moments(m: Array, mean: Array) -> Array:
    """Means and, about the exact mean, second moments: unbiased for an exact engine."""
    rows, columns = np.triu_indices(len(mean))
    off = m - mean
    return np.concatenate([m.mean(axis=0), np.mean(off[:, rows] * off[:, columns], axis=0)])


@CLAUSES.clause(
    "exact", "what produces a posterior has mean and covariance of the exact one, where that "
    "is known",
    needs=("outcome",), where="pdeinv.bayes.linear_gaussian",
)  # fmt: skip
def exact(case: Case) -> str | None:
    if case.kind.produces != "posterior":
        return f"it claims a result of kind '{case.kind.produces}' only"
    mean, covariance = example().exact()
    found = []
    for seed in range(RUNS):
        run = replace(case, config=case.long or case.config, build=linear, seed=seed)
        try:
            m = run.outcome.unknowns(run.on.prior)
        except CapabilityError as no:
            return f"it refuses a linear model ({no})"
        found.append(_moments(m.reshape(-1, len(mean)), mean))
    truth = np.concatenate([mean, covariance[np.triu_indices(len(mean))]])
    error, spread = np.mean(found, axis=0) - truth, np.std(found, axis=0, ddof=1) / np.sqrt(RUNS)
    z = stats.norm.isf(stats.t.sf(np.abs(error) / np.maximum(spread, 1e-300), RUNS - 1))
    hold(z.max() < MAX_Z, f"a moment of {RUNS} runs is {z.max():.1f} standard errors off")
    return None
