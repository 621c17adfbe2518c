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
    """L experiments of K data each.

    Attributes:
        order: which datum stands where, shape (L, K).
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
            ConfigError: no such coordinate, or experiments that differ in what they measure.
        """
        name = coordinate(sensors, axes, name)
        values = np.asarray(sensors[name], dtype=np.float64)
        rest = np.stack([np.asarray(v, dtype=np.float64) for c, v in sensors.items() if c != name])
        numbers, own = np.unique(values, return_inverse=True)
        rows = [np.flatnonzero(own == k) for k in range(len(numbers))]
        rows = [r[np.lexsort(rest[:, r])] for r in rows]
        same = all(np.array_equal(rest[:, r], rest[:, rows[0]]) for r in rows[1:]
                   if len(r) == len(rows[0]))  # fmt: skip
        if not same or len({len(r) for r in rows}) > 1:
            raise ConfigError(
                f"experiments by '{name}' do not measure at the same places, so that one network "
                "cannot read them all; use 'lin-fno'"
            )
        span = max(float(np.ptp(numbers)), 1e-300)
        return cls(np.stack(rows), 2 * (numbers - numbers[0]) / span - 1)

    def present(self, chosen: Index) -> Index:
        """How many data of each are among some of all data, shape (L,)."""
        return np.asarray(np.isin(self.order, chosen).sum(axis=1), dtype=np.intp)

    @property
    def count(self) -> int:
        """L."""
        return len(self.order)

    def table(self, data: Array) -> Array:
        """(n, L, K) of (n, n_obs)."""
        return data[:, self.order]

    def arrays(self) -> dict[str, Array]:
        """For storage."""
        order: Array = np.asarray(self.order, dtype=np.int64)
        return {"order": order, "identity": self.identity}

    @classmethod
    def from_arrays(cls, a: Mapping[str, Array]) -> Experiments:
        """The inverse of :meth:`arrays`."""
        return cls(np.asarray(a["order"], dtype=np.intp), a["identity"])
