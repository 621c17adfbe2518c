"""Who is told how far the chains are."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Progress", "silent"]


class Progress(Protocol):
    """Told now and then how far each chain is."""

    def __call__(self, chain: int, step: int, n_steps: int, note: str) -> None:
        """Chain ``chain`` has done ``step`` of ``n_steps``."""


def silent(chain: int, step: int, n_steps: int, note: str) -> None:
    """No progress."""
