"""The functions of place that a deep operator network sums: a network, or modes on a grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from pdeinv.model.observed import Sensors
from pdeinv.typing import Array

from ..common.mlp import Mlp, build_module
from ..common.storage import under, within
from ..common.torch_env import built, torch
from ..operators.grid import Grid
from ..operators.places import Places

__all__ = ["PodTrunk", "Trunk", "TrunkNetwork", "branch_and_trunk"]


class Trunk(Protocol):
    """Functions of place."""

    @property
    def size(self) -> int:
        """How many are summed."""

    def __call__(self, sensors: Sensors) -> tuple[Array, Array]:
        """The constant part (n,) and the summed functions (size, n) at n places."""

    def arrays(self) -> dict[str, Array]:
        """All numbers, for storage."""


@dataclass(frozen=True)
class TrunkNetwork:
    """A network of the scaled coordinates whose last output is the constant part.

    Attributes:
        places: coordinates to the network's inputs.
        network: (n_inputs,) to (size + 1,).
        centre: added to the field.
        scale: the field's unit.
    """

    places: Places
    network: Mlp
    centre: float
    scale: float

    @property
    def size(self) -> int:
        """How many functions are summed."""
        return len(self.network.biases[-1]) - 1

    def __call__(self, sensors: Sensors) -> tuple[Array, Array]:
        """The constant part and the functions at places in the box."""
        t = self.network(self.places(sensors)).T
        return self.centre + self.scale * t[-1], self.scale / np.sqrt(self.size) * t[:-1]

    def arrays(self) -> dict[str, Array]:
        """All numbers, for storage."""
        return {
            **under("network.", self.network.arrays()),
            "low": self.places.low,
            "high": self.places.high,
            **under("label.", self.places.labels),
            "octaves": np.array([float(self.places.octaves)]),
            "units": np.array([self.centre, self.scale]),
        }

    @classmethod
    def from_arrays(cls, a: Mapping[str, Any], names: tuple[str, ...]) -> TrunkNetwork:
        """The inverse of :meth:`arrays` for the sorted coordinates ``names``."""
        network, labels = within("network.", a), dict(sorted(within("label.", a).items()))
        continuous = tuple(n for n in names if n not in labels)
        places = Places(continuous, a["low"], a["high"], labels, int(a["octaves"][0]))
        return cls(places, Mlp.from_arrays(network), float(a["units"][0]), float(a["units"][1]))


@dataclass(frozen=True)
class PodTrunk:
    """Proper orthogonal modes of the field, interpolated bilinearly from a grid.

    Attributes:
        grid: their nodes.
        mean: the field's mean, shape (nodes,).
        basis: shape (size, nodes).
    """

    grid: Grid
    mean: Array
    basis: Array

    @property
    def size(self) -> int:
        """How many functions are summed."""
        return len(self.basis)

    def __call__(self, sensors: Sensors) -> tuple[Array, Array]:
        """The mean and the modes at places of the grid's rectangle.

        Raises:
            SurrogateRejected: other coordinates, or a place outside.
        """
        matrix = self.grid.interpolation(self.grid.at(sensors))
        return np.asarray(matrix @ self.mean), np.asarray((matrix @ self.basis.T).T)

    def arrays(self) -> dict[str, Array]:
        """All numbers, for storage; the order of the axes is in ``swapped``."""
        swapped = list(self.grid.names) != sorted(self.grid.names)
        return {
            "mean": self.mean, "basis": self.basis, "axis.0": self.grid.y, "axis.1": self.grid.x,
            "swapped": np.array([float(swapped)]),
        }  # fmt: skip

    @classmethod
    def from_arrays(cls, a: Mapping[str, Any], names: tuple[str, ...]) -> PodTrunk:
        """The inverse of :meth:`arrays` for the sorted coordinates ``names``."""
        slow, fast = reversed(names) if a["swapped"][0] else names
        return cls(Grid((slow, fast), a["axis.0"], a["axis.1"]), a["mean"], a["basis"])


def branch_and_trunk(sizes: tuple[int, tuple[int, ...], int], places: Array) -> Any:
    """A torch network from branch inputs (batch, n_in) to the field at fixed places.

    Args:
        sizes: branch inputs, hidden layers, products that are summed.
        places: inputs of the trunk, shape (n, n_inputs).
    """
    n_in, widths, basis = sizes

    def forward(module: Any, x: Any) -> Any:
        """b(x) · t(places) / sqrt(basis) + t_0(places)."""
        t = module.trunk(module.places)
        return module.branch(x) @ t[:, :-1].T / basis**0.5 + t[:, -1]

    parts = {
        "branch": build_module(n_in, widths, basis),
        "trunk": build_module(places.shape[1], widths, basis + 1),
    }
    return built(forward, parts, {"places": torch.as_tensor(places, dtype=torch.float32)})
