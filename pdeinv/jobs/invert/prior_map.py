"""The map from xi to the unknown, as numbers and a formula that need no pdeinv.

Each variable is m = T(x), x = mean + sum_k xi[k] basis[k], T pointwise.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from pdeinv.bayes.fields.base import IndependentField
from pdeinv.bayes.prior import FieldPrior, Prior, ProductPrior
from pdeinv.bayes.transforms import Exponential, Identity, Interval, LevelSet, Transform
from pdeinv.typing import Array

__all__ = ["map_formula", "map_group"]

MAX_NUMBERS = 1_000_000
"""A basis of more numbers (8 MB) is left out; the formula says so."""


def map_formula(prior: Prior) -> str:
    """The map in words, one clause for each variable."""
    return "; ".join(_formula(part, first) for part, first in _factors(prior))


def map_group(prior: Prior) -> xr.Dataset:
    """The group ``prior_map``: mean and basis, or standard deviation, of each variable.

    ``NAME_xi`` along the basis says which entry of xi each function belongs to.
    """
    parts = [_numbers(part, first) for part, first in _factors(prior)]
    return xr.merge(parts, compat="no_conflicts").assign_attrs(formula=map_formula(prior))


def _factors(prior: Prior, first: int = 0) -> list[tuple[Prior, int]]:
    """The priors of single variables, each with the number of its first xi."""
    if not isinstance(prior, ProductPrior):
        return [(prior, first)]
    found = []
    for factor in prior.factors:
        found += _factors(factor, first)
        first += factor.dim
    return found


def _formula(prior: Prior, first: int) -> str:
    name = "+".join(prior.space.names)
    if not isinstance(prior, FieldPrior):
        kind = f"{type(prior).__module__}.{type(prior).__qualname__}"
        return f"{name} = unwhiten(xi[{first}:{first + prior.dim}]) of {kind}"
    outer = _transformed(prior.transform, name)
    if isinstance(prior.field, IndependentField):
        inner = f"x = {name}_mean + {name}_std xi[{first}:{first + prior.dim}]"
    else:
        inner = f"x = {name}_mean + sum_k xi[{name}_xi[k]] {name}_basis[k]"
        if not _fits(prior):
            inner += f" with {prior.dim} functions on {prior.space.size} places, too many to store"
    return f"{name} = {outer}, {inner}"


def _transformed(transform: Transform, name: str) -> str:
    match transform:
        case Identity():
            return "x"
        case Exponential():
            return "exp(x)"
        case Interval():
            return f"{name}_low + ({name}_high - {name}_low) Phi(x) with Phi the normal cdf"
        case LevelSet(thresholds, values, blend):
            edges = f"with phases {list(values)} parted at x = {list(thresholds)}"
            soft = f", each step 0.5 (1 + tanh((x - threshold) / {blend:g}))" if blend else ""
            return f"the phase of x {edges}{soft}"
    return f"{type(transform).__qualname__}(x)"


def _fits(prior: FieldPrior) -> bool:
    return prior.dim * prior.space.size <= MAX_NUMBERS


def _numbers(prior: Prior, first: int) -> xr.Dataset:
    if not isinstance(prior, FieldPrior):
        return xr.Dataset()
    field = prior.field
    found = _plain(prior, field.mean, "mean", "mean of x")
    if isinstance(prior.transform, Interval):
        for end in ("low", "high"):
            value = np.broadcast_to(getattr(prior.transform, end), prior.space.size)
            found = found.merge(_named(prior.space.unpack(value), end), compat="no_conflicts")
    if isinstance(field, IndependentField):
        deviations = _plain(prior, field.std, "std", "deviation of x")
        return found.merge(deviations, compat="no_conflicts")
    if not _fits(prior):
        return found
    lead = "+".join(prior.space.names) + "_xi"
    basis = _plain(prior, field.apply(np.eye(prior.dim)), "basis", "x for one xi", (lead,))
    whole = found.merge(basis, compat="no_conflicts")
    return whole.assign_coords({lead: np.arange(first, first + prior.dim)})


def _named(parts: xr.Dataset, what: str) -> xr.Dataset:
    return parts.rename({name: f"{name}_{what}" for name in parts.data_vars})


def _plain(
    prior: FieldPrior, values: Array, what: str, meaning: str, lead: tuple[str, ...] = ()
) -> xr.Dataset:
    """Numbers of x as ``NAME_what``; x has units only where it is m itself."""
    full = np.broadcast_to(values, (*np.shape(values)[: len(lead)], prior.space.size))
    found = prior.space.unpack(full, lead)
    for variable in prior.space.variables:
        text = f"{variable.long_name or variable.name}: {meaning}"
        units = variable.units if isinstance(prior.transform, Identity) else "1"
        found[variable.name].attrs.update(units=units, long_name=text)
    return _named(found, what)
