"""The equations of a flame in UFL, and their kernels by cell as FFCx compiles them.

Fields on quadratic elements are T and the first four mass fractions and, of a counterflow, the
spread V = v/r and the mass flux M = ρ u; p are the numbers of :data:`.physics.SCALED`, the same in
all cells:

    ∫ (M Y_k′ − W_k ω_k) v − j_k v′ = −[j_k v]
    ∫ (M c_p T′ + Σ j_k c_pk T′ + Σ h_k W_k ω_k) v + λ T′ v′ = 0
    ∫ (M V′ + ρ V² + Λ) v + μ V′ v′ = 0
    ∫ (M′ + 2 ρ V) v = 0

A flame that propagates freely has one mass flux, its eigenvalue; that of a counterflow is Λ. The
mass balance is of first order: its tests are linear in each cell and jump between cells, which
makes it a collocation at two points of Gauss, without spurious modes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from pdeinv.fem.env import fenicsx
from pdeinv.fem.forms import compiled_form
from pdeinv.typing import Array

from .gas import SPECIES, Coefficients, Reaction, coefficients
from .physics import SCALED, Local

__all__ = ["DEGREE", "Kernel", "Kernels", "fields_of", "kernels_of"]

DEGREE = 6
"""Polynomials that the quadrature integrates exactly."""
NODES = 3
"""Of a cell: the ends, then the middle."""


def fields_of(counterflow: bool) -> tuple[str, ...]:
    """The names of the fields, in their order."""
    return ("T", *SPECIES[:-1], *(("V", "M") if counterflow else ()))


@dataclass(frozen=True)
class Kernels:
    """What a cell adds to the equations and to their derivatives.

    Attributes:
        residual: (rows,).
        by_fields: (rows, 3 fields).
        by_numbers: (rows, 7).
    """

    residual: Kernel
    by_fields: Kernel
    by_numbers: Kernel


class Kernel:
    """One compiled form, called for cell after cell.

    Args:
        form: of dolfinx, of one integral over cells.
        shape: of what it gives.
    """

    def __init__(self, form: Any, shape: tuple[int, ...]) -> None:
        self._form, self._shape = form, shape
        self._ffi = form.module.ffi
        self._call = form.ufcx_form.form_integrals[0].tabulate_tensor_float64

    def __call__(self, corners: Array, local: Array) -> Array:
        """Of all cells.

        Args:
            corners: of the cells as points of space (cells, 2, 3).
            local: values of the fields, field by field, and p behind them, (cells, 3 fields + 7).
        """
        found = np.zeros((len(local), *self._shape))
        out, values, places = (self._pointers(a) for a in (found, local, corners))
        null = self._ffi.NULL
        for a, w, x in zip(out, values, places, strict=True):
            self._call(a, w, null, x, null, null, null)
        return found

    def _pointers(self, table: Array) -> list[Any]:
        """The address of each row."""
        start = self._ffi.cast("double *", self._ffi.from_buffer(table))
        step = table[0].size
        return [start + k * step for k in range(len(table))]


@lru_cache(maxsize=8)
def kernels_of(counterflow: bool, reaction: Reaction) -> Kernels:
    """The compiled equations of a configuration; FFCx keeps them on the disk.

    Raises:
        MissingDependency: Cantera is not installed.
        SystemFault: they cannot be compiled.
    """
    forms = _forms(counterflow, reaction, coefficients())
    columns = NODES * len(fields_of(counterflow))
    rows = columns - counterflow  # tests of the mass balance are linear
    shapes = (rows,), (rows, columns), (rows, len(SCALED))
    found = (Kernel(compiled_form(f), s) for f, s in zip(forms, shapes, strict=True))
    return Kernels(*found)


def _forms(counterflow: bool, reaction: Reaction, of: Coefficients) -> tuple[Any, Any, Any]:
    """Residual, and derivatives by fields and by p, on a mesh of one cell."""
    fx = fenicsx()
    ufl, element = fx.ufl, fx.basix_ufl.element
    mesh = fx.mesh.create_unit_interval(fx.MPI.COMM_SELF, 1)
    quadratic, count = element("Lagrange", "interval", 2), len(fields_of(counterflow))
    trials = [quadratic] * count
    tests = [*trials[:-1], element("DG", "interval", 1)] if counterflow else trials
    space, rows = (
        fx.fem.functionspace(mesh, fx.basix_ufl.mixed_element(e)) for e in (trials, tests)
    )
    constants = fx.fem.functionspace(mesh, ("DG", 0, (len(SCALED),)))
    w, p = fx.fem.Function(space), fx.fem.Function(constants)
    integrand = _integrand(of, reaction, (ufl.split(w), ufl.TestFunctions(rows), p), counterflow)
    residual = integrand * ufl.dx(metadata={"quadrature_degree": DEGREE})
    return (
        residual,
        ufl.derivative(residual, w, ufl.TrialFunction(space)),
        ufl.derivative(residual, p, ufl.TrialFunction(constants)),
    )


def _integrand(
    of: Coefficients, reaction: Reaction, functions: tuple[Any, Any, Any], counterflow: bool
) -> Any:
    fields, tests, p = functions
    numbers = {name: p[k] for k, name in enumerate(SCALED)}
    some, slopes = list(fields[1:5]), [y.dx(0) for y in fields[1:5]]
    gas = Local(
        of, reaction, fields[0],
        [*some, 1 - some[0] - some[1] - some[2] - some[3]],
        [*slopes, -slopes[0] - slopes[1] - slopes[2] - slopes[3]],
        numbers,
        fenicsx().ufl,
    )  # fmt: skip
    flux = fields[6] if counterflow else numbers["eigenvalue"]
    found = _energy(gas, flux, tests[0])
    for k in range(len(SPECIES) - 1):
        found += (flux * slopes[k] - gas.rates[k]) * tests[k + 1]
        found -= gas.fluxes[k] * tests[k + 1].dx(0)
    if counterflow:
        spread, v, mass = fields[5], tests[5], tests[6]
        found += (flux * spread.dx(0) + gas.density * spread**2 + numbers["eigenvalue"]) * v
        found += gas.viscosity * spread.dx(0) * v.dx(0)
        found += (flux.dx(0) + 2 * gas.density * spread) * mass
    return found


def _energy(gas: Local, flux: Any, test: Any) -> Any:
    slope = gas.temperature.dx(0)
    carried, released = flux * gas.heat_capacity, 0.0
    for j, c in zip(gas.fluxes, gas.heat_capacities, strict=True):
        carried += j * c
    for h, rate in zip(gas.enthalpies, gas.rates, strict=True):
        released += h * rate
    return (carried * slope + released) * test + gas.conductivity * slope * test.dx(0)
