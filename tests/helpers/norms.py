"""Errors of discrete solutions against known ones."""

from __future__ import annotations

import numpy as np

from pdeinv.fem.env import fenicsx
from pdeinv.fem.quadrature import QuadratureSpace
from pdeinv.fem.space import LagrangeSpace, PointFunction, degree
from pdeinv.typing import Array

__all__ = ["l2_error"]


def l2_error(space: LagrangeSpace, u: Array, exact: PointFunction) -> float:
    """‖u_h − u‖ / ‖u‖ in L2 of the domain, by a rule that is exact for degree 2 p + 4.

    Args:
        space: the space of u_h.
        u: local values of the degrees of freedom.
        exact: u as a function of x and y.
    """
    fx = fenicsx()
    rule = QuadratureSpace(space, 2 * degree(space.element) + 4)
    known = rule.function(exact(rule.points[:, 0], rule.points[:, 1]))
    found = fx.fem.Function(space.V)
    found.x.array[:] = u
    squares = [
        space.comm.allreduce(fx.fem.assemble_scalar(fx.fem.form(e * e * rule.dx)))
        for e in (found - known, known)
    ]
    return float(np.sqrt(squares[0] / squares[1]))
