"""Counterflows of growing strain, past the fold where they go out.

Both mass fluxes grow by the same factor e^σ. Fields, Λ and σ are solved for together, with the
length of the way as one more equation, so that the way turns round where no flame burns at a larger
σ: there it is extinguished (pseudo-arclength, Keller 1977; Nishioka et al. 1996 hold a temperature
instead). The length is that of temperatures, by their rise, and of σ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from pdeinv.errors import SolverDiverged
from pdeinv.typing import Array

from ..bordered_bands import BorderedBands
from .adapt import Criteria, moved_to, split
from .equations import Equations, Flame
from .newton import Scale
from .parameters import NAMES, Parameters
from .strain import strain_rate

__all__ = ["Point", "branch", "extinction"]

FIRST, LONGEST, SHORTEST = 0.3, 0.5, 1e-3
"""Lengths of steps along the way."""
STEPS = 10
"""Steps of Newton's method at most."""
CLOSE = 1e-7
"""A relative step at which it ends."""
POINTS = 200
"""Of the way, at most."""
ROUNDS, EXACT = 8, 1e-5
"""Parabolas through flames about the fold, at most; and how close their fluxes come."""


@dataclass(frozen=True)
class Point:
    """A flame of the way.

    Attributes:
        equations: that it solves.
        at: its parameters.
        flame: it.
    """

    equations: Equations
    at: Parameters
    flame: Flame

    @property
    def strain(self) -> float:
        """Its strain rate, s-1."""
        return strain_rate(self.equations, self.at, self.flame)

    @property
    def hottest(self) -> float:
        """K."""
        return float(self.flame.values[:, 0].max())


@dataclass(frozen=True)
class _Direction:
    """Where the way leads: fields (size,), Λ and σ, of length one."""

    fields: Array
    eigenvalue: float
    logarithm: float


def branch(point: Point, criteria: Criteria) -> Iterator[Point]:
    """Flames of growing strain, and on past the fold.

    Args:
        point: a counterflow that burns.
        criteria: of cells.

    Raises:
        SolverDiverged: the way cannot be followed any further.
    """
    step, before = FIRST, None
    for _ in range(POINTS):
        yield point
        point = _adapted(point, criteria)
        direction = _direction(point, before)
        while True:
            try:
                new = _corrected(point, direction, step)
                break
            except SolverDiverged:
                step /= 2
                if step < SHORTEST:
                    raise
        before = point, new
        point, step = new, min(1.5 * step, LONGEST)


def extinction(point: Point, criteria: Criteria) -> tuple[list[Point], Point]:
    """Follow a flame until it goes out.

    Returns:
        The way, and the flame at its fold.

    Raises:
        SolverDiverged: the way cannot be followed, or does not turn round.
    """
    way: list[Point] = []
    for found in branch(point, criteria):
        way.append(found)
        top = int(np.argmax([p.at.mass_flux for p in way]))
        if 0 < top < len(way) - 1:
            return way, _fold(way[top - 1 : top + 2], criteria)
    raise SolverDiverged(f"no fold was found in {POINTS} flames of growing strain")


def _fold(three: list[Point], criteria: Criteria) -> Point:
    """The flame of the largest fluxes, by parabolas of these along the hottest temperature."""
    best = three[1]
    for _ in range(ROUNDS):
        hottest, fluxes = (np.array([f(p) for p in three]) for f in (_hottest, _flux))
        a, b, _ = np.polyfit(hottest - hottest[1], fluxes, 2)
        best = _held(_adapted(three[1], criteria), float(hottest[1] - b / (2 * a)))
        three = sorted([*three, best], key=_flux)[-3:]
        three.sort(key=_hottest)
        if np.ptp([p.at.mass_flux for p in three]) < EXACT * best.at.mass_flux:
            break
    return best


def _flux(point: Point) -> float:
    return point.at.mass_flux


def _hottest(point: Point) -> float:
    return point.hottest


def _scaled(at: Parameters, logarithm: float) -> Parameters:
    factor = float(np.exp(logarithm))
    return replace(
        at,
        mass_flux=factor * at.mass_flux,
        opposed_mass_flux=factor * at.opposed_mass_flux,
    )


def _weights(point: Point) -> Array:
    """Of the temperatures in the square of a length, (size,); zero for other fields."""
    grid = point.equations.grid
    out = np.zeros_like(point.flame.values)
    rise = Scale.of(point.equations, point.at).fields[0]
    out[:, 0] = grid.weights / (grid.x[-1] - grid.x[0]) / (0.1 * rise) ** 2
    return out.ravel()


def _factor(point: Point, row: Array, corner: float) -> BorderedBands:
    """The derivative by fields, Λ and σ, with the row of the length behind that of the border."""
    bands, column, border, inner = point.equations.matrix(point.at, point.flame)
    by_flux, by_border = _by_logarithm(point)
    columns = np.column_stack([column, by_flux])
    rows = np.vstack([border, row])
    corners = np.array([[inner[0, 0], by_border], [0.0, corner]])
    return BorderedBands(bands, columns, rows, corners)


def _by_logarithm(point: Point) -> tuple[Array, float]:
    """∂F/∂σ of all rows and of the border."""
    inner, border = point.equations.by_parameters(point.at, point.flame)
    change = np.zeros(len(NAMES))
    for name in ("mass_flux", "opposed_mass_flux"):
        change[NAMES.index(name)] = getattr(point.at, name)
    return inner @ change, float((border @ change)[0])


def _direction(point: Point, before: tuple[Point, Point] | None) -> _Direction:
    """The tangent of the way, on from the last step, or towards larger fluxes at first."""
    weights = _weights(point)
    if before is None:
        row, corner = np.zeros(point.equations.grid.size), 1.0
    else:
        old, new = before
        (_, past), values = moved_to(old.equations, old.flame, point.equations.grid.places), point
        row = weights * (values.flame.values - past.values).ravel()
        corner = float(np.log(new.at.mass_flux / old.at.mass_flux))
    fields, rest = _factor(point, row, corner).solve(np.zeros(len(row)), np.array([0.0, 1.0]))
    length = float(np.sqrt(weights @ fields**2 + rest[1] ** 2))
    return _Direction(fields / length, float(rest[0]) / length, float(rest[1]) / length)


def _corrected(point: Point, along: _Direction, step: float) -> Point:
    """The flame a step further.

    Raises:
        SolverDiverged: Newton's method does not lead there.
    """
    row = _weights(point) * along.fields
    shape = point.flame.values.shape
    change = (step * along.fields).reshape(shape)
    start = Flame(point.flame.values + change, point.flame.eigenvalue + step * along.eigenvalue)

    def length(new: Flame, logarithm: float) -> float:
        way = row @ (new.values - point.flame.values).ravel()
        return float(way) + along.logarithm * logarithm - step

    closing = row, along.logarithm
    return _solved(point, closing, length, (start, step * along.logarithm))


def _solved(
    point: Point,
    closing: tuple[Array, float],
    rest_of: Callable[[Flame, float], float],
    start: tuple[Flame, float] | None = None,
) -> Point:
    """Newton's method for fields, Λ and σ.

    Args:
        point: σ counts from its fluxes.
        closing: the derivatives of the last equation by fields and by σ.
        rest_of: that equation.
        start: flame and σ; those of the point where not given.

    Raises:
        SolverDiverged: it does not converge.
    """
    scale = Scale.of(point.equations, point.at)
    flame, logarithm = start or (point.flame, 0.0)
    for _ in range(STEPS):
        now = Point(point.equations, _scaled(point.at, logarithm), flame)
        rows, border = now.equations.residual(now.at, flame)
        rest = np.array([border[0], rest_of(flame, logarithm)])
        found, numbers = _factor(now, *closing).solve(-rows, -rest)
        step = found, float(numbers[0])
        size = max(scale.size(step, flame.eigenvalue), abs(float(numbers[1])))
        if not size < 1:
            break
        flame, logarithm = scale.moved(flame, step, 1.0), logarithm + float(numbers[1])
        if size < CLOSE:
            return Point(point.equations, _scaled(point.at, logarithm), flame)
    raise SolverDiverged("the way of growing strain cannot be followed any further")


def _adapted(point: Point, criteria: Criteria) -> Point:
    """The same flame on cells that follow it, where it has left those that it had.

    Raises:
        SolverDiverged: it is lost on the way.
    """
    for _ in range(4):
        places = point.equations.grid.places
        marked = split(point.equations.grid, point.flame.values, criteria)
        if not marked.any():
            break
        middles = 0.5 * (places[1:] + places[:-1])[marked]
        equations, start = moved_to(
            point.equations, point.flame, np.sort(np.append(places, middles))
        )
        point = _held(Point(equations, point.at, start))
    return point


def _held(point: Point, hottest: float | None = None) -> Point:
    """The flame of a hottest temperature: fluxes are not held, since at a fold they cannot be.

    Raises:
        SolverDiverged: there is none.
    """
    scale = Scale.of(point.equations, point.at)
    node, rise = int(np.argmax(point.flame.values[:, 0])), scale.fields[0]
    wanted = (point.hottest if hottest is None else hottest) / rise
    row = np.zeros(point.equations.grid.size)
    row[node * point.equations.grid.fields] = 1 / rise
    return _solved(point, (row, 0.0), lambda new, _: float(new.values[node, 0] / rise) - wanted)
