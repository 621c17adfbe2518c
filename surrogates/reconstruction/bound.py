"""A reconstruction at the sensors of a measurement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from pdeinv.model.learned import Estimate
from pdeinv.model.spaces import Space
from pdeinv.typing import Array

from ..common.split import Index
from ..inverse.noising import NoiseLaw
from .modes import Seen

__all__ = ["BoundImages"]

EVEN = 1e-6
"""By how much σ over that of the training may differ between data to count as one multiple."""


@dataclass(frozen=True)
class BoundImages:
    """From data at some of the trained sensors to images; see
    :class:`pdeinv.model.learned.Inverse`.

    Attributes:
        estimate: data at all trained sensors to images.
        law: the noise that it was trained with.
        chosen: which of the trained sensors the data are of, shape (n_d,).
        space: of an image.
        d_space: of the data.
    """

    estimate: Callable[[Seen], Estimate]
    law: NoiseLaw
    chosen: Index
    space: Space
    d_space: Space

    of: Literal["grid"] = "grid"

    def __call__(self, data: Array, noise_std: Array) -> Estimate:
        """Images (n, p) from data (n, n_d) with σ (n_d,).

        Raises:
            ShapeError: the shapes do not fit.
        """
        whole, (level, stretch) = self.law.placed(data, noise_std, self.chosen)
        seen = Seen(whole, np.full(len(whole), level), self._ratio(noise_std))
        found = self.estimate(seen)
        beside = self.law.beside(noise_std, self.chosen)
        return replace(found, std=found.std * stretch, noise=beside)

    def _ratio(self, noise_std: Array) -> Array | None:
        """σ over that of the training, where it differs from datum to datum."""
        ratio = np.asarray(noise_std) / self.law.std[self.chosen]
        if np.ptp(ratio) <= EVEN * ratio.max():
            return None
        whole = np.ones(len(self.law.std))
        whole[self.chosen] = np.maximum(ratio, self.law.factors[0])
        return whole
