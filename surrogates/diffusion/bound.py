"""A learned prior in use: the denoiser of ζ, and the map from ζ to the unknown."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pdeinv.bayes.posterior import xi_space
from pdeinv.bayes.prior import FieldPrior
from pdeinv.model.spaces import Space
from pdeinv.typing import Array

from ..common.torch_env import torch
from .cosines import Cosines
from .network import denoised

__all__ = ["LearnedLaw"]

BLOCK = 8
"""Fields that the network sees at once."""


@dataclass(frozen=True)
class LearnedLaw:
    """A :class:`pdeinv.model.learned.Denoiser` with the prior that its coordinates belong to.

    Attributes:
        module: the network, in double precision.
        cosines: its coordinates.
        prior: from ζ to the unknown.
        size: of the training's fields.
    """

    module: Any
    cosines: Cosines
    prior: FieldPrior
    size: float

    differentiable = True
    spread = 1.0

    @cached_property
    def space(self) -> Space:
        """The space of ζ."""
        return xi_space(self.cosines.dim)

    def __call__(self, noisy: Array, level: float) -> Array:
        """D(ζ, level), shape (..., dim)."""
        noisy = self.space.check(noisy)
        rows = noisy.reshape(-1, self.cosines.dim)
        with torch.no_grad():
            parts = [
                self._denoised(torch.tensor(rows[i : i + BLOCK]), level)
                for i in range(0, len(rows), BLOCK)
            ]
        return np.asarray(torch.cat(parts).numpy().reshape(noisy.shape))

    def _denoised(self, zeta: Any, level: float) -> Any:
        return denoised(self.module, zeta, level, self.cosines.shape, self.size)

    def vjp(self, noisy: Array, level: float, w: Array) -> Array:
        """The adjoint action of its derivative on ``w``, row by row."""
        noisy, w = self.space.check(noisy), self.space.check(w)
        rows, weights = (a.reshape(-1, self.cosines.dim) for a in (noisy, w))
        parts = [
            self._vjp(rows[i : i + BLOCK], level, weights[i : i + BLOCK])
            for i in range(0, len(rows), BLOCK)
        ]
        return np.asarray(np.concatenate(parts).reshape(noisy.shape))

    def _vjp(self, rows: Array, level: float, weights: Array) -> Array:
        x = torch.tensor(rows, requires_grad=True)
        value = self._denoised(x, level)
        (found,) = torch.autograd.grad(value, x, torch.tensor(weights))
        return np.asarray(found.numpy())
