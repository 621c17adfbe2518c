"""Strong forms: a problem as residuals of derivatives at points, for solvers without a mesh.

A strong form says what holds where: an equation inside a box, values that are prescribed on its
sides (or at the first time), and equations on other sides. It knows nothing of networks; torch
tensors pass through its functions, and nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import xarray as xr

from pdeinv.model.coefficient import Coefficient
from pdeinv.typing import Array

__all__ = [
    "Box",
    "Coefficients",
    "Derivatives",
    "Equation",
    "Number",
    "Side",
    "StrongForm",
    "StrongFormOf",
    "box_side",
]

Box = tuple[tuple[float, float], ...]


class Derivatives(Protocol):
    """A function u of n points with its derivatives, as tensors of shape (n, outputs)."""

    def number(self, name: str) -> Any:
        """A number that is solved for together with u, or that data read, a tensor (n or 1, 1)."""

    @property
    def value(self) -> Any:
        """u."""

    def first(self, axis: int) -> Any:
        """∂u along one axis."""

    def second(self, axis: int) -> Any:
        """∂²u along one axis, twice."""


Coefficients = Mapping[str, Coefficient | Array]
"""By name; a plain array, (n,) or (n or 1, outputs), is known and does not depend on m."""


@dataclass(frozen=True)
class Equation:
    """residual(u, c) = 0 on some part of the domain.

    Attributes:
        residual: derivatives of u and the coefficients as tensors, to a tensor (n, equations).
        coefficients: points (n, d) to what ``residual`` needs there.
        scale: the size of the residual's largest terms, by which it is made dimensionless.
    """

    residual: Callable[[Derivatives, Mapping[str, Any]], Any]
    coefficients: Callable[[Array], Coefficients]
    scale: float


@dataclass(frozen=True)
class Number:
    """A number that is solved for together with u, such as an eigenvalue.

    Attributes:
        name: by which equations and data ask for it.
        start: where a search begins.
        low: the least value, never reached.
        high: the largest value, never reached.
        units: of all three.
    """

    name: str
    start: float
    low: float
    high: float
    units: str


@dataclass(frozen=True, order=True)
class Side:
    """One face of the box: the low (0) or high (1) end of an axis."""

    axis: int
    end: int

    @property
    def outward(self) -> int:
        """The sign of the outward normal along the axis."""
        return 2 * self.end - 1


def box_side(names: tuple[str, ...], name: str) -> Side:
    """The face that a boundary name means; ``names`` are the low and high ends axis by axis."""
    axis, end = divmod(names.index(name), 2)
    return Side(axis, end)


@dataclass(frozen=True)
class StrongForm:
    """A problem on a box without a mesh.

    Attributes:
        axes: names of the coordinates; time, where there is one, is last and called ``t``.
        box: low and high end of each axis.
        outputs: names of the components of u.
        scale: the typical size of u, in its units.
        curved: axes along which second derivatives occur.
        interior: the equation inside.
        held: faces where u is prescribed: a tensor of points (n, d) to a tensor (n, outputs),
            differentiable; the face (time, 0) holds the initial state.
        soft: equations on other faces.
        sensing: sensors to one point per datum, (n_d, d), and each datum as a function of the
            derivatives at its point, (n_d,).
        fields: the variables of that dataset which hold u.
        nodes: mesh level to the points of its fields, shape (n, d).
        dataset: (m, u at those points, level) to the fields in the layout of ``solve``; where the
            form has numbers, they come last, by name.
        numbers: what is solved for beside u.
        lift: G and D at points, tensors (n, outputs) and (n, 1 or outputs), of an ansatz
            u = G + scale D N, where the form knows better than interpolation between held faces,
            as it does of prescribed slopes; G is then a guess of u, from which a search begins.
        widths: the length along each axis over which u changes; the box where it is not given.
        centres: where on each axis it does; half a width inside the low end where not given.
        spread: points evenly in the unit box to those of the box at which the equation inside is
            asked for, denser where u changes; even ones where it is not given.
        check: raises SolverDiverged, with the reason, where u as a function of points, the numbers
            by name and the rms of the residuals are no solution that the problem means.
        focus: m to the part of the box, of the same axes, where u has to be learned: points are
            taken there alone, and the network's coordinates are its; the box where not given.
        beside: sensors to what data read of the unknown itself at the points of ``sensing``, by
            ``number`` of the derivatives; nothing where not given.
        state: (m, points, u there) to the state, shape (n, outputs), where u is but a part of it,
            as the correction of a guess that depends on m; ``dataset`` and ``check`` get that.
    """

    axes: tuple[str, ...]
    box: Box
    outputs: tuple[str, ...]
    scale: float
    curved: tuple[int, ...]
    interior: Equation
    held: Mapping[Side, Callable[[Any], Any]]
    soft: Mapping[Side, Equation]
    sensing: Callable[[Mapping[str, Array]], tuple[Array, Callable[[Derivatives], Any]]]
    fields: tuple[str, ...]
    nodes: Callable[[int], Array]
    dataset: Callable[..., xr.Dataset]
    numbers: tuple[Number, ...] = ()
    lift: Callable[[Any], tuple[Any, Any]] | None = None
    widths: tuple[float, ...] | None = None
    centres: tuple[float, ...] | None = None
    spread: Callable[[Array], Array] | None = None
    check: Callable[[Callable[[Array], Array], Mapping[str, float], float], None] | None = None
    focus: Callable[[Array], Box] | None = None
    beside: Callable[[Mapping[str, Array]], Coefficients] | None = None
    state: Callable[[Array, Array, Array], Array] | None = None

    @property
    def dim(self) -> int:
        """The number of axes, time included."""
        return len(self.axes)

    @property
    def lengths(self) -> Array:
        """The extent along each axis."""
        return np.array([high - low for low, high in self.box])


StrongFormOf = Callable[[], tuple[StrongForm, Mapping[str, Array]]]
"""Builds a strong form with the sensors of the data, when an engine asks for it."""
