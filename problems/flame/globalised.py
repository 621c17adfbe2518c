"""What makes Newton's method reach a flame from further away: shorter steps, and flames between.

Both are those of Deuflhard (2011), Newton Methods for Nonlinear Problems, ch. 3 and 5.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from pdeinv.errors import SolverDiverged
from pdeinv.typing import Array

__all__ = ["Step", "damped", "walked"]


Step = tuple[Array, float]
"""Of fields and of the eigenvalue."""


class Scaled[F](Protocol):
    """Sizes and bounds of a flame ``F``, by which steps are measured and taken."""

    def size(self, step: Step, eigenvalue: float) -> float:
        """How large a step is, relative to fields and eigenvalue."""

    def moved(self, flame: F, step: Step, part: float) -> F:
        """The flame after a part of a step."""


def damped[F](
    scale: Scaled[F],
    start: tuple[F, float],
    step: Step,
    simplified: Callable[[F], Step],
    least: float,
) -> F:
    """The flame after the longest of halved steps behind which the next one is shorter.

    Args:
        scale: of the flame.
        start: the flame, and its eigenvalue.
        step: of Newton's method.
        simplified: the next step from a flame, by the same factor.
        least: part of the step below which it is given up.

    Raises:
        SolverDiverged: there is none.
    """
    (flame, eigenvalue), part = start, 1.0
    full = scale.size(step, eigenvalue)
    while part > least:
        new = scale.moved(flame, step, part)
        if scale.size(simplified(new), eigenvalue) <= (1 - part / 4) * full:
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
