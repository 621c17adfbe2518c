"""Laminar flames with detailed mechanisms, solved for by Cantera."""

from __future__ import annotations

from .config import DetailedConfig
from .problem import FlameCantera

__all__ = ["DetailedConfig", "FlameCantera"]
