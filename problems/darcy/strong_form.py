"""Darcy flow as residuals at points: κΔu + ∇κ·∇u + f = 0 with head or flux on each side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from pdeinv.errors import ConfigError
from pdeinv.fem.mesh import SIDES
from pdeinv.fem.spacetime import SpaceTime
from pdeinv.fem.strong_diffusion import (
    divergence,
    length_of,
    outward_flux,
    prescribed,
    require_smooth,
    rms,
    samples,
    smooth_field,
    typical_of,
    values_at,
)
from pdeinv.model.strong_form import (
    Box,
    Coefficients,
    Derivatives,
    Equation,
    Side,
    StrongForm,
    box_side,
)
from pdeinv.typing import Array

from .config import Dirichlet, FieldFile, Flux
from .fields import field_function

if TYPE_CHECKING:
    from .problem import Darcy

__all__ = ["strong_form"]


def strong_form(problem: Darcy) -> StrongForm:
    """The strong form of a Darcy problem on a rectangle with a smooth conductivity.

    Raises:
        ConfigError: the domain is a .msh file, or the conductivity jumps.
    """
    config = problem.config
    if config.mesh is not None:
        raise ConfigError(
            f"the strong form needs the rectangle of 'lengths', the problem has {config.mesh}; "
            "use a finite-element method"
        )
    require_smooth(problem.prior(), config.unknown, "conductivity")
    box: Box = tuple((0.0, float(length)) for length in config.lengths)
    sides = {s: config.boundary.get(s, Dirichlet()) for s in SIDES}
    held = {
        box_side(SIDES, s): prescribed(SpaceTime(c.value, 2, "head on a side", timed=False))
        for s, c in sides.items()
        if isinstance(c, Dirichlet)
    }
    fluxes = {box_side(SIDES, s): c for s, c in sides.items() if isinstance(c, Flux)}
    scale, size = _sizes(problem, box, list(sides.values()))
    return StrongForm(
        axes=("x", "y"),
        box=box,
        outputs=(problem.observed.name,),
        scale=scale,
        curved=(0, 1),
        interior=Equation(_balance, lambda p: _inside(problem, p), size),
        held=held,
        soft={side: _flux(problem, side, c, size * length_of(box)) for side, c in fluxes.items()},
        sensing=values_at(problem.axes),
        fields=(problem.observed.name,),
        nodes=lambda level: problem.nodes(level).points,
        dataset=lambda m, u, level: problem.dataset(m, u[:, 0], level),
    )


def _source(problem: Darcy, points: Array) -> Array:
    source = problem.config.source
    if isinstance(source, FieldFile):
        return np.asarray(field_function(source, problem.config.units)(*points.T))
    return SpaceTime(source, 2, "source", timed=False)(points)


def _sizes(problem: Darcy, box: Box, conditions: list[Dirichlet | Flux]) -> tuple[float, float]:
    """Typical sizes of u and of the residual, from sources and boundary values."""
    points, length = samples(box), length_of(box)
    kappa = typical_of(problem.prior())
    source = rms(_source(problem, points))
    sizes = [source * length**2 / kappa / 4]
    for c in conditions:
        value = rms(SpaceTime(c.value, 2, "boundary value", timed=False)(points))
        sizes.append(value if isinstance(c, Dirichlet) else value * length / kappa)
    scale = max(sizes) or 1.0
    return scale, max(source, kappa * scale / length**2)


def _balance(u: Derivatives, c: Mapping[str, Any]) -> Any:
    return divergence(u, c, "kappa", 2) + c["source"]


def _inside(problem: Darcy, points: Array) -> Coefficients:
    kappa = smooth_field("kappa", problem.prior().space.variables[0], points)
    return {**kappa, "source": _source(problem, points)}


def _flux(problem: Darcy, side: Side, condition: Flux, size: float) -> Equation:
    value = SpaceTime(condition.value, 2, "flux", timed=False)
    variable = problem.prior().space.variables[0]

    def coefficients(points: Array) -> Coefficients:
        kappa = smooth_field("kappa", variable, points)["kappa"]
        return {"kappa": kappa, "value": value(points)}

    def residual(u: Derivatives, c: Mapping[str, Any]) -> Any:
        return outward_flux(u, c["kappa"], side) - c["value"]

    return Equation(residual, coefficients, size)
