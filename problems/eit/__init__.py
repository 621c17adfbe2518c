"""Electrical impedance tomography: ∇·(γ∇u) = 0 with currents through the boundary."""

from __future__ import annotations

from .frames.files import Measured, to_dataset
from .problem import Eit
from .setup.config import EitConfig

__all__ = ["Eit", "EitConfig", "Measured", "to_dataset"]
