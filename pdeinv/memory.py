"""How much memory a run will take in one process, predicted before it starts."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["predicted_peak", "resident_peak"]


def resident_peak() -> int:
    """Bytes that this process held at most so far; 0 where the system does not tell."""
    try:
        import resource
    except ModuleNotFoundError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak) if sys.platform == "darwin" else 1024 * int(peak)


def predicted_peak(problem: Any, level: int, stored: int) -> int | None:
    """Bytes at the peak of a run: the program with its models built, states, and stored draws.

    Args:
        problem: asked for ``memory_estimate(level)``, bytes of one running model, if it has one.
        level: the mesh.
        stored: bytes of what the engine keeps, counted twice since results are assembled from it.

    Returns:
        None where the problem makes no estimate.
    """
    estimate = getattr(problem, "memory_estimate", None)
    if estimate is None:
        return None
    return resident_peak() + int(estimate(level)) + 2 * stored
