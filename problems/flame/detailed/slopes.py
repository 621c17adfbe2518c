"""How the state of a flame changes with what is sought.

F(u; θ) = 0 gives du/dθ = −J⁻¹ ∂F/∂θ with J = ∂F/∂u. J is taken by differences of Cantera's own
residual, three points of the grid apart at once, since an equation knows its neighbours only. Those
differences are good to 1e-5 or so, and so is J; a step of iterative refinement, with the exact
product J v by central differences along v, makes the result good to 1e-8.

Cantera's own adjoint solve does without that step, and is off by some 1e-3.

Reference: Curtis, Powell and Reid (1974) for the groups of columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pdeinv.errors import SolverDiverged
from pdeinv.typing import Array

from .inlet import Inlet
from .rates import Sought, factors
from .stack import Stack

__all__ = ["by_inlet", "by_rates", "state_slopes"]

STEP, FLOOR = 1e-7, 1e-9
"""Of differences: relative to each value, and to the largest of its row or one."""
ALONG = 1e-5
"""Of central differences along a direction, in parts of each row's largest value."""
REFINEMENTS = 1
STATE_STEP = 1e-4
"""Of central differences in the state of the inlet, relative."""


def state_slopes(stack: Stack, state: Array, by: Sequence[Array]) -> Array:
    """du/dθ, (names, points, parameters), of the derivatives ∂F/∂θ of the residual.

    Raises:
        SolverDiverged: the matrix is singular.
    """
    if not by:
        return np.zeros((*state.shape, 0))
    solve = _inverse(stack, state)
    columns = [_solved(stack, state, solve, right) for right in by]
    stack.put(state)
    return np.stack(columns, axis=-1)


def _solved(stack: Stack, state: Array, solve: Callable[[Array], Array], right: Array) -> Array:
    found = -solve(right)
    for _ in range(REFINEMENTS):
        found -= solve(right + _along(stack, state, found))
    return found


def _along(stack: Stack, state: Array, direction: Array) -> Array:
    """J v by central differences."""
    largest = np.maximum(np.abs(state).max(axis=1), 1e-3)
    reach = np.max(np.abs(direction) / largest[:, None])
    if not 0 < reach < np.inf:
        return np.zeros_like(state) if reach == 0 else np.full_like(state, np.nan)
    h = ALONG / reach
    found = stack.residual(state + h * direction) - stack.residual(state - h * direction)
    return np.asarray(found / (2 * h))


def _inverse(stack: Stack, state: Array) -> Callable[[Array], Array]:
    """J⁻¹ of arrays of the shape of the state, by a sparse factor."""
    from scipy.sparse.linalg import splu

    matrix = _jacobian(stack, state)
    # equations differ by many orders of magnitude
    scale = 1.0 / np.maximum(np.abs(matrix).max(axis=1).toarray().ravel(), 1e-300)
    matrix.data *= scale[matrix.indices]
    try:
        factor = splu(matrix)
    except RuntimeError as error:
        raise SolverDiverged(f"the derivative of the flame is singular: {error}") from None

    def solve(right: Array) -> Array:
        return np.asarray(factor.solve(scale * right.T.ravel()).reshape(right.T.shape).T)

    return solve


def _jacobian(stack: Stack, state: Array) -> Any:
    """J in compressed columns, unknowns ordered point by point."""
    from scipy.sparse import csc_matrix

    count, points = state.shape
    at = stack.residual(state)
    floor = FLOOR * np.maximum(np.abs(state).max(axis=1, keepdims=True), 1.0)
    steps = STEP * np.abs(state) + floor
    rows, columns, values = [], [], []
    for name in range(count):
        for first in range(min(3, points)):
            moved, own = state.copy(), np.arange(first, points, 3)
            moved[name, own] += steps[name, own]
            change = stack.residual(moved) - at
            for beside in (-1, 0, 1):
                there = own[(own + beside >= 0) & (own + beside < points)]
                quotient = change[:, there + beside] / (moved - state)[name, there]
                numbers = (there + beside) * count + np.arange(count)[:, None]
                rows.append(numbers.ravel())
                columns.append(np.broadcast_to(there * count + name, numbers.shape).ravel())
                values.append(quotient.ravel())
    joined = [np.concatenate(parts) for parts in (values, rows, columns)]
    return csc_matrix((joined[0], (joined[1], joined[2])), (count * points,) * 2)


def by_rates(stack: Stack, state: Array, sought: Sequence[Sought]) -> list[Array]:
    """∂F by the unknowns of rates: F is linear in each rate constant, and local in its effect."""
    at = stack.residual(state)
    known: dict[tuple[int, ...], Array] = {}
    found = []
    for one in sought:
        if one.reactions not in known:
            known[one.reactions] = _by_constants(stack, one.reactions) - at
        found.append(known[one.reactions] * factors(one.part, state[1]))
    return found


def _by_constants(stack: Stack, reactions: tuple[int, ...]) -> Array:
    """F with the rate constants of some reactions doubled."""
    before = {i: stack.gas.multiplier(i) for i in reactions}
    try:
        for i, multiplier in before.items():
            stack.gas.set_multiplier(2.0 * multiplier, i)
        return stack.again()
    finally:
        for i, multiplier in before.items():
            stack.gas.set_multiplier(multiplier, i)


def by_inlet(stack: Stack, state: Array, inlet: Inlet, names: Sequence[str]) -> list[Array]:
    """∂F by entries of the state of the inlet, by central differences."""
    found = []
    for name in names:
        value = getattr(inlet, name)
        step = STATE_STEP * value
        both = []
        for sign in (1.0, -1.0):
            stack.set_inlet(inlet._replace(**{name: value + sign * step}))
            both.append(stack.residual(state))
        found.append((both[0] - both[1]) / (2 * step))
    stack.set_inlet(inlet)
    return found
