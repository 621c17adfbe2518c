"""Is a misfit no larger than noise can make it? The χ² test that every verdict rests on.

At the true unknown 2 Φ = ‖Γ^(-1/2)(G - y)‖² follows χ² with as many degrees of freedom as there
are data. A most probable unknown fits better, and a draw of the posterior just as well on average:
over data and draws 2 Φ is χ² again (Rubin 1984; Gelman, Meng and Stern 1996).
"""

from __future__ import annotations

from scipy.special import chdtri

__all__ = ["LARGEST_SHIFT", "LEVEL", "largest_misfit", "misfit_text"]

LEVEL = 0.999
"""Probability that the noise of right data stays below the limit."""

LARGEST_SHIFT = 0.75
"""An approximate mean or mode is right where no unknown is further off than so many posterior
standard deviations, as far as that can be told without the posterior."""


def largest_misfit(n_data: int, noise_factor: float = 1.0) -> float:
    """The Φ that noise exceeds once in a thousand times, τ²/2 times the quantile of χ²(n).

    The limit is 3.0 times the expected n/2 for 10 data, 1.5 times for 100, 1.14 times for 1000.

    Args:
        n_data: n, at least 1.
        noise_factor: τ, by how much the standard deviations of the noise count as larger.
    """
    return 0.5 * noise_factor**2 * float(chdtri(n_data, 1 - LEVEL))


def misfit_text(misfit: float, n_data: int, limit: float) -> str:
    """The misfit beside that limit, for a verdict."""
    return f"misfit {misfit:.4g} for {n_data} data, where noise makes at most {limit:.4g}"
