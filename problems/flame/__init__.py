"""Laminar flames: a freely propagating one with one-step chemistry."""

from __future__ import annotations

from .config import FlameConfig
from .problem import Flame

__all__ = ["Flame", "FlameConfig"]
