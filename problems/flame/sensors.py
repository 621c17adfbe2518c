"""What is measured of flames: speeds and profiles, of one state of the inlet or of several."""

from __future__ import annotations

from pdeinv.model.observed import Kind, Observed

from .chemistry import FLAMMABLE
from .config import COLDEST, PRESSURES
from .inlet_sensors import INLET, KIND, Condition, InletSensors, conditions
from .unknown import LABELS

__all__ = [
    "ENDS",
    "INLET",
    "KIND",
    "KINDS",
    "OBSERVED",
    "SENSORS",
    "Condition",
    "conditions",
]

ENDS = {
    "p": (*PRESSURES, f"from {PRESSURES[0]:g} to {PRESSURES[1]:g} Pa (is it in atm or bar?)"),
    "T_in": (COLDEST, 1500.0, f"from {COLDEST:g} to 1500 K (is it in degrees Celsius?)"),
    "phi": (*FLAMMABLE, f"in the flammable range {FLAMMABLE[0]} to {FLAMMABLE[1]}"),
}
"""The least and the largest of each that there are flames for, and words for it."""

KINDS = (
    Kind("s_L", "m s-1", "laminar flame speed", 0.25, (*INLET,)),
    Kind("T", "K", "temperature", 1024.0, ("x", *INLET)),
    Kind("u", "m s-1", "velocity of the gas", 1.0, ("x", *INLET)),
    Kind("Y", "1", "mass fraction of fuel", 0.125, ("x", *INLET)),
)
"""What data may be, in the order of their numbers."""

OBSERVED = Observed(
    "flame",
    "1",
    "measurements of flames by quantity: 0 flame speed (0.25 m s-1), 1 temperature (1024 K), "
    "2 velocity (1 m s-1), 3 mass fraction of fuel (0.125)",
    {KIND: "1", "x": "m", **{short: LABELS[name][0] for short, name in INLET.items()}},
    kinds=KINDS,
    kind=KIND,
)

WANTED = (
    "PLACES or PLACES@QUANTITIES, such as grid:10@T,u with quantities among T, u and Y; speed or "
    "speed:PHI,PHI,...; several of these joined by +; or a CSV file with a header of quantity and "
    "x, and of p, T_in and phi where they differ"
)

SENSORS = InletSensors(OBSERVED, ENDS, ("T", "u"), WANTED)
