"""Direct reconstruction on the disc by the D-bar method."""

from __future__ import annotations

from .engine import Dbar

__all__ = ["Dbar"]
