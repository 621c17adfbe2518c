"""Heat conduction in time: ρc ∂u/∂t − ∇·(k∇u) = q."""

from __future__ import annotations

from .config import HeatConfig
from .problem import Heat

__all__ = ["Heat", "HeatConfig"]
