"""How the data of this example were made: by Cantera alone, on a grid finer than the inversion has.

    python examples/flame-cantera/make.py

Hydrogen, oxygen and argon on a burner at 0.05 atm. The rate of H + O2 <=> O + OH is 1.4 times that
of the mechanism. Temperatures at twenty places, 2 % noise on each.
"""

from __future__ import annotations

from pathlib import Path

import cantera as ct
import numpy as np

HERE = Path(__file__).parent
FACTOR, NOISE, REACTION = 1.4, 0.02, "H + O2 <=> O + OH"
PRESSURE, INLET, FLUX, RATIO = 0.05, 373.0, 0.06, 0.75


def burner() -> ct.BurnerFlame:
    """The flame."""
    gas = ct.Solution("h2o2.yaml")
    gas.set_multiplier(FACTOR, gas.reaction_equations().index(REACTION))
    gas.set_equivalence_ratio(RATIO, "H2", {"O2": 0.125, "AR": 0.875})
    gas.TP = INLET, PRESSURE * ct.one_atm
    flame = ct.BurnerFlame(gas, width=0.2)
    flame.burner.mdot = FLUX
    for slope in (0.05, 0.01):
        flame.set_refine_criteria(ratio=2, slope=slope, curve=slope)
        flame.solve(loglevel=0)
    return flame


def main() -> None:
    """Write the table: a row for each place."""
    rng = np.random.default_rng(5)
    flame = burner()
    lines = ["x [mm],T [K],T_sigma [K],p [atm],T_in [K],phi,mass_flux [kg/m2/s]"]
    for x in np.geomspace(1e-3, 0.1, 20):
        right = np.interp(x, flame.grid, flame.T)
        seen = right * (1 + NOISE * rng.standard_normal())
        lines.append(
            f"{1e3 * x:.3f},{seen:.1f},{NOISE * right:.1f},{PRESSURE},{INLET:g},{RATIO},{FLUX}"
        )
    (HERE / "burner.csv").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
