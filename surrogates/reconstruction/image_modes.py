"""The family of images: their mean and leading modes, which a fitted prior is made of."""

from __future__ import annotations

import numpy as np

from pdeinv.model.learned import Family
from pdeinv.typing import Array

__all__ = ["image_family"]


def image_family(images: Array, most: int) -> Family:
    """Mean and at most so many principal modes of images (n, p), each of one standard deviation."""
    mean = images.mean(axis=0)
    _, s, basis = np.linalg.svd(images - mean, full_matrices=False)
    kept = max(1, min(most, int(np.sum(s > 1e-6 * s[0]))))
    scale = s[:kept] / np.sqrt(max(1, len(images) - 1))
    return Family(mean, (basis[:kept] * scale[:, None]).T.copy())
