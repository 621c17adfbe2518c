"""What a solve and a surrogate cost when they are compared, in CPU seconds."""

from __future__ import annotations

import time

import numpy as np

from pdeinv.bayes.solve_costs import in_turn, least_seconds
from pdeinv.cpu_clock import measurable
from pdeinv.errors import SolverDiverged, reason
from pdeinv.model.forward import Capability, ForwardModel
from pdeinv.typing import Array

__all__ = ["Stopwatch", "seconds_at", "surrogate_seconds"]

BATCH = 256
"""Points of one batched call whose time is taken."""


class Stopwatch:
    """Solves of the reference, with the CPU time of those that succeeded after the first."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def of(self, model: ForwardModel, xi: Array, out: Array) -> str:
        """Write G(xi) into ``out``; returns why the solve failed, or nothing."""
        begin = time.process_time()
        try:
            value = model(xi)
        except SolverDiverged as error:
            return reason(error)
        self.times.append(time.process_time() - begin)
        if not np.isfinite(value).all():
            return "the solve gave values that are not finite"
        out[:] = value
        return ""

    @property
    def told(self) -> bool:
        """Whether the clock is fine enough for them."""
        return measurable(sum(self._counted))

    @property
    def mean(self) -> float:
        """Seconds of one solve."""
        return float(np.mean(self._counted or [np.nan]))

    @property
    def _counted(self) -> list[float]:
        """The first, which compiles, counts only when it is alone."""
        return self.times[1:] or self.times


def seconds_at(model: ForwardModel, xi: Array) -> float:
    """Of one solve at points where it works, shape (n, dim), which are taken in turn."""
    return least_seconds(in_turn(lambda row: model(row[0]), xi))


def surrogate_seconds(model: ForwardModel, xi: Array) -> dict[str, float]:
    """Of one evaluation, called with one point and with many."""
    one = least_seconds(lambda: model(xi[0]))
    if Capability.BATCH not in model.capabilities:
        return {"surrogate": one}
    many = np.resize(xi, (BATCH, xi.shape[1]))
    return {"surrogate": one, "surrogate_batched": least_seconds(lambda: model(many)) / BATCH}
