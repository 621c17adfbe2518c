"""Time-harmonic waves: ∇²u + k²n u = f."""

from __future__ import annotations

from .config import HelmholtzConfig
from .problem import Helmholtz

__all__ = ["Helmholtz", "HelmholtzConfig"]
