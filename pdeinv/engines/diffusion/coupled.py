"""Whether a last coupling is so small that draws with it are taken for draws without one.

The draws have the prior smoothed by the coupling r. Along a direction that no datum sees, a
Gaussian of standard deviation s comes out √(1 + r² / s²) times too wide, which is known beforehand
and cannot be seen in fitted data. Along the others it is seen there
(:mod:`pdeinv.engines.diffusion.fitted`).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pdeinv.engines.base import Outcome
from pdeinv.engines.diffusion.fitted import FEWEST, Sums, width_ratio
from pdeinv.engines.ended import Ended

__all__ = ["judged"]

ENOUGH = 1.05
"""A standard deviation over its limit at no coupling, above which the last one is too large."""


def judged(found: Outcome, coupling: float, spread: float, wide: Sums, narrow: Sums) -> Outcome:
    """Not converged where draws are wider than without a coupling, seen by the data or not.

    Args:
        found: the draws.
        coupling: the last one, r.
        spread: largest standard deviation of the prior, s, in units of xi.
        wide: fitted data at twice the coupling.
        narrow: at the coupling.
    """
    return _seen(_unseen(found, coupling, spread), wide, narrow)


def _unseen(found: Outcome, coupling: float, spread: float) -> Outcome:
    """By what a Gaussian prior makes of the coupling: the same whatever was drawn."""
    ratio = float(np.hypot(1, coupling / spread))
    found = _with_figure(found, "unseen_sd_ratio", ratio)
    if ratio <= ENOUGH:
        return found
    most = np.sqrt(ENOUGH**2 - 1) * spread
    return _coupled(
        found,
        f"where the data see nothing, draws spread at least {ratio:.3g} times as far as without a "
        f"coupling: {coupling:g} was given, at most {most:.2g} is allowed for this prior",
    )


def _seen(found: Outcome, wide: Sums, narrow: Sums) -> Outcome:
    """By fitted data, where there are enough."""
    n = min(wide.n, narrow.n)
    if n < FEWEST:
        return _noted(
            found,
            f"fitted data were not compared with those at no coupling (no fitted_sd_ratio): {n} "
            f"seen, {FEWEST} needed, so raise engine.warmup, draws or walkers",
        )
    ratio = width_ratio(wide, narrow)
    if ratio is None:
        said = (
            "nothing can be said of the spread of fitted data (no fitted_sd_ratio): at the last "
            "coupling there is none that is not the coupling's own, or the draws are too few"
        )
        return _coupled(found, said) if found.converged else _noted(found, said)
    found = _with_figure(found, "fitted_sd_ratio", ratio)
    if not found.converged or ratio <= ENOUGH:
        return found
    return _coupled(found, f"fitted data spread {ratio:.3g} times as far as without a coupling")


def _coupled(found: Outcome, text: str) -> Outcome:
    """Ended by the coupling, also where the run was cut short: more draws would not mend it."""
    told = text if found.converged else f"{found.message}; {text}"
    return replace(found, ended=Ended.COUPLED, message=Ended.COUPLED.sentence(told))


def _noted(found: Outcome, text: str) -> Outcome:
    return replace(found, note="; ".join(t for t in (found.note, text) if t))


def _with_figure(found: Outcome, name: str, value: float) -> Outcome:
    return replace(found, summary={**found.summary, name: value})
