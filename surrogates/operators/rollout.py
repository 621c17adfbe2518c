"""A network that goes from one stored time to the next, rolled out over all of them.

Trained on single steps alone, such a network meets states of its own making only in use, where its
errors feed on themselves. Here the loss sees them: a training trajectory is cut into windows of
``unroll`` steps, each begins at a true state, and gradients run through all steps of a window.
Validation and use roll out from the first state to the last.

References: Um et al. (2020), Solver-in-the-loop; Brandstetter, Worrall and Welling (2022), Message
passing neural PDE solvers, §3.1.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from pdeinv.typing import Array

from ..common.torch_env import built, torch
from ..training.config import Data
from ..training.minibatches import Rows, is_lazy
from .fields import FieldScaling
from .network import Architecture, build
from .stepping import Stepping

__all__ = ["build_rollout", "restarted", "rollout"]


def build_rollout(architecture: Architecture, scaling: FieldScaling, stepping: Stepping) -> Any:
    """The network of ``architecture`` as a module from coefficients to whole trajectories."""
    return rollout(build(architecture, np.ones(scaling.inside.shape)), scaling, stepping)


def rollout(step: Any, scaling: FieldScaling, stepping: Stepping) -> Any:
    """A module from encoded coefficients (batch, y, x) to states (batch, n_times, y, x).

    It also takes (batch, 1 + n, y, x), the coefficient and n states from which it is to go on
    instead of its own, at times as in :func:`restarted`.

    Args:
        step: module of (batch, inputs, y, x) to (batch, y, x), G.
        scaling: of coefficient and states.
        stepping: of the steps.
    """
    count = stepping.steps

    def first(module: Any, coefficient: Any) -> Any:
        """The first state, (batch, y, x)."""
        raw = coefficient * scaling.spread + scaling.centre
        raw = raw.exp() if scaling.log_input else raw
        return module.start.to(raw.dtype) * (raw / scaling.scale - module.mean.to(raw.dtype))

    def advanced(module: Any, coefficient: Any, states: Any, k: Any) -> Any:
        """States (batch, n, y, x) one step after the time levels ``k``, shape (n,)."""
        kind, shape = states.dtype, states.shape
        sizes, clock = module.sizes[k].to(kind), module.clock[k].to(kind)
        told = clock.T[:, :, None, None].expand(shape[0], -1, *shape[1:])
        inputs = [states / sizes[:, None, None], *told.unbind(1)]
        if not stepping.from_unknown:
            inputs.append(coefficient[:, None].expand(shape))
        found = module.step(torch.stack(inputs, dim=2).flatten(0, 1)).to(kind)
        return states + module.increments[k].to(kind) * found.reshape(shape)

    def forward(module: Any, x: Any) -> Any:
        """z_(k+1) = z_k + w_k G, every window at once, step by step."""
        coefficient, given = (x, x[:, None][:, 1:]) if x.ndim == 3 else (x[:, 0], x[:, 1:])
        length = _length(count, 1 + given.shape[1])
        states = torch.cat([first(module, coefficient)[:, None], given], dim=1)
        found, begin = [], states[:, :1]
        for j in range(length):
            k = torch.arange(j, count, length, device=x.device)
            states = advanced(module, coefficient, states[:, : len(k)], k)
            found.append(states)
        order = [found[k % length][:, k // length] for k in range(count)]
        return torch.cat([begin, torch.stack(order, dim=1)], dim=1)

    values = {"mean": scaling.mean[0] / scaling.scale, **vars(stepping)}
    buffers = {k: torch.as_tensor(v, dtype=torch.float64) for k, v in values.items()}
    return built(forward, {"step": step}, buffers)


def _length(count: int, windows: int) -> int:
    """Steps of a window where ``count`` steps have that many."""
    return -(-count // windows)


def restarted(data: Data, unroll: int) -> Data:
    """Training inputs with the true states at which windows of at most ``unroll`` steps begin.

    Windows are as equal as can be, and lengths follow from their number.
    """
    count = data.train_y.shape[1] - 1
    length = _length(count, -(-count // unroll))
    times = tuple(range(length, count, length))
    if not times:
        return data

    def joined(coefficient: Array, states: Array) -> Array:
        return np.concatenate([coefficient[:, None], states[:, times]], axis=1)

    x, y = data.train_x, data.train_y
    rows = Rows((x, y), np.arange(len(x)), joined, (1 + len(times), *x.shape[1:]))
    return replace(data, train_x=rows if is_lazy(x) or is_lazy(y) else joined(x, y))
