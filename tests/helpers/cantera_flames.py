"""Flames of five species by Cantera's own solvers, extrapolated over its grids.

Cantera's differences are upwind, of first order. Grids are halved, cell by cell, from one that its
criteria make, and its tolerances are tight, so that what is left falls by half from grid to grid.
"""

from dataclasses import dataclass

import cantera as ct
import numpy as np

from pdeinv.problems.flame.species.gas import SPECIES, Reaction, solution

TOLERANCES = {"default": (1e-8, 1e-13)}
POINTS = 20_000
WIDTH = 0.03
"""Of the domain of free flames, m."""


@dataclass
class Extrapolated:
    """A value on each grid, the observed order, and what a grid without error would give."""

    points: list
    values: list

    @property
    def order(self):
        a, b, c = self.values[-3:]
        return float(np.log2(abs((a - b) / (b - c))))

    @property
    def limit(self):
        b, c = self.values[-2:]
        return c + (c - b) / (2**self.order - 1)

    @property
    def uncertainty(self):
        """How far the limit moves where the order is taken to be one."""
        b, c = self.values[-2:]
        return max(abs(self.limit - (2 * c - b)), 1e-3 * abs(c - b))


def gas_of(at):
    """Cantera's gas with the rate of some parameters, at the state of the inlet."""
    gas = solution(at.pre_exponential, at.activation_energy, Reaction())
    gas.TP = at.inlet_temperature, at.pressure
    gas.set_equivalence_ratio(at.equivalence_ratio, "CH4", "O2:1, N2:3.76")
    return gas


def tight(flame):
    flame.max_grid_points = POINTS
    flame.transport_model = "mixture-averaged"
    flame.flame.set_steady_tolerances(**TOLERANCES)
    flame.flame.set_transient_tolerances(**TOLERANCES)
    return flame


def free_on(at, x):
    gas = gas_of(at)
    made = ct.FreeFlame(gas, grid=x) if x is not None else ct.FreeFlame(gas, width=WIDTH)
    made.set_initial_guess()
    return tight(made)


def counterflow_on(at, x):
    gas = gas_of(at)
    inlet = gas.X
    made = ct.CounterflowPremixedFlame(gas=gas, grid=x)
    made.reactants.mdot, made.products.mdot = at.mass_flux, at.opposed_mass_flux
    made.reactants.T, made.products.T = at.inlet_temperature, at.opposed_temperature
    made.reactants.X, made.products.X = inlet, "N2:1"
    made.P = at.pressure
    made.set_initial_guess(equilibrate=False)
    return tight(made)


def profiles(flame, counterflow):
    """Fields of a flame of Cantera by name, at its points."""
    found = {name: flame.Y[k] for k, name in enumerate(SPECIES)}
    found["T"], found["velocity"] = flame.T, flame.velocity
    if counterflow:
        found["spreadRate"], found["Lambda"] = flame.spread_rate, flame.L
    return found


def started(flame, x, fields):
    """With profiles at places x as the start."""
    domain = flame.flame
    for name, values in fields.items():
        domain.set_profile(name, (x - x[0]) / (x[-1] - x[0]), values)


def criteria(flame, span):
    flame.set_refine_criteria(ratio=3, slope=span, curve=span)


def halved(x):
    return np.sort(np.append(x, 0.5 * (x[1:] + x[:-1])))


def extrapolated(flame, again, value):
    """A value of a flame on its grid and on two halvings of it, with the last flame.

    Args:
        flame: of Cantera, solved.
        again: x to the same flame on these points, not yet solved, with its start set.
        value: of a flame.
    """
    points, values = [len(flame.grid)], [value(flame)]
    for _ in range(2):
        flame = again(flame, halved(flame.grid))
        flame.solve(0, refine_grid=False, auto=False)
        points.append(len(flame.grid))
        values.append(value(flame))
    return Extrapolated(points, values), flame


def free_flame(at, span):
    """A free flame on the grid of its criteria."""
    flame = free_on(at, None)
    criteria(flame, span)
    flame.solve(0, auto=True)
    return flame


def free_again(at):
    """How a free flame is put on other points, held at the same temperature."""

    def again(flame, x):
        made = free_on(at, x)
        started(made, flame.grid, profiles(flame, False))
        made.inlet.mdot = flame.velocity[0] * flame.density[0]
        made.fixed_temperature = flame.fixed_temperature
        return made

    return again


def fields_of(fields):
    """A dataset of pdeinv's as Cantera names its fields, at the ends of cells."""
    own = {name: fields[f"Y_{name}"].values[::2] for name in SPECIES}
    own |= {"T": fields["T"].values[::2], "velocity": fields["u"].values[::2]}
    pressure = np.full(len(own["T"]), float(fields["Lambda"]))
    return own | {"spreadRate": fields["V"].values[::2], "Lambda": pressure}


def counterflow_from(at, fields, span):
    """A counterflow on the grid of its criteria, started from a dataset of pdeinv's."""
    x, own = fields["x"].values[::2], fields_of(fields)
    flame = counterflow_on(at, x)
    started(flame, x, own)
    criteria(flame, span)
    flame.solve(0, auto=False)
    return flame


def counterflow_again(at):
    """How a counterflow is put on other points."""

    def again(flame, x):
        made = counterflow_on(at, x)
        started(made, flame.grid, profiles(flame, True))
        return made

    return again


def difference(flame, fields, shift):
    """Relative L2 distances of T and of each Y between a flame of Cantera and a dataset of ours.

    Args:
        flame: of Cantera.
        fields: of ``solve``.
        shift: what is added to the places of Cantera's flame.
    """
    x, found = flame.grid + shift, {}
    inside = (x >= float(fields.x[0])) & (x <= float(fields.x[-1]))
    weights = np.gradient(x) * inside
    for name, theirs in profiles(flame, False).items():
        if name != "velocity":
            key = "T" if name == "T" else f"Y_{name}"
            ours = np.interp(x, fields.x, fields[key])
            gap, size = weights @ (ours - theirs) ** 2, weights @ theirs**2
            found[key] = float(np.sqrt(gap / size))
    return found


def shift_to(flame, fields, temperature):
    """How far our flame lies behind Cantera's, where both have the same temperature, m."""
    hot = int(np.argmax(fields["T"].values))
    ours = np.interp(temperature, fields["T"].values[: hot + 1], fields["x"].values[: hot + 1])
    rising = slice(0, int(np.argmax(flame.T)) + 1)
    return float(ours - np.interp(temperature, flame.T[rising], flame.grid[rising]))


def saved_burner(folder, **refined):
    """A burner flame of hydrogen as Cantera saves it, each way: ``flame.yaml``, ``.csv``, ``.h5``.

    Args:
        folder: where.
        refined: criteria of its grid.
    """
    gas = ct.Solution("h2o2.yaml")
    gas.set_equivalence_ratio(0.8, "H2", {"O2": 0.21, "N2": 0.79})
    gas.TP = 300.0, 101325.0
    flame = ct.BurnerFlame(gas, width=0.02)
    flame.burner.mdot = 0.4
    flame.set_refine_criteria(**refined)
    flame.solve(loglevel=0)
    flame.save(folder / "flame.yaml", name="burner")
    flame.save(folder / "flame.csv", basis="mole")
    if "native" in ct.hdf_support():
        flame.save(folder / "flame.h5", name="burner")
    return flame
