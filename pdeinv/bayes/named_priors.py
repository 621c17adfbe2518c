"""Priors of named numbers in one call each, for models that a user writes (``pdeinv.priors``).

Each function gives the prior of one variable: a number, a list of numbers or a field; several
variables are joined by :func:`product`, or by a table of tables as in a run file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pdeinv.bayes.field_prior import build, uniform_prior
from pdeinv.bayes.fields.base import DenseField, GaussianField, IndependentField
from pdeinv.bayes.prior import FieldPrior, Prior, ProductPrior
from pdeinv.bayes.prior_config import UnknownConfig
from pdeinv.bayes.transforms import Exponential, Identity, Transform
from pdeinv.config import Config, parse
from pdeinv.errors import ConfigError
from pdeinv.model.spaces import Space, Variable
from pdeinv.typing import Array

__all__ = ["as_prior", "field", "lognormal", "normal", "product", "uniform"]

SIZES = "a number, or lists of the same length"


def normal(
    name: str,
    *,
    mean: ArrayLike = 0.0,
    std: ArrayLike | None = None,
    covariance: ArrayLike | None = None,
    units: str = "1",
    long_name: str = "",
) -> FieldPrior:
    """m ~ N(mean, std²), or N(mean, covariance); a list of means makes a list of unknowns.

    Args:
        name: the unknown's name in files.
        mean: one number, or shape (n,).
        std: one number, or shape (n,); 1 where neither it nor a covariance is given.
        covariance: shape (n, n), instead of ``std``.
        units: of the unknown.
        long_name: what it is, in words.

    Raises:
        ConfigError: sizes that do not agree, or no valid spread.
    """
    return _gaussian((name, units, long_name), mean, (std, covariance), Identity())


def lognormal(
    name: str,
    *,
    median: ArrayLike = 1.0,
    std: ArrayLike | None = None,
    covariance: ArrayLike | None = None,
    units: str = "1",
    long_name: str = "",
) -> FieldPrior:
    """ln m ~ N(ln median, std²): positive; ``std`` and ``covariance`` are those of ln m.

    Args:
        name: as of :func:`normal`.
        median: of m, positive: one number, or shape (n,).
        std: of ln m.
        covariance: of ln m, instead of ``std``.
        units: of the unknown.
        long_name: what it is, in words.

    Raises:
        ConfigError: a median that is not positive, or as :func:`normal` says.
    """
    middle = np.asarray(median, dtype=np.float64)
    if not (np.isfinite(middle).all() and (middle > 0).all()):
        raise ConfigError(f"prior of {name}: median must be positive and finite, got {median!r}")
    labels = (name, units, long_name)
    return _gaussian(labels, np.log(middle), (std, covariance), Exponential())


def uniform(
    name: str,
    *,
    low: ArrayLike = 0.0,
    high: ArrayLike = 1.0,
    units: str = "1",
    long_name: str = "",
) -> FieldPrior:
    """Independent values, uniform between ``low`` and ``high``: numbers, or shape (n,) each.

    Raises:
        ConfigError: sizes that do not agree, or ``low`` not below ``high``.
    """
    (a, b), shape = _together(name, low=low, high=high)
    if not (np.isfinite(a).all() and np.isfinite(b).all() and (a < b).all()):
        raise ConfigError(f"prior of {name}: low must be less than high, got {low!r} and {high!r}")
    space = Space((_variable((name, units, long_name), shape),))
    return uniform_prior(space, a, b)


def field(name: str, table: Mapping[str, Any]) -> FieldPrior:
    """The prior that a table of the run file describes (docs/priors.md has the kinds and keys).

    Args:
        name: the unknown's name in files.
        table: ``kind`` and its keys; besides ``units`` and ``long_name``, and ``extent``, the ends
            of the domain along x, y, z: unit intervals where not given.

    Raises:
        ConfigError: a key or value that is wrong.
    """
    keys = dict(table)
    units, long_name = str(keys.pop("units", "1")), str(keys.pop("long_name", ""))
    extent = keys.pop("extent", None)
    config = parse(_Table, {"prior": keys}, name).prior
    counts = getattr(config, "grid", None) or getattr(config, "cells", None) or (1,)
    ends = ((0.0, 1.0),) * len(counts) if extent is None else _extent(name, extent)
    return build(config, name=name, units=units, long_name=long_name, extent=ends)


class _Table(Config):
    prior: UnknownConfig


def product(*priors: Prior) -> Prior:
    """Independent priors of several variables; the unknown is their values one behind the other.

    Raises:
        ConfigError: none, or two of one name.
    """
    names = [name for p in priors for name in p.space.names]
    twice = sorted({n for n in names if names.count(n) > 1})
    if not names or twice:
        got = f"'{twice[0]}' twice" if twice else "none"
        raise ConfigError(f"prior: expected variables with different names, got {got}")
    return priors[0] if len(priors) == 1 else ProductPrior(tuple(priors))


def as_prior(given: Any) -> Prior:
    """A prior, a list of priors, or a table ``{name: prior or table}`` as one prior.

    Raises:
        ConfigError: none of these.
    """
    if isinstance(given, Prior):
        return product(given)
    if isinstance(given, Mapping) and given:
        parts = [v if isinstance(v, Prior) else _of_table(str(k), v) for k, v in given.items()]
        return product(*parts)
    if isinstance(given, list | tuple) and given and all(isinstance(p, Prior) for p in given):
        return product(*given)
    raise ConfigError(
        f"prior: expected one of pdeinv.priors, a list of them, or tables by name such as "
        f"{{'k': {{'kind': 'uniform'}}}}, got {type(given).__name__}"
    )


def _of_table(name: str, table: Any) -> FieldPrior:
    if not isinstance(table, Mapping):
        raise ConfigError(
            f"prior of {name}: expected a table with a kind, or one of pdeinv.priors, "
            f"got {type(table).__name__}"
        )
    return field(name, table)


def _gaussian(
    labels: tuple[str, str, str],
    mean: ArrayLike,
    spread: tuple[ArrayLike | None, ArrayLike | None],
    transform: Transform,
) -> FieldPrior:
    std, covariance = spread
    name = labels[0]
    if covariance is None:
        (middle, sd), shape = _together(name, mean=mean, std=1.0 if std is None else std)
        if not (np.isfinite(middle).all() and np.isfinite(sd).all() and (sd > 0).all()):
            raise ConfigError(f"prior of {name}: std must be positive and finite, got {std!r}")
        found: GaussianField = IndependentField(middle, sd)
        return FieldPrior(Space((_variable(labels, shape),)), found, transform)
    if std is not None:
        raise ConfigError(f"prior of {name}: give std or covariance, not both")
    root = _root(name, np.asarray(covariance, dtype=np.float64))
    (middle, _), shape = _together(name, mean=mean, covariance=np.ones(len(root)))
    found = DenseField(middle, root)
    return FieldPrior(Space((_variable(labels, shape),)), found, transform)


def _root(name: str, covariance: Array) -> Array:
    """The lower Cholesky factor of a covariance."""
    square = covariance.ndim == 2 and covariance.shape[0] == covariance.shape[1]
    rounding = 1e-8 * float(np.max(np.abs(covariance), initial=0.0))
    if not square or not np.allclose(covariance, covariance.T, atol=rounding):
        raise ConfigError(
            f"prior of {name}: covariance must be square and symmetric, got {covariance.shape}"
        )
    try:
        return np.asarray(np.linalg.cholesky(covariance))
    except np.linalg.LinAlgError:
        raise ConfigError(f"prior of {name}: covariance is not positive definite") from None


def _together(name: str, **given: ArrayLike) -> tuple[list[Array], tuple[int, ...]]:
    """Numbers and lists in one common shape, flat, and that shape: () for a single number."""
    arrays: Sequence[Array]
    try:
        arrays = np.broadcast_arrays(*(np.asarray(v, dtype=np.float64) for v in given.values()))
    except ValueError:
        arrays = [np.zeros((0, 0))]
    shape = arrays[0].shape
    if len(shape) > 1 or arrays[0].size == 0:
        raise ConfigError(f"prior of {name}: {' and '.join(given)} must be {SIZES}")
    return [a.astype(np.float64).ravel() for a in arrays], shape


def _variable(labels: tuple[str, str, str], shape: tuple[int, ...]) -> Variable:
    """Entries of a list have a dimension of their own and no coordinate: they lie nowhere."""
    name, units, long_name = labels
    if not name.isidentifier():
        raise ConfigError(f"prior: expected a name such as 'k' or 'k_left', got '{name}'")
    return Variable(name, (f"{name}_entry",)[: len(shape)], shape, units, long_name)


def _extent(name: str, given: Any) -> tuple[tuple[float, float], ...]:
    try:
        ends = tuple((float(a), float(b)) for a, b in given)
    except (TypeError, ValueError):
        ends = ()
    if not ends or not all(a < b for a, b in ends):
        raise ConfigError(
            f"prior of {name}: extent must be ends along each axis such as [[0, 1]], got {given}"
        )
    return ends
