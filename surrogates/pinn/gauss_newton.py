"""Levenberg-Marquardt steps on the residuals of a physics-informed network.

The objective is ½‖r(z)‖² with one row of r per collocation point and equation, datum and component
of xi. Rows of different points share no unit of the network, so that one backward pass per equation
gives, layer by layer, the derivative of every row by that row's own pre-activations, and outer
products with the layer's inputs give the Jacobian.

References: Nielsen (1999) for the damping; Gauss-Newton for such networks: Jnini, Vella and
Zeinhofer (2024).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from pdeinv.model.strong_form import Coefficients
from pdeinv.typing import Array

from ..common.torch_env import torch
from .network import Jets, Trace
from .numbers import slopes_of, values_of
from .objective import Objective, Part

__all__ = ["levenberg_marquardt", "linearized"]

FIRST_DAMPING = 1e-3
"""Of the largest diagonal entry of J^T J, at the first step."""


def linearized(
    objective: Objective, z: Array, parts: list[Part], weights: Array, penalty: float
) -> tuple[Array, Array]:
    """r and its Jacobian by z, shapes (rows,) and (rows, size), with total = ½‖r‖²."""
    n, net = objective.n_solution, objective.net.n_weights
    theta = torch.as_tensor(z[:net], dtype=objective.dtype).requires_grad_()
    blocks = [
        _equation(objective, theta, z[net:n], z[n:], part, math.sqrt(2.0 * penalty * w))
        for part, w in zip(parts, weights, strict=True)
    ]
    if objective.inference is not None:
        blocks.append(_data(objective, theta, z[net:n], z[n:]))
        identity = np.zeros((len(z) - n, len(z)))
        identity[:, n:] = np.eye(len(z) - n)
        blocks.append((z[n:], identity))
    return np.concatenate([r for r, _ in blocks]), np.concatenate([j for _, j in blocks])


def _equation(
    objective: Objective, theta: Any, nu: Array, xi: Array, part: Part, factor: float
) -> tuple[Array, Array]:
    """Rows of one equation, equation by equation of a system."""
    net, trace = objective.net, Trace()
    numbers = _numbers(objective, nu, len(part.points))
    u = part.frame(net(theta, part.points, trace), numbers)
    values, slopes = _coefficients(objective, part.coefficients, len(part.points), xi)
    residual = part.equation.residual(u, values)
    factor /= part.equation.scale * math.sqrt(residual.numel())
    rows, jacobians = [], []
    leaves = [*numbers.values(), *(values[name] for name in slopes)]
    for e, (back, by_leaves) in enumerate(_by_jets(residual, u, leaves)):
        by_layers, _ = _pulled([u.value, u.slopes, u.curves], back, trace, [])
        jacobian = np.zeros((len(part.points), objective.size))
        jacobian[:, : objective.n_solution] = _by_solution(
            objective, nu, trace, by_layers, by_leaves
        )
        jacobian[:, objective.n_solution :] += _by_unknown(by_leaves[len(nu) :], slopes)
        rows.append(factor * residual[:, e].detach().numpy())
        jacobians.append(factor * jacobian)
    return np.concatenate(rows), np.concatenate(jacobians)


def _by_jets(residual: Any, u: Jets, leaves: list[Any]) -> Iterator[tuple[list[Any], list[Array]]]:
    """The derivative of each equation's rows by u and its derivatives, and by leaves.

    All equations of a system at once: their formulas may be long, while the network is short.
    """
    jets, count = [u.value, u.slopes, u.curves], residual.shape[1]
    if count == 1:
        found = torch.autograd.grad(residual.sum(), [*jets, *leaves], retain_graph=True,
                                    allow_unused=True)  # fmt: skip
        batches = [None if g is None else g[None] for g in found]
    else:
        every = torch.eye(count, dtype=residual.dtype)[:, None, :].expand(count, *residual.shape)
        batches = torch.autograd.grad(residual, [*jets, *leaves], every, retain_graph=True,
                                      allow_unused=True, is_grads_batched=True)  # fmt: skip
    for e in range(count):
        own = [
            torch.zeros_like(place) if g is None else g[e]
            for g, place in zip(batches, [*jets, *leaves], strict=True)
        ]
        yield own[:3], [g.numpy().astype(np.float64) for g in own[3:]]


def _by_unknown(by_leaves: list[Array], slopes: Mapping[str, Array]) -> Array | float:
    """The derivative of rows by xi, from those by coefficients and theirs by xi."""
    pairs = zip(by_leaves, slopes.values(), strict=True)
    return sum((np.einsum("no,nok->nk", g, c) for g, c in pairs), start=np.float64(0.0))


def _coefficients(
    objective: Objective, found: Coefficients, n: int, xi: Array
) -> tuple[dict[str, Any], dict[str, Array]]:
    """Values as leaves, one row per point, and for those that depend on m their slopes by xi."""
    values, slopes = dict[str, Any](), dict[str, Array]()
    m, directions = np.zeros(0), list[Array]()
    if objective.inference is not None:
        prior = objective.inference.prior
        m = prior.unwhiten(xi)
        directions = [prior.unwhiten_jvp(xi, e) for e in np.eye(len(xi))]
    for name, c in found.items():
        value = c if isinstance(c, np.ndarray) else c(m)
        column = value[:, None] if value.ndim == 1 else value
        leaf = torch.as_tensor(column, dtype=objective.dtype)
        if not isinstance(c, np.ndarray):
            leaf = leaf.expand(n, -1).clone().requires_grad_()
            moved = np.stack([c.jvp(m, dm) for dm in directions], axis=-1)
            moved = moved[:, None, :] if moved.ndim == 2 else moved
            slopes[name] = np.broadcast_to(moved, (n, *moved.shape[1:]))
        values[name] = leaf
    return values, slopes


def _numbers(objective: Objective, nu: Array, n: int) -> dict[str, Any]:
    """The numbers as leaves, one row per point."""
    found = values_of(objective.form.numbers, torch.as_tensor(nu, dtype=objective.dtype))
    return {name: one.expand(n, 1).clone().requires_grad_() for name, one in found.items()}


def _by_solution(
    objective: Objective, nu: Array, trace: Trace, by_layers: list[Any], by_leaves: list[Array]
) -> Array:
    """The derivative of rows by θ and ν; the numbers are the first leaves."""
    slopes = slopes_of(objective.form.numbers, nu)
    by_numbers = [s * g for s, g in zip(slopes, by_leaves, strict=False)]
    return np.concatenate([_by_weights(trace, by_layers), *by_numbers], axis=1)


def _data(objective: Objective, theta: Any, nu: Array, xi: Array) -> tuple[Array, Array]:
    """Whitened rows of the data."""
    inference, trace = objective.inference, Trace()
    assert inference is not None
    numbers = _numbers(objective, nu, len(inference.data))
    values, slopes = _coefficients(objective, objective.beside, len(inference.data), xi)
    prediction = objective.prediction(theta, {**numbers, **values}, trace)
    leaves = [*numbers.values(), *(values[name] for name in slopes)]
    by_layers, by_leaves = _pulled([prediction], [torch.ones_like(prediction)], trace, leaves)
    jacobian = np.zeros((len(prediction), objective.size))
    found = _by_solution(objective, nu, trace, by_layers, by_leaves)
    jacobian[:, : objective.n_solution] = found
    jacobian[:, objective.n_solution :] = _by_unknown(by_leaves[len(nu) :], slopes)
    residual = prediction.detach().numpy().astype(np.float64) - inference.data
    whiten = inference.noise.whiten
    return whiten(residual), np.ascontiguousarray(whiten(jacobian.T).T)


def _pulled(
    rows: list[Any], back: list[Any], trace: Trace, leaves: list[Any]
) -> tuple[list[Any], list[Array]]:
    """What comes back to each row's pre-activations, and to its coefficients."""
    places = [t for layer in trace.outputs for t in layer]
    found = torch.autograd.grad(
        rows, [*places, *leaves], back, retain_graph=True, allow_unused=True
    )
    whole = [
        torch.zeros_like(p) if g is None else g
        for p, g in zip([*places, *leaves], found, strict=True)
    ]
    split = len(places)
    return whole[:split], [g.numpy().astype(np.float64) for g in whole[split:]]


def _by_weights(trace: Trace, by_layers: list[Any]) -> Array:
    """Outer products of what came back and what went in, in the order of θ."""
    columns = []
    for i, (value, slopes, curves) in enumerate(trace.inputs):
        g_value, g_slopes, g_curves = by_layers[3 * i : 3 * i + 3]
        product = torch.einsum("nb,na->nba", g_value, value)
        product += torch.einsum("dnb,dna->nba", g_slopes, slopes)
        product += torch.einsum("cnb,cna->nba", g_curves, curves)
        columns += [product.flatten(1), g_value]
    return np.asarray(torch.cat(columns, dim=1).detach().numpy(), dtype=np.float64)


def levenberg_marquardt(
    objective: Objective,
    z: Array,
    parts: list[Part],
    weights: Array,
    penalty: float,
    steps: int,
    damping: float,
) -> tuple[Array, float, int]:
    """``steps`` damped Gauss-Newton steps on fixed points.

    Args:
        objective: with its residuals.
        z: where to start.
        parts: equations on their points.
        weights: of the equations.
        penalty: of all of them.
        steps: trials, whether they are accepted or not.
        damping: of the last block, or zero at the start.

    Returns:
        The last accepted z, the damping there and the number of trials.
    """
    r, jacobian = linearized(objective, z, parts, weights, penalty)
    value, growth = 0.5 * float(r @ r), 2.0
    normal, slope = jacobian.T @ jacobian, jacobian.T @ r
    damping = damping or FIRST_DAMPING * float(normal.diagonal().max())
    for trial in range(1, steps + 1):
        p = _solve(normal, -slope, damping)
        fresh = objective.value(z + p, parts, weights, penalty) if p is not None else math.inf
        gain = -1.0
        if p is not None and math.isfinite(fresh):
            gain = (value - fresh) / max(0.5 * float(p @ (damping * p - slope)), 1e-300)
        if gain <= 0 or p is None:
            damping, growth = damping * growth, 2.0 * growth
            if not math.isfinite(damping) or growth > 2.0**20:
                return z, damping, trial
            continue
        z, growth = z + p, 2.0
        damping *= max(1.0 / 3.0, 1.0 - (2.0 * gain - 1.0) ** 3)
        if trial < steps:
            r, jacobian = linearized(objective, z, parts, weights, penalty)
            value = 0.5 * float(r @ r)
            normal, slope = jacobian.T @ jacobian, jacobian.T @ r
    return z, damping, steps


def _solve(normal: Array, right: Array, damping: float) -> Array | None:
    """(A + damping I) p = right, or None where that is not positive definite."""
    try:
        shifted = normal.copy()
        shifted[np.diag_indices_from(shifted)] += damping
        return np.asarray(cho_solve(cho_factor(shifted, lower=True, overwrite_a=True), right))
    except (LinAlgError, ValueError):
        return None
