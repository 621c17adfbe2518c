"""A network that goes from one stored time to the next, rolled out over all of them.

Trained on single steps alone, such a network meets states of its own making only in use, where its
errors feed on themselves. Here the loss sees them: a training trajectory is cut into windows of
``unroll`` steps, each begins at a true state, and gradients run through all steps of a window.
Validation and use roll out from the first state to the last.

References: Um et al. (2020), Solver-in-the-loop; Brandstetter, Worrall and Welling (2022), Message
passing neural PDE solvers, §3.1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pdeinv.typing import Array

from ..common.torch_env import torch
from ..training.config import Data
from ..training.minibatches import is_lazy, take
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
    buffers = {
        "mean": scaling.mean[0] / scaling.scale,
        "start": stepping.start,
        "increments": stepping.increments,
        "sizes": stepping.sizes,
        "clock": stepping.clock,
    }

    class Rollout(torch.nn.Module):  # type: ignore[misc]
        """z_(k+1) = z_k + w_k G."""

        def __init__(self) -> None:
            super().__init__()
            self.step = step
            for name, values in buffers.items():
                self.register_buffer(name, torch.as_tensor(values, dtype=torch.float64))

        def first(self, coefficient: Any) -> Any:
            """The first state, (batch, y, x)."""
            raw = coefficient * scaling.spread + scaling.centre
            raw = raw.exp() if scaling.log_input else raw
            difference = raw / scaling.scale - self.mean.to(raw.dtype)
            return self.start.to(raw.dtype) * difference

        def advanced(self, coefficient: Any, states: Any, k: Any) -> Any:
            """States (batch, n, y, x) one step after the time levels ``k``, shape (n,)."""
            kind, shape = states.dtype, states.shape
            sizes, clock = self.sizes[k].to(kind), self.clock[k].to(kind)
            scaled = states / sizes[:, None, None]
            told = clock.T[:, :, None, None].expand(shape[0], -1, *shape[1:])
            inputs = [scaled, *told.unbind(1)]
            if not stepping.from_unknown:
                inputs.append(coefficient[:, None].expand(shape))
            found = self.step(torch.stack(inputs, dim=2).flatten(0, 1)).to(kind)
            return states + self.increments[k].to(kind) * found.reshape(shape)

        def forward(self, x: Any) -> Any:
            """Every window at once, step by step."""
            coefficient, given = (x, x[:, None][:, 1:]) if x.ndim == 3 else (x[:, 0], x[:, 1:])
            windows = 1 + given.shape[1]
            length = _length(count, windows)
            states = torch.cat([self.first(coefficient)[:, None], given], dim=1)
            found, begin = [], states[:, :1]
            for j in range(length):
                k = torch.arange(j, count, length, device=x.device)
                states = self.advanced(coefficient, states[:, : len(k)], k)
                found.append(states)
            order = [found[k % length][:, k // length] for k in range(count)]
            return torch.cat([begin, torch.stack(order, dim=1)], dim=1)

    return Rollout()


def _length(count: int, windows: int) -> int:
    """Steps of a window where ``count`` steps have that many."""
    return -(-count // windows)


@dataclass(frozen=True)
class _Joined:
    """Coefficients and states at some times, read by rows.

    Attributes:
        coefficient: array-like (n, y, x).
        states: array-like (n, n_times, y, x).
        times: which states.
    """

    coefficient: Any
    states: Any
    times: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.coefficient)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the whole."""
        n, *grid = self.coefficient.shape
        return (n, 1 + len(self.times), *grid)

    def __getitem__(self, rows: Any) -> Array:
        states = take(self.states, rows)[:, self.times]
        return np.concatenate([take(self.coefficient, rows)[:, None], states], axis=1)


def restarted(data: Data, unroll: int) -> Data:
    """Training inputs with the true states at which windows of at most ``unroll`` steps begin.

    Windows are as equal as can be, and lengths follow from their number.
    """
    count = data.train_y.shape[1] - 1
    length = _length(count, -(-count // unroll))
    times = tuple(range(length, count, length))
    if not times:
        return data
    joined = _Joined(data.train_x, data.train_y, times)
    lazy = is_lazy(data.train_x) or is_lazy(data.train_y)
    return replace(data, train_x=joined if lazy else joined[np.arange(len(joined))])
