"""R-hat, effective sample sizes and Monte Carlo errors of every xi and of the unknown, by place."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import xarray as xr

from pdeinv.bayes.diagnostics import Components, components
from pdeinv.bayes.fields.base import IndependentField
from pdeinv.bayes.posterior import xi_space
from pdeinv.bayes.prior import FieldPrior, Prior, ProductPrior
from pdeinv.engines.base import Outcome
from pdeinv.model.places import place
from pdeinv.model.spaces import Space
from pdeinv.typing import Array

__all__ = ["component_group", "ruled", "xi_name"]

MAX_PLACES = 400
"""Places of the unknown whose figures are stored at most; every xi has its own."""

MAX_NUMBERS = 4_000_000
"""Draws times places that are held at once for them."""

NAMES = {
    "r_hat": "rank-normalised split R-hat, below 1.01 wanted",
    "ess_bulk": "bulk effective sample size, 400 wanted",
    "ess_tail": "effective sample size of the 5 % and 95 % quantiles, 400 wanted",
    "mcse": "Monte Carlo standard error of the mean",
}


def component_group(prior: Prior, outcome: Outcome, each: Components) -> xr.Dataset:
    """The group ``diagnostics``: the figures of xi, of the misfit and of the unknown.

    A large unknown is judged at every so many-th place along each axis, see ``every``.

    Args:
        prior: maps xi to the unknown.
        outcome: draws of independent chains.
        each: the figures of xi, and of the misfit behind them where it moved.
    """
    dim, draws = prior.dim, outcome.xi.shape[0] * outcome.xi.shape[1]
    found = _figures(_numbered(xi_space(dim)), each)
    if len(each.r_hat) > dim:
        found["misfit_r_hat"] = ((), float(each.r_hat[dim]), {"units": "1"})
    chosen, every = _thinned(_numbered(prior.space), min(MAX_PLACES, MAX_NUMBERS // draws))
    kept = np.concatenate([v.values.ravel() for v in chosen.values()]).astype(np.int64)
    m = np.concatenate([prior.unwhiten(rows)[:, kept] for rows in _batches(outcome.xi)])
    figures = components(m.reshape(*outcome.xi.shape[:2], -1))
    return found.merge(_figures(chosen, figures), compat="no_conflicts").assign_attrs(every=every)


def _numbered(space: Space) -> xr.Dataset:
    """Each entry's number in the flat array, in the place of its value."""
    return space.unpack(np.arange(space.size, dtype=np.float64))


def _thinned(numbers: xr.Dataset, most: int) -> tuple[xr.Dataset, int]:
    """Every so many-th entry along each axis, so that about ``most`` are left; and how many-th."""
    size = sum(v.size for v in numbers.values())
    axes = max(1, *(v.ndim for v in numbers.values()))
    every = math.ceil((size / max(1, most)) ** (1 / axes)) if size > most else 1
    return numbers.isel({d: slice(None, None, every) for d in numbers.dims}), every


def _figures(places: xr.Dataset, each: Components) -> xr.Dataset:
    """The figures, one entry behind the other, as variables on those places."""
    found, start = dict[str, xr.DataArray](), 0
    for name, array in places.items():
        part = slice(start, start := start + array.size)
        for figure, meaning in NAMES.items():
            units = array.attrs["units"] if figure == "mcse" else "1"
            attrs = {"units": units, "long_name": f"{array.attrs['long_name']}: {meaning}"}
            values = getattr(each, figure)[part].reshape(array.shape)
            found[f"{name}_{figure}"] = array.copy(data=values).assign_attrs(attrs)
    return xr.Dataset(found)


def _batches(xi: Array, size: int = 512) -> Iterator[Array]:
    rows = xi.reshape(-1, xi.shape[-1])
    return (rows[i : i + size] for i in range(0, len(rows), size))


def xi_name(prior: Prior) -> Callable[[int], str]:
    """What to call component i of xi, with the place that it rules alone, where there is one.

    The component behind the last is the misfit.
    """

    def name(i: int) -> str:
        if i == prior.dim:
            return "the misfit"
        where = ruled(prior, i)
        return f"xi[{i}]" + (f" ({where})" if where else "")

    return name


def ruled(prior: Prior, i: int) -> str:
    """The one entry of the unknown that xi[i] moves, in words; empty where it moves several."""
    if isinstance(prior, ProductPrior):
        for factor in prior.factors:
            if i < factor.dim:
                return ruled(factor, i)
            i -= factor.dim
    if not (isinstance(prior, FieldPrior) and isinstance(prior.field, IndependentField)):
        return ""
    variable = prior.space.variables[0]
    return place(variable.to_xarray(np.zeros(variable.size)), i)
