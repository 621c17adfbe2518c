"""How much memory a model of waves takes, known before any mesh is made."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pdeinv.fem.compiled import pays
from pdeinv.fem.levels import counts_of
from pdeinv.fem.tiled import CACHE_BYTES
from pdeinv.kernels.tiles import lanes

from .config import HelmholtzConfig
from .incident import count

__all__ = ["model_bytes", "touched"]

FILL = 5.6
"""Entries of a factor over n log₂ n, with pivots of all unknowns and without of the inner ones: at
most that on P1 to P4 and Q1 to Q3 with 2400 to 58 000 unknowns."""

PIVOTED, PLAIN = 20, 16
"""Bytes of an entry: complex, with its row where there are pivots."""

MATRICES = 1_000
"""Bytes for each unknown of the matrix of a frequency, of its assembly and of its elements."""

TENSOR = 12 * 530
"""Bytes for each unknown that the contrast touches, of the entries of all cells at all points."""


def touched(config: HelmholtzConfig, level: int) -> int:
    """At most so many degrees of freedom are met by the contrast."""
    x0, x1, y0, y1 = config.box
    spans = zip((x1 - x0, y1 - y0), config.lengths, counts_of(config.counts, level), strict=True)
    sides = (min(n, math.ceil(n * span / length) + 1) for span, length, n in spans)
    return math.prod(config.degree * cells + 1 for cells in sides)


def _entries(n: int) -> float:
    return FILL * n * math.log2(max(n, 2))


def model_bytes(config: HelmholtzConfig, level: int, n: int, ks: Sequence[float]) -> int:
    """Bytes of factors and matrices of a model, those of rows included.

    Args:
        config: of the problem.
        level: of the mesh.
        n: degrees of freedom on it.
        ks: wave numbers.
    """
    alone = len(ks) * (PIVOTED * _entries(n) + MATRICES * n)
    inner = touched(config, level)
    if config.quantity == "source" or not pays(inner):
        return int(alone)
    fields = 16 * count(config) * inner
    tile = lanes() * len(ks) * (PLAIN * _entries(inner) + fields)
    return int(alone + tile + max(tile, CACHE_BYTES) + TENSOR * inner)
