"""Collocation points, and the values of coefficients there as tensors of m."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pdeinv.model.coefficient import Coefficient
from pdeinv.model.strong_form import Coefficients, Side, StrongForm
from pdeinv.typing import Array

__all__ = ["on_side", "inside", "tensors", "through"]


def inside(form: StrongForm, n: int, rng: np.random.Generator) -> Array:
    """Scrambled Sobol points in the box, shape (n, d)."""
    return np.array([a for a, _ in form.box]) + form.lengths * _sobol(form.dim, n, rng)


def on_side(form: StrongForm, side: Side, n: int, rng: np.random.Generator) -> Array:
    """The same on one face."""
    points = inside(form, n, rng)
    points[:, side.axis] = form.box[side.axis][side.end]
    return points


def _sobol(d: int, n: int, rng: np.random.Generator) -> Array:
    """The first n points of the power of two that holds them, so that the set stays balanced."""
    from scipy.stats import qmc

    # a number, because a generator would be spawned from, which its saved state does not hold
    sampler = qmc.Sobol(d, rng=int(rng.integers(2**32)))
    return np.asarray(sampler.random_base2(int(np.ceil(np.log2(n))))[:n])


def through(coefficient: Coefficient, m: Any, mode: Any) -> Any:
    """The coefficient as a tensor function of the tensor m, by its own adjoint."""
    import torch

    class Through(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, m: Any) -> Any:
            ctx.m = m.detach().cpu().numpy().astype(np.float64)
            return torch.as_tensor(coefficient(ctx.m), dtype=mode)

        @staticmethod
        def backward(ctx: Any, w: Any) -> Any:
            back = coefficient.vjp(ctx.m, w.detach().cpu().numpy().astype(np.float64))
            return torch.as_tensor(back, dtype=mode)

    return Through.apply(m)


def tensors(found: Coefficients, m: Any, dtype: Any) -> Mapping[str, Any]:
    """Every coefficient as a tensor (n, 1) or (n, outputs); those that are known do not see m."""
    import torch

    out = {}
    for name, c in found.items():
        if isinstance(c, np.ndarray):
            value = torch.as_tensor(c, dtype=dtype)
        else:
            value = through(c, m, dtype)
        out[name] = value[:, None] if value.ndim == 1 else value
    return out
