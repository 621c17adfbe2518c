"""Tumor growth in the brain: ∂c/∂t = ∇·(D∇c) + ρ c (1 − c)."""

from __future__ import annotations

from .config import TumorConfig
from .problem import Tumor

__all__ = ["Tumor", "TumorConfig"]
