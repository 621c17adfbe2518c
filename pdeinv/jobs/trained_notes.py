"""What a user has to know of a finished training beside its table of errors, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["trained_notes"]

BETTER = 0.99
"""``relative_l2`` of what is better than the mean of the training data, which has about 1."""


def trained_notes(metadata: Mapping[str, Any]) -> Iterator[str]:
    """One sentence for each thing.

    Args:
        metadata: of the surrogate; what it does not tell is passed over.
    """
    extra = metadata.get("extra", {})
    if still := extra.get("constant_data", 0):
        yield f"{still} data are the same in all samples: they say nothing of the unknown"
    if n := extra.get("calibrated_on", 0):
        yield f"{n} held-out {'sample' if n == 1 else 'samples'} calibrated the bands"
    error = metadata.get("errors", {}).get("relative_l2", 0.0)
    if not error < BETTER:
        yield (
            f"warning: no better than the mean of the training data (held-out relative_l2 = "
            f"{error:.3g}, that mean has about 1): train on more samples ('generate --n') or longer"
        )
