"""What noise may be along the time of traces: a square root of Γ^(-1) that is no matrix."""

from __future__ import annotations

from typing import Protocol, Self

from pdeinv.model.traces import Traces
from pdeinv.typing import Array

__all__ = ["Along"]


class Along(Protocol):
    """W with Γ^(-1) = Wᵀ W, where no data of two traces are correlated."""

    def whiten(self, residual: Array) -> Array:
        """W r for (..., n_d)."""

    def whiten_transpose(self, w: Array) -> Array:
        """Wᵀ w for (..., n_d)."""

    def draw(self, white: Array) -> Array:
        """Errors out of independent standard normals (..., n_d)."""

    @property
    def std(self) -> Array:
        """Their standard deviations, shape (n_d,)."""

    @property
    def traces(self) -> Traces:
        """Where the data stand."""

    @property
    def log_volume(self) -> float:
        """½ ln det Γ."""

    @property
    def counts(self) -> tuple[float, float]:
        """Mean and half the variance of ‖W η‖² of errors η; n_d twice where W whitens them."""

    def tempered(self, temperature: float) -> Self:
        """That of ``temperature`` Γ."""
