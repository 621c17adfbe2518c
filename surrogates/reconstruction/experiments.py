"""Data as a table of exchangeable experiments: to which each datum belongs, and in which column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pdeinv.errors import ConfigError
from pdeinv.model.observed import Sensors
from pdeinv.typing import Array

from ..common.split import Index

__all__ = ["Experiments", "coordinate"]

LARGEST = 2
"""Cells of the table per datum at most."""


def coordinate(sensors: Sensors, axes: tuple[str, ...], name: str | None) -> str:
    """The coordinate that numbers experiments; see :meth:`Experiments.of`.

    Raises:
        ConfigError: there is none of that name, or none at all.
    """
    others = [c for c in sensors if c not in axes and len(np.unique(sensors[c])) > 1]
    name = name or next(iter(others), "")
    if name not in sensors:
        known = ", ".join(others) or "none"
        raise ConfigError(
            f"surrogate.experiment: expected a coordinate that numbers experiments ({known}), "
            f"got {name or 'none'}; use 'lin-fno' where there are none"
        )
    return name


@dataclass(frozen=True)
class Experiments:
    """L experiments of K data each, or fewer where they do not all measure at the same places.

    Attributes:
        order: which datum stands where, shape (L, K); -1 where an experiment measures nothing.
        identity: of each experiment, its number among the values of its coordinate scaled to
            [-1, 1], shape (L,).
    """

    order: Index
    identity: Array

    @classmethod
    def of(cls, sensors: Sensors, axes: tuple[str, ...], name: str | None) -> Experiments:
        """Those of the data that have one value of a coordinate in common.

        Args:
            sensors: coordinates of the data.
            axes: the coordinates of the domain, which number no experiment.
            name: the coordinate; None for the first that is no axis.

        Raises:
            ConfigError: no such coordinate, several data at one place of an experiment, or
                experiments that have few places in common.
        """
        name = coordinate(sensors, axes, name)
        numbers, own = np.unique(np.asarray(sensors[name], dtype=np.float64), return_inverse=True)
        places, at = _places([v for c, v in sensors.items() if c != name], len(own))
        order: Index = np.full((len(numbers), places), -1, dtype=np.intp)
        order[own, at] = np.arange(len(own))
        if (order >= 0).sum() < len(own) or order.size > LARGEST * len(own):
            raise ConfigError(
                f"experiments by '{name}' do not measure at the same places, or several times at "
                "one, so that one network cannot read them all; use 'lin-fno'"
            )
        span = max(float(np.ptp(numbers)), 1e-300)
        return cls(order, 2 * (numbers - numbers[0]) / span - 1)

    @property
    def sizes(self) -> Index:
        """How many data each has, shape (L,)."""
        return np.asarray((self.order >= 0).sum(axis=1), dtype=np.intp)

    def present(self, chosen: Index) -> Index:
        """How many data of each are among some of all data, shape (L,)."""
        return np.asarray(np.isin(self.order, chosen).sum(axis=1), dtype=np.intp)

    @property
    def count(self) -> int:
        """L."""
        return len(self.order)

    def table(self, data: Array) -> Array:
        """(n, L, K) of (n, n_obs), 0 where an experiment measures nothing."""
        return np.where(self.order >= 0, data[:, self.order], 0.0)

    def arrays(self) -> dict[str, Array]:
        """For storage."""
        order: Array = np.asarray(self.order, dtype=np.int64)
        return {"order": order, "identity": self.identity}

    @classmethod
    def from_arrays(cls, a: Mapping[str, Array]) -> Experiments:
        """The inverse of :meth:`arrays`."""
        return cls(np.asarray(a["order"], dtype=np.intp), a["identity"])


def _places(columns: list[Array], n: int) -> tuple[int, Index]:
    """How many places n data lie at by their coordinates, and which of them each; last first."""
    rest = np.stack([np.zeros(n), *(np.asarray(v, dtype=np.float64) for v in columns)])
    places, at = np.unique(rest[::-1], axis=1, return_inverse=True)
    return places.shape[1], np.asarray(at.ravel(), dtype=np.intp)
