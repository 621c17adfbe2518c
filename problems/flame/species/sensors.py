"""What is measured of flames of five species: speeds, and profiles of all fields."""

from __future__ import annotations

from pdeinv.errors import DataSchemaError
from pdeinv.model.observed import Kind, Observed, Sensors

from ..config import COLDEST, PRESSURES
from ..inlet_sensors import INLET, KIND, SPEED, InletSensors
from .config import HOTTEST, SpeciesConfig
from .gas import SPECIES
from .parameters import FLAMMABLE
from .unknown import LABELS

__all__ = ["ENDS", "KINDS", "NUMBERS", "OBSERVED", "SENSORS", "check", "measured"]

ENDS = {
    "p": (*PRESSURES, f"from {PRESSURES[0]:g} to {PRESSURES[1]:g} Pa (is it in atm or bar?)"),
    "T_in": (
        COLDEST,
        HOTTEST,
        f"from {COLDEST:g} to {HOTTEST:g} K (is it in degrees Celsius?)",
    ),
    "phi": (*FLAMMABLE, f"in the flammable range {FLAMMABLE[0]} to {FLAMMABLE[1]}"),
}
"""The least and the largest of each state of the inlet, and words for it."""

_PLACED = ("x", *INLET)
KINDS = (
    Kind(SPEED, "m s-1", "laminar flame speed", 0.25, (*INLET,)),
    Kind("T", "K", "temperature", 1024.0, _PLACED),
    Kind("u", "m s-1", "velocity of the gas", 1.0, _PLACED),
    Kind("V", "s-1", "radial velocity over radius", 128.0, _PLACED),
    *(Kind(f"Y_{name}", "1", f"mass fraction of {name}", 0.125, _PLACED) for name in SPECIES),
)
"""What data may be, in the order of their numbers."""

NUMBERS = {kind.name: n for n, kind in enumerate(KINDS)}

OBSERVED = Observed(
    "flame",
    "1",
    "measurements of flames by quantity: 0 flame speed (0.25 m s-1), 1 temperature (1024 K), "
    "2 velocity (1 m s-1), 3 radial velocity over radius (128 s-1), 4 and on mass fractions of "
    f"{', '.join(SPECIES)} (0.125)",
    {KIND: "1", "x": "m", **{short: LABELS[name][0] for short, name in INLET.items()}},
    kinds=KINDS,
    kind=KIND,
)

SENSORS = InletSensors(
    OBSERVED,
    ENDS,
    ("T", "Y_CH4", "Y_CO2"),
    "PLACES or PLACES@QUANTITIES, such as grid:10@T,Y_CH4 with quantities among T, u, V, "
    f"{', '.join(f'Y_{name}' for name in SPECIES)}; speed or speed:PHI,PHI,... of free flames; "
    "several of these joined by +; or a CSV file with a header of quantity and x, and of p, T_in "
    "and phi where they differ",
)


def measured(counterflow: bool) -> tuple[Kind, ...]:
    """The quantities that a flame has: V of counterflows, s_L of the others."""
    return tuple(kind for kind in KINDS if kind.name != (SPEED if counterflow else "V"))


def check(config: SpeciesConfig, sensors: Sensors) -> None:
    """Refuse sensors outside the domain, states of the inlet and quantities that no flame has.

    Raises:
        DataSchemaError: names the first one.
    """
    SENSORS.check(config, sensors)
    none = NUMBERS[SPEED if config.counterflow else "V"]
    bad = (sensors[KIND] == none).nonzero()[0]
    if len(bad):
        raise DataSchemaError(
            f"sensor {bad[0]} is of {KINDS[none].name}, which a flame with configuration "
            f"'{config.configuration}' does not have; leave it out"
        )
