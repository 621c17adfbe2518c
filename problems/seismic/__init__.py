"""Seismic waves from shots: m ∂²u/∂t² − ∇²u = s, m = 1/v²."""

from __future__ import annotations

from .config import SeismicConfig
from .problem import Seismic

__all__ = ["Seismic", "SeismicConfig"]
