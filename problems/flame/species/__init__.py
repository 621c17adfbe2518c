"""Laminar flames of five species with mixture-averaged transport and one step of chemistry."""

from __future__ import annotations

from .config import SpeciesConfig
from .problem import FlameSpecies

__all__ = ["FlameSpecies", "SpeciesConfig"]
