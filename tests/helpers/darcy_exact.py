"""Exact Darcy solutions, to measure the order of the discretisation."""

from __future__ import annotations

from dataclasses import dataclass

from norms import l2_error

from pdeinv.fem.expressions import Expression
from pdeinv.fem.space import ElementName, degree
from pdeinv.problems.darcy import Darcy, DarcyConfig
from pdeinv.typing import Array


@dataclass(frozen=True)
class ExactCase:
    """A solution of −∇·(κ∇u) = f in formulas; κ is bilinear, hence exact on every parameter grid.

    Attributes:
        kappa: κ.
        u: the head.
        source: f = −∇·(κ∇u).
        u_x: ∂u/∂x.
        u_y: ∂u/∂y.
    """

    kappa: str
    u: str
    source: str
    u_x: str
    u_y: str


SMOOTH = ExactCase(
    kappa="1 + x + 2*y + x*y/2",
    u="sin(pi*x)*cos(pi*y/2) + x*y",
    source="5*pi**2/4*(1 + x + 2*y + x*y/2)*sin(pi*x)*cos(pi*y/2)"
    " - (1 + y/2)*(pi*cos(pi*x)*cos(pi*y/2) + y)"
    " - (2 + x/2)*(x - pi/2*sin(pi*x)*sin(pi*y/2))",
    u_x="pi*cos(pi*x)*cos(pi*y/2) + y",
    u_y="x - pi/2*sin(pi*x)*sin(pi*y/2)",
)

LINEAR = ExactCase(
    kappa="1 + x + 2*y", u="1 + 2*x - 3*y", source="4 + 0*x", u_x="2 + 0*x", u_y="-3 + 0*x"
)

QUADRATIC = ExactCase(
    kappa="1 + x + 2*y",
    u="1 + x**2 + x*y - 2*y**2",
    source="2*(1 + x + 2*y) - (2*x + y) - 2*(x - 4*y)",
    u_x="2*x + y",
    u_y="x - 4*y",
)

_OUTWARD = {"left": ("", "u_x"), "right": ("-", "u_x"), "bottom": ("", "u_y"), "top": ("-", "u_y")}
"""Sign and name of the derivative in −κ∂u/∂n by side."""


def configuration(
    case: ExactCase,
    element: ElementName,
    *,
    flux_sides: tuple[str, ...] = (),
    cells: int | tuple[int, int] = 8,
    lengths: tuple[float, float] = (1.0, 1.0),
) -> DarcyConfig:
    """The configuration whose solution is ``case``: exact fluxes on some sides, u on the others."""
    boundary: dict[str, dict[str, str]] = {}
    for side, (sign, slope) in _OUTWARD.items():
        if side in flux_sides:
            flux = f"{sign}({case.kappa})*({getattr(case, slope)})"
            boundary[side] = {"kind": "flux", "value": flux}
        else:
            boundary[side] = {"kind": "dirichlet", "value": case.u}
    return DarcyConfig.model_validate(
        {
            "lengths": lengths,
            "cells": cells,
            "element": element,
            "boundary": boundary,
            "source": case.source,
        }
    )


@dataclass(frozen=True)
class Manufactured:
    """A problem whose solution is known, with the order at which the error must fall.

    Attributes:
        name: in words.
        problem: the problem.
        m: its unknown.
        exact: u.
        order: of the relative L2 error in the mesh size.
    """

    name: str
    problem: Darcy
    m: Array
    exact: Expression
    order: int

    @classmethod
    def of(cls, name: str, problem: Darcy, case: ExactCase) -> Manufactured:
        """The case with κ at the nodes of the problem's parameter grid."""
        x, y = problem.unknown.variable.places.T
        kappa = Expression(case.kappa)(x, y)
        order = degree(problem.config.element) + 1
        return cls(name, problem, kappa, Expression(case.u), order)

    def error(self, level: int) -> float:
        """The relative L2 error on the mesh of ``level``."""
        system, u = self.problem.state(self.m, level)
        return l2_error(system.space, u, self.exact)


def manufactured() -> tuple[Manufactured, ...]:
    """Exact solutions with smooth variable κ: head on all sides, and flux on two."""
    elements: tuple[ElementName, ...] = ("P1", "P2", "Q1", "Q2")
    sides: dict[str, tuple[str, ...]] = {"fixed head": (), "mixed": ("right", "top")}
    return tuple(
        Manufactured.of(f"{e}, {name}", Darcy(configuration(SMOOTH, e, flux_sides=s)), SMOOTH)
        for e in elements
        for name, s in sides.items()
    )
