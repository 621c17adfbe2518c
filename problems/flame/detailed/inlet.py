"""The state of the inlet, which tells experiments apart."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["COORDINATES", "Inlet"]

COORDINATES = {
    "p": "pressure",
    "T_in": "inlet_temperature",
    "phi": "equivalence_ratio",
    "mass_flux": "mass_flux",
}
"""Its entries by the coordinate of the data that holds them, in their order."""


class Inlet(NamedTuple):
    """Of one experiment.

    Attributes:
        pressure: Pa.
        inlet_temperature: K.
        equivalence_ratio: of the mixture; of a diffusion flame it means nothing.
        mass_flux: kg m-2 s-1; of a free flame it means nothing.
    """

    pressure: float
    inlet_temperature: float
    equivalence_ratio: float
    mass_flux: float
