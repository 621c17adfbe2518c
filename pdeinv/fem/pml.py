"""Perfectly matched layers around a rectangle: the mesh, and the stretched Helmholtz operator.

With the time factor exp(−iωt), outgoing waves decay in the layer through the complex coordinate
x̃ = x + (i/k)∫σ, that is through s = 1 + iσ/k in place of one (Berenger 1994; Chew and Weedon 1994).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pdeinv.fem.mesh import CellShape, PlainMesh, rectangle
from pdeinv.typing import Array

__all__ = ["Layer", "framed_rectangle"]

Complex = NDArray[np.complex128]


@dataclass(frozen=True)
class Layer:
    """An absorbing layer of one width around the rectangle (0, lx) × (0, ly).

    Attributes:
        lengths: sides of the rectangle.
        width: of the layer.
        reflection: what a plane wave at normal incidence keeps of its amplitude, in exact
            arithmetic, on its way through the layer and back.
    """

    lengths: tuple[float, float]
    width: float
    reflection: float = 1e-6

    def stretch(self, points: Array, k: float) -> tuple[Complex, Complex]:
        """s_x and s_y at points (n, 2): σ = σ₀ (depth/width)², ∫₀^width 2σ = −ln reflection."""
        peak = -1.5 * np.log(self.reflection) / self.width
        depth = np.maximum(np.maximum(-points, points - np.asarray(self.lengths)), 0.0)
        s = 1 + 1j * peak * (depth / self.width) ** 2 / k
        return s[:, 0], s[:, 1]


def framed_rectangle(
    lengths: tuple[float, float],
    n: tuple[int, int],
    shape: CellShape,
    frame: tuple[float, int] = (0.0, 0),
    *,
    below: bool = True,
) -> PlainMesh:
    """The rectangle (0, lx) × (0, ly) in n[0] × n[1] cells, with a frame around it.

    Args:
        lengths: sides of the rectangle.
        n: cells along them.
        shape: of the cells.
        frame: its width, and the number of cells across it.
        below: whether the frame goes around the side y = 0 as well.
    """
    width, m = frame
    if m == 0:
        return rectangle(lengths, n, shape)
    first = (m, m if below else 0)
    counts = (n[0] + 2 * m, n[1] + first[1] + m)
    mesh = rectangle((1.0, 1.0), counts, shape)
    points = np.empty_like(mesh.points)
    for i in range(2):
        inner = lengths[i] * (np.arange(n[i] + 1) / n[i])
        outer = width * (np.arange(1, m + 1) / m)
        lines = np.concatenate([-outer[: first[i]][::-1], inner, lengths[i] + outer])
        points[:, i] = lines[np.rint(mesh.points[:, i] * counts[i]).astype(int)]
    return replace(mesh, points=points)
