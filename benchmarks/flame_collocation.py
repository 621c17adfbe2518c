"""A counterflow of five species by collocation of order four: another order, on another mesh.

Quadratic elements, which inversions use, must not judge themselves. Here the equations of first
order for T, Y_k, V, M and the fluxes −λ T′, j_k, μ V′ are solved by the three-stage Lobatto formula
of ``scipy.integrate.solve_bvp`` with its own control of residuals (Kierzenka and Shampine 2001).
The formulas of the gas are the same; slopes of the fractions follow from the fluxes, which are
linear in them.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import xarray as xr
from scipy.integrate import solve_bvp

from pdeinv.errors import SolverDiverged
from pdeinv.problems.flame.species import SpeciesConfig
from pdeinv.problems.flame.species.flames import setting_of
from pdeinv.problems.flame.species.gas import SPECIES
from pdeinv.problems.flame.species.parameters import Parameters
from pdeinv.problems.flame.species.physics import SCALED, Local
from pdeinv.typing import Array

__all__ = ["profiles"]

NUMPY = SimpleNamespace(
    ln=np.log, exp=np.exp, sqrt=np.sqrt, max_value=np.maximum, min_value=np.minimum
)
SOME = len(SPECIES) - 1
TOLERANCE = 1e-6
"""Of relative residuals."""
SIZES = np.array([1e3, *[0.1] * SOME, 1e2, 1.0, 1e5, *[0.01] * SOME, 1e-2])
"""Of T, Y, V, M, the flux of heat, those of species and the shear."""


def profiles(
    config: SpeciesConfig, at: Parameters, start: xr.Dataset, x: Array
) -> dict[str, Array]:
    """T, u, V and mass fractions at places, from a flame to start at.

    Raises:
        SolverDiverged: the collocation does not converge.
    """
    setting = setting_of(config)
    reactants, opposed = setting.inlet(at)[0][:SOME], setting.opposed[:SOME]

    def gas(y: Array, slopes: Array, eigenvalue: float) -> Local:
        numbers: dict[str, Any] = {name: getattr(at, name, 0.0) for name in SCALED}
        numbers["eigenvalue"] = eigenvalue
        fractions = [*y[1 : SOME + 1], 1 - y[1 : SOME + 1].sum(axis=0)]
        changes = [*slopes, -slopes.sum(axis=0)]
        return Local(setting.gas, config.law, y[0], fractions, changes, numbers, NUMPY)

    def change(_: Array, scaled: Array, p: Array) -> Array:
        y = scaled * SIZES[:, None]
        heat, fluxes, shear = y[7], y[8 : 8 + SOME], y[8 + SOME]
        columns = [
            np.stack(gas(y, np.repeat(unit[:, None], y.shape[1], 1), p[0]).fluxes[:SOME])
            for unit in np.eye(SOME)
        ]
        slopes = np.linalg.solve(np.stack(columns).transpose(2, 1, 0), fluxes.T[:, :, None])[
            ..., 0
        ].T
        here = gas(y, slopes, p[0])
        by_x, flux = -heat / here.conductivity, y[6]
        carried = flux * here.heat_capacity
        released: Any = 0.0
        for j, c, h, rate in zip(
            here.fluxes, here.heat_capacities, here.enthalpies, here.rates, strict=True
        ):
            carried, released = carried + j * c, released + h * rate
        bend = shear / here.viscosity
        found = [by_x, *slopes, bend, -2 * here.density * y[5], -(carried * by_x + released)]
        found += [
            rate - flux * slope for rate, slope in zip(here.rates[:SOME], slopes, strict=True)
        ]
        found.append(flux * bend + here.density * y[5] ** 2 + 1e4 * p[0])
        return np.stack(found) / SIZES[:, None]

    def ends(first: Array, last: Array, _: Array) -> Array:
        a, b = first * SIZES, last * SIZES
        inflow = [
            flux * (y[1 : SOME + 1] - stream) + y[8 : 8 + SOME]
            for y, stream, flux in (
                (a, reactants, at.mass_flux),
                (b, opposed, -at.opposed_mass_flux),
            )
        ]
        held = [
            a[0] - at.inlet_temperature, b[0] - at.opposed_temperature, a[5], b[5],
            a[6] - at.mass_flux, b[6] + at.opposed_mass_flux,
        ]  # fmt: skip
        return np.concatenate([held, *inflow])

    places = np.asarray(start["x"])[::2]
    fields = ["T", *(f"Y_{name}" for name in SPECIES[:SOME]), "V", "mass_flux_of_gas"]
    values = np.stack([np.asarray(start[name])[::2] for name in fields])
    slopes = np.gradient(values, places, axis=1)
    here = gas(values, slopes[1 : SOME + 1], 0.0)
    guess = np.concatenate(
        [
            values,
            (-here.conductivity * slopes[0])[None],
            np.stack(here.fluxes[:SOME]),
            (here.viscosity * slopes[5])[None],
        ]
    )
    found = solve_bvp(
        change, ends, places, guess / SIZES[:, None], p=[float(start["Lambda"]) / 1e4],
        tol=TOLERANCE, max_nodes=8000,
    )  # fmt: skip
    if not found.success:
        raise SolverDiverged(f"the collocation did not converge: {found.message}")
    y = found.sol(x) * SIZES[:, None]
    own = gas(y, 0 * y[1 : SOME + 1], 0.0)
    masses = {f"Y_{name}": y[k + 1] for k, name in enumerate(SPECIES[:SOME])}
    return {
        "T": y[0], "u": y[6] / own.density, "V": y[5], **masses,
        f"Y_{SPECIES[-1]}": 1 - y[1 : SOME + 1].sum(axis=0),
        "Lambda": 1e4 * found.p, "nodes": np.array([len(found.x)]),
    }  # fmt: skip
