"""How much memory a run will take in one process, predicted before it starts."""

from __future__ import annotations

import sys

__all__ = ["predicted_peak", "resident_peak"]


def resident_peak() -> int:
    """Bytes that this process held at most so far; 0 where the system does not tell."""
    try:
        import resource
    except ModuleNotFoundError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak) if sys.platform == "darwin" else 1024 * int(peak)


def predicted_peak(model: int | None, stored: int) -> int | None:
    """Bytes at the peak of a run: the program with its models built, states, and stored draws.

    Args:
        model: bytes of one running model, where its problem estimates them.
        stored: bytes of what the engine keeps, counted twice since results are assembled from it.

    Returns:
        None without such an estimate.
    """
    return None if model is None else resident_peak() + model + 2 * stored
