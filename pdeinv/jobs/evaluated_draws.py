"""Where a surrogate is evaluated: at draws of the posterior that it is meant for.

What a surrogate is off by at prior draws says little of an inversion: the posterior may be a small
part of the prior, and a surrogate that was trained around it knows nothing else.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pdeinv.bayes.posterior import Posterior, WhitenedModel
from pdeinv.bayes.prior import Prior
from pdeinv.engines.gaussian.approximation import laplace_at_map
from pdeinv.engines.requests import drive
from pdeinv.errors import CapabilityError, DataSchemaError, RunFailed, SolverDiverged, reason
from pdeinv.io import netcdf
from pdeinv.io.draws import whitened_draws
from pdeinv.memory import check_fits
from pdeinv.model.forward import DERIVATIVES, require
from pdeinv.plugins.case import Case
from pdeinv.plugins.problem import Problem
from pdeinv.rng import stream
from pdeinv.typing import Array

__all__ = ["check_draws", "draws_of"]


def draws_of(
    problem: Problem,
    reference: WhitenedModel,
    around: Path | None,
    case: Case | None,
    *,
    n: int,
    seed: int,
) -> dict[str, Array]:
    """``n`` draws by region, shape (n, dim) each.

    With observations alone these are draws of the Laplace approximation of their posterior, by the
    reference; with a result fresh prior draws and its own; with neither prior draws.

    Args:
        problem: whose draws they are.
        reference: its model on xi.
        around: a result file.
        case: observations of the problem.
        n: draws of each kind.
        seed: root seed.

    Raises:
        CapabilityError: the reference has no derivatives for the Laplace approximation.
        DataSchemaError: the result does not fit.
        RunFailed: no Laplace approximation was found.
    """
    dim = reference.prior.dim
    check_draws(n, dim, reference.d_space.size)
    if around is None and case is not None:
        return {"posterior": _laplace(case, reference, n, seed)}
    prior = np.empty((n, dim))
    for i, row in enumerate(prior):
        row[:] = stream(seed, "evaluate", i).standard_normal(dim)
    draws = {"prior": prior}
    if around is not None:
        found = _of_result(around, problem, reference.prior)
        pick = stream(seed, "evaluate-posterior").permutation(len(found))[:n]
        draws["posterior"] = found[np.sort(pick)]
    return draws


def check_draws(n: int, dim: int, n_data: int) -> None:
    """Refuse draws that cannot be held with their data, before the first is made.

    Args:
        n: draws of each kind.
        dim: numbers of a draw.
        n_data: data of one, by one model.

    Raises:
        ConfigError: with their size.
    """
    size = 8 * n * (dim + 2 * n_data)  # two models, or data with and without noise
    check_fits(f"n: {n} draws of {dim} unknowns", size, "lower n")


ADVICE = "give draws of the posterior with --around RESULT, a result of 'pdeinv invert'"


def _laplace(case: Case, reference: WhitenedModel, n: int, seed: int) -> Array:
    try:
        require(reference, DERIVATIVES, "the Laplace approximation of 'evaluate --obs'")
    except CapabilityError:
        raise CapabilityError(
            f"'evaluate --obs' draws from the Laplace approximation of the posterior, and this "
            f"unknown has no derivatives; {ADVICE}"
        ) from None
    observed, rng = case.observations, stream(seed, "evaluate-laplace")
    posterior = Posterior(reference.prior, reference, observed.values, observed.likelihood)
    try:
        return drive(posterior, laplace_at_map(posterior, rng)).sample(rng, n)
    except (RunFailed, SolverDiverged) as error:
        raise RunFailed(f"no Laplace approximation ({reason(error)}); {ADVICE}") from None


def _of_result(path: Path, problem: Problem, prior: Prior) -> Array:
    """All draws of a result, shape (n, dim).

    Raises:
        DataSchemaError: not a result of this problem, or one without draws.
    """
    tree = netcdf.read_tree(path)
    xi = whitened_draws(tree, path, prior)
    held = tree.attrs.get("pdeinv_problem", problem.name)
    if held != problem.name or xi.shape[1] != prior.dim:
        raise DataSchemaError(
            f"{path}: a result of problem '{held}' with {xi.shape[1]} unknowns, expected "
            f"'{problem.name}' with {prior.dim}; use a result of the same problem"
        )
    if len(xi) < 2:
        raise DataSchemaError(f"{path}: a point estimate has no draws; use another engine")
    return xi
