"""What networks that give whole images share: how many go through at once, and their loss."""

from __future__ import annotations

from typing import Any

__all__ = ["BLOCK", "absolute_error"]

BLOCK = 128
"""Images that go through a network at once."""


def absolute_error(predicted: Any, target: Any) -> Any:
    """The mean over a batch of the mean |difference| of an image."""
    return (predicted - target).abs().sum(dim=1).mean() / predicted.shape[1]
