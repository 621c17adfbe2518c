"""Have the chains mixed, and how much do their draws say? Rank R-hat, ESS, MCSE, autocorrelation.

R-hat compares independent chains; the walkers of an ensemble are not independent, so that
:func:`autocorrelation` is for them and :func:`summary` is not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pdeinv.errors import ShapeError
from pdeinv.typing import Array

__all__ = [
    "R_HAT",
    "Autocorrelation",
    "Components",
    "Diagnostics",
    "autocorrelation",
    "components",
    "summary",
]

R_HAT = 1.01
"""A largest R-hat below this counts as mixed (Vehtari et al. 2021)."""

ESS = 400.0
"""A smallest effective sample size of at least this counts as enough."""

_FEWEST = 4
"""Draws per chain below which nothing can be said."""


@dataclass(frozen=True)
class Components:
    """The same figures of each component, shape (dim,); NaN where it never moved, its mcse 0.

    All are NaN where the chains are too short to say anything.

    Attributes:
        r_hat: rank-normalised split R-hat, the larger of those of the bulk and the folded draws.
        ess_bulk: effective sample size of rank-normalised draws, all chains together.
        ess_tail: the smaller effective sample size of the 5 % and 95 % quantiles.
        mcse: Monte Carlo standard error of the mean.
    """

    r_hat: Array
    ess_bulk: Array
    ess_tail: Array
    mcse: Array


@dataclass(frozen=True)
class Diagnostics:
    """What the chains say about themselves; NaN where they are too short to say anything.

    Attributes:
        r_hat: largest rank-normalised split R-hat, of the bulk and the folded draws.
        ess_bulk: smallest effective sample size of rank-normalised draws, all chains together.
        ess_tail: smallest effective sample size of the 5 % and 95 % quantiles.
        each: these figures of each component.
        worst: the component with the largest R-hat, or -1.
        n_constant: components that never moved; they are left out of the extremes.
        converged: several chains, ``r_hat`` < 1.01, both sizes >= 400, and every component moved.
        verdict: one line that says so and, if not, what to do.
    """

    r_hat: float
    ess_bulk: float
    ess_tail: float
    each: Components
    worst: int
    n_constant: int
    converged: bool
    verdict: str

    @property
    def mcse(self) -> Array:
        """Monte Carlo standard error of each component's mean, shape (dim,)."""
        return self.each.mcse


@dataclass(frozen=True)
class Autocorrelation:
    """Integrated autocorrelation times of an ensemble.

    Attributes:
        tau: steps per independent draw, shape (dim,); inf where a walker never moved or the chain
            is too short for an estimate (one that is not positive).
        reliable: whether the chain is at least 50 of the longest time.
    """

    tau: Array
    reliable: bool


def _checked(xi: Array) -> Array:
    xi = np.asarray(xi, dtype=np.float64)
    if xi.ndim != 3 or 0 in xi.shape:
        raise ShapeError(f"draws: expected shape (chain, draw, dim), got {xi.shape}")
    return xi


def _numbered(i: int) -> str:
    return f"component {i}"


def components(xi: Array) -> Components:
    """R-hat, ESS and MCSE of each component of draws (chain, draw, dim), chains independent.

    For R-hat, a single chain is cut in two and its halves take the place of chains.

    Raises:
        ShapeError: not three axes, or an empty one.

    Reference: Vehtari, Gelman, Simpson, Carpenter and Bürkner (2021).
    """
    xi = _checked(xi)
    found = np.full((4, xi.shape[-1]), np.nan)
    if np.isfinite(xi).all() and _at_least_two(xi).shape[1] >= _FEWEST:
        moved = np.ptp(xi, axis=(0, 1)) > 0
        found[3] = 0.0
        if moved.any():
            found[:, moved] = _by_component(xi[..., moved])
    return Components(*found)


def summary(
    xi: Array,
    *,
    also: Array | None = None,
    allow_constant: bool = False,
    named: Callable[[int], str] = _numbered,
) -> Diagnostics:
    """The diagnostics of draws (chain, draw, dim), chains independent of one another.

    A single chain never counts as converged: it cannot tell of what it has not seen.

    Args:
        xi: draws after warm-up.
        also: further quantities of them, (chain, draw, k), which have to agree between chains but
            whose effective sizes do not matter; components behind the others.
        allow_constant: whether a component may be the same in all draws, as cells of a level set
            are; a whitened unknown that never moves tells of a sampler that is stuck.
        named: what a component is called in the verdict.

    Raises:
        ShapeError: not three axes, or an empty one.
    """
    xi, n_judged = _checked(xi), xi.shape[-1]
    if also is not None:
        xi = np.concatenate([xi, also], axis=-1)
    each = components(xi)
    if not np.isfinite(xi).all():
        return _nothing(each, 0, "not converged: some draws are not finite")
    dim, constant = xi.shape[-1], np.ptp(xi, axis=(0, 1)) == 0
    n_constant = int(constant.sum())
    if _at_least_two(xi).shape[1] < _FEWEST:
        few = f"not converged: {xi.shape[1]} draws per chain are too few to judge; draw more"
        return _nothing(each, n_constant, few)
    if constant[:n_judged].all():
        return _nothing(each, n_constant, "not converged: no component moved; shorten the steps")
    worst = int(np.nanargmax(np.where(constant, -np.inf, each.r_hat)))
    extremes = (
        float(each.r_hat[worst]),
        float(np.nanmin(each.ess_bulk[:n_judged])),
        float(np.nanmin(each.ess_tail[:n_judged])),
    )
    stuck = "" if allow_constant or not n_constant else f"{n_constant} of {dim}"
    converged, verdict = _judge(extremes, named(worst), stuck, len(xi))
    return Diagnostics(*extremes, each, worst, n_constant, converged, verdict)


def _at_least_two(xi: Array) -> Array:
    if xi.shape[0] > 1:
        return xi
    half = xi.shape[1] // 2
    return np.concatenate([xi[:, :half], xi[:, xi.shape[1] - half :]])


def _nothing(each: Components, n_constant: int, verdict: str) -> Diagnostics:
    nan = float("nan")
    return Diagnostics(nan, nan, nan, each, -1, n_constant, False, verdict)


def _by_component(xi: Array) -> tuple[Array, Array, Array, Array]:
    """R-hat, bulk ESS, tail ESS and MCSE of the mean for each component, none constant."""
    import arviz_stats.base

    stats: Any = arviz_stats.base.array_stats  # type: ignore[attr-defined]
    axes = {"chain_axis": 0, "draw_axis": 1}
    # Chains that each stand still in another place have no variance within: R-hat is infinite.
    stuck = (np.ptp(xi, axis=1) == 0).all(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        r_hat = np.asarray(stats.rhat(_at_least_two(xi), **axes))
        bulk = np.asarray(stats.ess(xi, method="bulk", **axes))
        tail = np.asarray(stats.ess(xi, method="tail", prob=(0.05, 0.95), **axes))
        error = np.asarray(stats.mcse(xi, method="mean", **axes))
    n_chains = float(xi.shape[0])
    return (
        np.where(stuck, np.inf, r_hat),
        np.where(stuck, n_chains, bulk),
        np.where(stuck, n_chains, tail),
        np.where(stuck, xi[:, 0].std(axis=0) / np.sqrt(max(n_chains - 1, 1)), error),
    )


def _judge(
    extremes: tuple[float, float, float], worst: str, stuck: str, n_chains: int
) -> tuple[bool, str]:
    r_hat, bulk, tail = extremes
    faults = []
    if stuck:
        faults.append(f"{stuck} components never moved")
    if not r_hat < R_HAT:
        faults.append(f"R-hat {r_hat:.4f} at {worst} (below {R_HAT:g} wanted)")
    for name, value in (("bulk", bulk), ("tail", tail)):
        if not value >= ESS:
            faults.append(f"{name} ESS {value:.0f} ({ESS:.0f} wanted)")
    if faults:
        return False, f"not converged: {', '.join(faults)}; draw more"
    figures = f"R-hat {r_hat:.3f}, bulk ESS {bulk:.0f}, tail ESS {tail:.0f}"
    if n_chains == 1:
        return False, f"not converged: one chain cannot tell, run several ({figures} of its halves)"
    return True, f"converged: {figures}"


def autocorrelation(xi: Array) -> Autocorrelation:
    """Integrated autocorrelation times of an ensemble's draws (walker, draw, dim).

    The autocorrelation functions of the walkers are averaged and summed up to five times the
    result.

    Raises:
        ShapeError: not three axes, or an empty one.

    Reference: Goodman and Weare (2010); Sokal (1997) for the window.
    """
    from emcee.autocorr import integrated_time

    xi = _checked(xi)
    moved = (np.ptp(xi, axis=1) > 0).all(axis=0)
    tau = np.full(xi.shape[-1], np.inf)
    if moved.any():
        with np.errstate(divide="ignore", invalid="ignore"):
            tau[moved] = integrated_time(np.moveaxis(xi[..., moved], 0, 1), tol=0)
    tau[~(tau > 0)] = np.inf
    return Autocorrelation(tau, bool(xi.shape[1] >= 50 * tau.max()))
