"""An image by a linear-Gaussian reconstruction, refined by learned Fourier operators."""

from __future__ import annotations

from pdeinv.engines.learned.engine import LearnedInverse

__all__ = ["LinFno"]


class LinFno(LearnedInverse):
    """An image by a linear-Gaussian reconstruction, refined by learned Fourier operators."""

    name = "lin-fno"
