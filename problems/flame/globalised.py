"""What makes Newton's method reach a flame from further away: shorter steps, and flames between.

Both are those of Deuflhard (2011), Newton Methods for Nonlinear Problems, ch. 3 and 5.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pdeinv.errors import SolverDiverged
from pdeinv.typing import Array

__all__ = ["damped", "walked"]


def damped[F](
    moved: Callable[[float], F], size: Callable[[F], float], full: float, least: float
) -> F:
    """The flame after the longest of halved steps behind which the next one is shorter.

    Args:
        moved: the flame after a part of the step.
        size: of the simplified next step there, by the same factor.
        full: size of the step.
        least: part of the step below which it is given up.

    Raises:
        SolverDiverged: there is none.
    """
    part = 1.0
    while part > least:
        new = moved(part)
        if size(new) <= (1 - part / 4) * full:
            return new
        part /= 2
    raise SolverDiverged("steps of Newton's method do not lead to a flame")


def walked[F](
    ends: tuple[Array, Array], flame: F, steps: tuple[float, float], to: Callable[[Array, F], F]
) -> F:
    """The flame at the end of a straight way between the logarithms of two sets of parameters.

    Args:
        ends: both sets, (n,) each.
        flame: at the first.
        steps: the part of the way that is tried at first, halved where it fails, and the least.
        to: the flame of parameters from a flame nearby.

    Raises:
        SolverDiverged: that of the shortest step.
    """
    start, end = np.log(ends)
    done, (step, least) = 0.0, steps
    while done < 1:
        part = min(1.0, done + step)
        at = ends[1] if part == 1.0 else np.exp(start + part * (end - start))
        try:
            flame = to(at, flame)
        except SolverDiverged:
            step /= 2
            if step < least:
                raise
        else:
            done = part
    return flame
