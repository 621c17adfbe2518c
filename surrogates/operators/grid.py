"""A regular grid of a rectangle, and what places off its nodes read from fields on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pdeinv.errors import SurrogateRejected
from pdeinv.model.multilinear import multilinear
from pdeinv.model.observed import Sensors
from pdeinv.typing import Array

from .places import Places

__all__ = ["Grid"]


@dataclass(frozen=True)
class Grid:
    """A regular grid of a rectangle.

    Attributes:
        names: of the coordinates, the slower axis first.
        y: nodes along the slower axis.
        x: nodes along the faster axis.
    """

    names: tuple[str, str]
    y: Array
    x: Array

    @property
    def shape(self) -> tuple[int, int]:
        """Nodes along y and x."""
        return len(self.y), len(self.x)

    def resized(self, shape: tuple[int, int]) -> Grid:
        """Another grid of the same rectangle."""
        if shape == self.shape:
            return self
        y, x = (np.linspace(a[0], a[-1], n) for a, n in zip((self.y, self.x), shape, strict=True))
        return Grid(self.names, y, x)

    def box(self, experiments: Mapping[str, Array]) -> Places:
        """Its rectangle, times the trained interval of each experiment."""
        axes = {**experiments, self.names[0]: self.y, self.names[1]: self.x}
        names = tuple(sorted(axes))
        low, high = (np.array([axes[n][end] for n in names], dtype=float) for end in (0, -1))
        return Places(names, low, high)

    def interpolation(self, points: Array) -> Any:
        """The sparse matrix from node values to (n, 2) points inside."""
        return multilinear([self.x, self.y], points[:, ::-1])

    def at(self, sensors: Sensors, experiments: Mapping[str, Array] | None = None) -> Array:
        """Places in the order of ``names``, shape (n, 2).

        Raises:
            SurrogateRejected: other coordinates, or a place outside the grid or an experiment
                outside the trained ones.
        """
        box = self.box(experiments or {})
        return box.points(sensors)[:, [box.names.index(name) for name in self.names]]

    def readout(
        self, inside: NDArray[np.bool_], experiments: Mapping[str, Array], sensors: Sensors
    ) -> Any:
        """The sparse matrix from a field (*experiments, y, x) to the data.

        Nodes outside the domain get no weight, the others more; between two values of an
        experiment's axis (times) the matrix is linear.

        Args:
            inside: which nodes lie in the domain.
            experiments: values of each leading axis, as trained.
            sensors: where the data are.

        Raises:
            SurrogateRejected: a sensor that the grid does not know.
        """
        at = self.interpolation(self.at(sensors, experiments))
        matrix = at @ sparse.diags_array(inside.ravel().astype(float))
        total = matrix.sum(axis=1)
        if not (total > 1e-9).all():
            raise SurrogateRejected(
                f"{int(np.sum(total <= 1e-9))} of {len(total)} sensors have no grid node of the "
                "domain beside them; use a finer grid, or leave them out"
            )
        matrix = sparse.csr_array(sparse.diags_array(1 / total) @ matrix)
        for name, axis in reversed(list(experiments.items())):
            matrix = _across(matrix, axis, np.asarray(sensors[name], dtype=np.float64))
        return matrix

    def onto(self, other: Grid) -> Callable[[Array], Array]:
        """Interpolation of fields (..., n_y, n_x) from these nodes to those of ``other``."""
        y, x = np.meshgrid(other.y, other.x, indexing="ij")
        matrix = self.interpolation(np.stack([y.ravel(), x.ravel()], axis=1))

        def moved(a: Array) -> Array:
            lead = a.shape[:-2]
            return np.asarray((matrix @ a.reshape(*lead, -1).T).T).reshape(*lead, *other.shape)

        return moved


def _across(inner: Any, axis: Array, values: Array) -> Any:
    """Rows of ``inner``, each at its place on one more, slower axis of the columns."""
    right = np.clip(np.searchsorted(axis, values), 1, max(len(axis) - 1, 1))
    left = right - 1
    if len(axis) == 1:
        right = left
    step = np.where(right > left, axis[right] - axis[left], 1.0)
    share = np.clip((values - axis[left]) / step, 0.0, 1.0)
    coo, n = inner.tocoo(), inner.shape[1]
    row, column = coo.coords
    data = np.concatenate([coo.data * (1 - share)[row], coo.data * share[row]])
    columns = np.concatenate([left[row] * n + column, right[row] * n + column])
    shape = (inner.shape[0], n * len(axis))
    found = sparse.csr_array((data, (np.concatenate([row, row]), columns)), shape)
    found.eliminate_zeros()
    return found
