"""How well draws of one density stand for another: importance weights and their tail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pdeinv.typing import Array

__all__ = ["ENOUGH", "Importance", "importance"]

EFFECTIVE, PARETO_K = 0.25, 1.0
"""An approximation holds where this share of its draws counts once they are weighted to the
posterior, and the tail of the weights is no heavier than this shape."""

ENOUGH = 100
"""Draws whose weights tell whether an approximation holds."""

FEWEST = 30
"""Draws whose tail has the six that a shape takes."""

EVEN = 0.1
"""Standard deviation of log weights below which their tail means nothing."""


@dataclass(frozen=True)
class Importance:
    """What weighting draws to another density costs.

    Attributes:
        effective: effective share of the draws, (Σ w)² / (n Σ w²); 1 where the densities agree.
        pareto_k: shape of the weights' tail; above 0.7 averages over the weights mean little
            (Vehtari, Simpson, Gelman, Yao and Gabry 2024). 0 where all weights are alike, infinite
            where the draws are too few to tell.
    """

    effective: float
    pareto_k: float

    @property
    def holds(self) -> bool:
        """Whether the draws may stand for the other density."""
        return self.effective >= EFFECTIVE and self.pareto_k <= PARETO_K

    def sentence(self, draws: str = "draws") -> str:
        """The figures beside what is wanted of them."""
        tail = f"with Pareto k {self.pareto_k:.2f} (at most {PARETO_K:g} wanted)"
        if not np.isfinite(self.pareto_k):
            tail = f"fewer than {FEWEST} of which can be weighted: too few to tell the tail"
        return (
            f"weighted to the posterior {100 * self.effective:.2g} % of the {draws} count "
            f"({100 * EFFECTIVE:.0f} % wanted), {tail}"
        )


def importance(log_weights: Array) -> Importance:
    """The figures of ln w, shape (n,); a weight of zero (a failed solve) counts as a draw.

    Reference: Yao, Vehtari, Simpson and Gelman (2018), who judge approximations by them.
    """
    finite = log_weights[np.isfinite(log_weights)]
    if len(finite) < 2:
        return Importance(0.0, np.inf)
    w = np.exp(finite - finite.max())
    effective = float(w.sum() ** 2 / np.square(w).sum()) / len(log_weights)
    return Importance(effective, _tail(finite) if np.std(finite) > EVEN else 0.0)


def _tail(log_weights: Array) -> float:
    if len(log_weights) < FEWEST:
        return np.inf
    import arviz_stats.base

    stats: Any = arviz_stats.base.array_stats  # type: ignore[attr-defined]
    return float(np.asarray(stats.psislw(log_weights)[1]))
