"""How the data of this example were made: a counterflow by Cantera, which shares no solver here.

    python examples/flame-species/make.py

Methane and air at φ = 0.8 against nitrogen, 1 kg m-2 s-1 and 300 K each, 20 mm apart, at 1 atm:
one reaction, mixture-averaged transport, on Cantera's grid for slope = curve = 0.01. Eight
quantities at 16 places with noise of 2 % of the largest value of each. E is 83680 J/mol.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cantera as ct
import numpy as np

HERE = Path(__file__).parent
FACTOR, ENERGY = 1.1e7, 83680.0  # of concentrations in mol m-3, and J mol-1
SPECIES = ("O2", "H2O", "CH4", "CO2", "N2")
PHI, FLUX, LENGTH, NOISE = 0.8, 1.0, 0.02, 0.02


def gas() -> Any:
    """Five species of GRI-Mech 3.0 and CH4 + 2 O2 => CO2 + 2 H2O, whose rate has [CH4] [O2]^½."""
    known = {s.name: s for s in ct.Species.list_from_file("gri30.yaml")}
    rate = ct.ArrheniusRate(FACTOR * 1e3**0.5, 0.0, 1e3 * ENERGY)
    step = ct.Reaction(equation="CH4 + 2 O2 => CO2 + 2 H2O", rate=rate)
    step.orders = {"CH4": 1.0, "O2": 0.5}
    found = ct.Solution(
        thermo="ideal-gas", kinetics="gas", transport_model="mixture-averaged",
        species=[known[name] for name in SPECIES], reactions=[step],
    )  # fmt: skip
    found.TP = 300.0, ct.one_atm
    found.set_equivalence_ratio(PHI, "CH4", "O2:1, N2:3.76")
    return found


def flame() -> Any:
    """The counterflow, first against burnt gas, then against nitrogen."""
    mixture = gas()
    inlet = mixture.X
    made = ct.CounterflowPremixedFlame(gas=mixture, width=LENGTH)
    made.reactants.mdot = made.products.mdot = FLUX
    made.reactants.T, made.reactants.X = 300.0, inlet
    made.set_refine_criteria(ratio=3, slope=0.05, curve=0.1)
    made.set_initial_guess(equilibrate=True)
    made.solve(0, auto=True)
    made.products.T, made.products.X = 300.0, "N2:1"
    made.set_refine_criteria(ratio=3, slope=0.01, curve=0.01)
    made.max_grid_points = 5000
    made.solve(0)
    return made


def main() -> None:
    """Write the table: a row for each place."""
    rng, made = np.random.default_rng(17), flame()
    x = np.linspace(0.0, LENGTH, 18)[1:-1]
    columns = {"T [K]": (made.T, 1.0), "u [cm/s]": (made.velocity, 100.0)}
    columns |= {"V [1/s]": (made.spread_rate, 1.0)}
    columns |= {f"Y_{name} [%]": (made.Y[k], 100.0) for k, name in enumerate(SPECIES)}
    header, cells = ["x [mm]"], [[f"{1e3 * place:.3f}" for place in x]]
    for name, (values, factor) in columns.items():
        sigma = NOISE * factor * np.abs(values).max()
        seen = factor * np.interp(x, made.grid, values) + sigma * rng.standard_normal(len(x))
        stem, _, units = name.partition(" ")
        header += [name, f"{stem}_sigma {units}"]
        cells += [[f"{value:.4f}" for value in seen], [f"{sigma:.4f}"] * len(x)]
    rows = [",".join(header), *(",".join(row) for row in zip(*cells, strict=True))]
    (HERE / "counterflow.csv").write_text("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
