"""Two-level estimators of posterior means from a long surrogate chain and a short correction.

With r = exp(Φ_f - Φ_s) and Z_s/Z_f = E_f[r], for any quantity Q

    E_f[Q] = E_s[Q] + E_f[(1 - r) Q] + E_f[r - 1] E_s[Q]            (plain)

(Hoang, Schwab, Stuart 2013; Yang et al. 2023). Under a Gaussian prior r is unbounded and the plain
form can have infinite variance. Splitting by I = 1{Φ_f <= Φ_s} keeps every exponential at most one:

    a = E_f[(r - 1) I],  b = E_s[(1 - 1/r)(1 - I)],  w = Z_s/Z_f = (1 + a)/(1 - b)
    E_f[Q] = E_s[Q] + E_f[(1 - r) Q I] + E_s[(1/r - 1) Q (1 - I)] + (w - 1) E_s[Q I + Q (1 - I)/r]

(the modification that Hoang, Quek, Schwab 2020 make for unbounded parameters). Q is centred by its
base-chain mean first, which removes most of the variance.

An estimate that its states do not determine is not finite, and never an error: w has no bound where
the base chain stays at states that the fine posterior gives no weight (b = 1).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pdeinv.typing import Array

__all__ = ["Pairs", "average", "plain", "replicated", "split"]


@dataclass(frozen=True)
class Pairs:
    """States at which both misfits are known.

    Attributes:
        q: the quantity, shape (n, n_q).
        fine: Φ_f, shape (n,).
        coarse: Φ_s, shape (n,).
    """

    q: Array
    fine: Array
    coarse: Array

    @property
    def delta(self) -> Array:
        """Φ_f - Φ_s."""
        return self.fine - self.coarse

    def part(self, block: slice) -> Pairs:
        """Some of the states."""
        return Pairs(self.q[block], self.fine[block], self.coarse[block])


def _mean(weight: Array, q: Array) -> Array:
    return np.asarray((weight[:, None] * q).mean(axis=0))


def _unknown(base_mean: Array) -> Array:
    return np.full(base_mean.shape, np.nan)


def split(base_mean: Array, fine: Pairs, coarse: Pairs) -> Array:
    """The indicator-split estimate of E_f[Q], shape (n_q,); not finite where b = 1 or no states.

    Args:
        base_mean: E_s[Q] from the long surrogate chain.
        fine: states of a chain on the fine posterior.
        coarse: (thinned) states of a chain on the surrogate posterior.
    """
    if not (len(fine.q) and len(coarse.q)):
        return _unknown(base_mean)
    inside = fine.delta <= 0
    outside = coarse.delta > 0
    r = np.where(inside, np.exp(np.minimum(fine.delta, 0)), 1.0)
    inverse_r = np.where(outside, np.exp(-np.maximum(coarse.delta, 0)), 1.0)
    a, b = np.mean(r - 1), np.mean(1 - inverse_r)
    q_f, q_s = fine.q - base_mean, coarse.q - base_mean
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        w = (1 + a) / (1 - b)
        correction = _mean(1 - r, q_f) + _mean(inverse_r - 1, q_s) + (w - 1) * _mean(inverse_r, q_s)
    return np.asarray(base_mean + correction)


def plain(base_mean: Array, fine: Pairs) -> Array:
    """The plain telescoping estimate of E_f[Q], shape (n_q,); unbounded variance is possible."""
    if not len(fine.q):
        return _unknown(base_mean)
    with np.errstate(over="ignore", invalid="ignore"):
        r = np.exp(fine.delta)
        return np.asarray(base_mean + _mean(1 - r, fine.q - base_mean))


def average(like: Array, fine: Pairs) -> Array:
    """The mean of Q over the states, shape (n_q,) as ``like``; NaN where there are none."""
    return np.asarray(fine.q.mean(axis=0)) if len(fine.q) else _unknown(like)


def replicated(estimate: Callable[[int], Array], n: int) -> tuple[Array, Array]:
    """Mean and Monte-Carlo standard error of ``n`` replicates of an estimate.

    Where some replicate is not finite, so are both results at those components.
    """
    values = np.stack([estimate(k) for k in range(n)])
    with np.errstate(invalid="ignore", over="ignore"):
        spread = values.std(axis=0, ddof=1) if n > 1 else np.full(values.shape[1:], np.nan)
        return values.mean(axis=0), spread / np.sqrt(n)
