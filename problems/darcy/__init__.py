"""Steady flow in a porous medium: −∇·(κ∇u) = f."""

from __future__ import annotations

from .config import DarcyConfig
from .problem import Darcy

__all__ = ["Darcy", "DarcyConfig"]
