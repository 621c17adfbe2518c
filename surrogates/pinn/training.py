"""Training in blocks: fresh collocation points, then Adam, L-BFGS or Gauss-Newton on them.

A block starts from plain arrays and ends in plain arrays, so that a checkpoint between two blocks
holds everything. L-BFGS forgets its memory between blocks, since the points change.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pdeinv.errors import RunFailed
from pdeinv.typing import Array

from ..common.torch_env import torch
from .config import PinnConfig
from .gauss_newton import levenberg_marquardt
from .numbers import start_of
from .objective import Objective, Part

__all__ = ["PinnState", "advance", "first_state"]

LARGEST_WEIGHT = 1e3
"""Bound on the weight of a soft condition and on its inverse."""
SMALL = 0.1
"""Size of the last layer of a network that corrects a guess."""


@dataclass(frozen=True)
class PinnState:
    """Where a training stands.

    Attributes:
        z: the network's weights, the form's numbers, then xi where the unknown is sought.
        features: the fixed frequencies of the network.
        moment: Adam's mean gradient.
        square: Adam's mean squared gradient.
        weights: weight of each equation.
        block: blocks done.
        iterations: iterations done.
        loss: the objective at the end of the block.
        residual: rms of all residuals, in units of their terms, at the fresh points of the block.
        gained: the share of the objective that the block removed.
        misfit: Φ of the network's own prediction; 0 where nothing is inverted.
        damping: of Gauss-Newton, zero before its first step.
        moved: the relative change of xi in the block; 0 where nothing is inverted.
        lowest: the smallest residual so far.
        waiting: blocks since it was found.
    """

    z: Array
    features: Array
    moment: Array
    square: Array
    weights: Array
    block: int
    iterations: int
    loss: float
    residual: float
    gained: float
    misfit: float
    damping: float
    moved: float
    lowest: float
    waiting: int


def first_state(objective: Objective, rng: np.random.Generator) -> PinnState:
    """Random weights of the network, numbers at their start and xi at zero.

    Where the form brings a guess of u the network starts small, so that it starts there.
    """
    form, net = objective.form, objective.net
    z = np.zeros(objective.size)
    z[: net.n_weights] = net.start(rng, SMALL if form.lift is not None else 1.0)
    z[net.n_weights : objective.n_solution] = start_of(form.numbers)
    zero, one = np.zeros_like(z), np.ones(1 + len(form.soft))
    return PinnState(
        z=z,
        features=objective.net.features,
        moment=zero,
        square=zero.copy(),
        weights=one,
        block=0,
        iterations=0,
        loss=math.inf,
        residual=math.inf,
        gained=1.0,
        misfit=0.0,
        damping=0.0,
        moved=1.0,
        lowest=math.inf,
        waiting=0,
    )


def advance(
    objective: Objective,
    state: PinnState,
    config: PinnConfig,
    rng: np.random.Generator,
    penalty: float = 1.0,
) -> PinnState:
    """One block on fresh points.

    Raises:
        RunFailed: the objective is not finite.
    """
    parts = objective.collocate(rng, state.z)
    z = _tensor(objective, state.z)
    squares = [float(v.detach()) for v in objective.mean_squares(z, parts)]
    weights = state.weights
    if config.balance and len(parts) > 1:
        weights = _balanced(objective, z, parts, state)
    before = float(objective.total(z, parts, weights, penalty).detach())
    state = replace(state, weights=weights)
    if state.block < config.adam_blocks:
        moved = _adam(objective, z, parts, state, config, penalty)
    elif config.finish == "lbfgs":
        moved = _lbfgs(objective, z, parts, state, config, penalty)
    else:
        moved, z = _newton(objective, parts, state, config, penalty)
    after = float(objective.total(z, parts, weights, penalty).detach())
    if not (math.isfinite(before) and math.isfinite(after)):
        raise RunFailed(
            f"training diverged in block {state.block + 1}: the loss is not finite; lower "
            "learning_rate, or use dtype 'float64'"
        )
    misfit = change = 0.0
    found, residual = z.detach().numpy().astype(np.float64), math.sqrt(sum(squares))
    n = objective.n_solution
    if objective.size > n:
        misfit = float(objective.evidence(z)[0].detach())
        xi, old = found[n:], state.z[n:]
        change = float(np.linalg.norm(xi - old) / max(float(np.linalg.norm(xi)), 1e-300))
    return replace(
        moved,
        z=found,
        block=state.block + 1,
        loss=after,
        residual=residual,
        lowest=min(residual, state.lowest),
        waiting=0 if residual < state.lowest else state.waiting + 1,
        moved=change,
        gained=(before - after) / max(abs(before), 1e-300),
        misfit=misfit,
    )


def _tensor(objective: Objective, z: Array) -> Any:
    return torch.as_tensor(z.copy(), dtype=objective.dtype).requires_grad_()


def _balanced(objective: Objective, z: Any, parts: list[Part], state: PinnState) -> Array:
    """w_k = ‖∇L_0‖ / ‖∇L_k‖, averaged over blocks; L_0 is the equation inside.

    Wang, Teng and Perdikaris (2021), with norms in place of extremes.
    """
    norms = []
    for value in objective.mean_squares(z, parts):
        (grad,) = torch.autograd.grad(value, z, retain_graph=True)
        norms.append(float(grad[: objective.net.n_weights].norm()))
    wanted = np.clip(norms[0] / np.maximum(norms, 1e-300), 1 / LARGEST_WEIGHT, LARGEST_WEIGHT)
    if state.block == 0:
        return np.asarray(wanted)
    return np.asarray(np.sqrt(state.weights * wanted))


def _adam(
    objective: Objective,
    z: Any,
    parts: list[Part],
    state: PinnState,
    config: PinnConfig,
    penalty: float,
) -> PinnState:
    optimizer = torch.optim.Adam([z], lr=config.learning_rate)
    kept = {"exp_avg": state.moment, "exp_avg_sq": state.square}
    optimizer.state[z] = {
        "step": torch.tensor(float(state.iterations)),
        **{k: torch.as_tensor(v.copy(), dtype=objective.dtype) for k, v in kept.items()},
    }
    steps = min(config.block, config.adam_steps - state.block * config.block)
    for i in range(steps):
        share = (state.iterations + i) / config.adam_steps
        optimizer.param_groups[0]["lr"] = (
            0.5 * config.learning_rate * (1.02 + math.cos(math.pi * share))
        )
        optimizer.zero_grad()
        objective.total(z, parts, state.weights, penalty).backward()
        optimizer.step()
    found = optimizer.state[z]
    return replace(
        state,
        moment=found["exp_avg"].numpy().astype(np.float64),
        square=found["exp_avg_sq"].numpy().astype(np.float64),
        iterations=state.iterations + steps,
    )


def _lbfgs(
    objective: Objective,
    z: Any,
    parts: list[Part],
    state: PinnState,
    config: PinnConfig,
    penalty: float,
) -> PinnState:
    optimizer = torch.optim.LBFGS(
        [z],
        max_iter=config.block,
        max_eval=2 * config.block,
        history_size=config.memory,
        tolerance_grad=1e-14,
        tolerance_change=1e-16,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Any:
        optimizer.zero_grad()
        value = objective.total(z, parts, state.weights, penalty)
        value.backward()
        return value

    optimizer.step(closure)
    done = int(optimizer.state[z]["n_iter"])
    return replace(state, iterations=state.iterations + done)


def _newton(
    objective: Objective, parts: list[Part], state: PinnState, config: PinnConfig, penalty: float
) -> tuple[PinnState, Any]:
    z, damping, done = levenberg_marquardt(
        objective, state.z, parts, state.weights, penalty, config.newton_block, state.damping
    )
    moved = replace(state, damping=damping, iterations=state.iterations + done)
    return moved, _tensor(objective, z)
