"""The protocol of a configuration: drives, measurements, and which pairs of them are data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.model.observed import Picked, Sensors
from pdeinv.model.sensors import listed
from pdeinv.typing import Array

from ..setup.config import EitConfig
from ..setup.patterns import pattern_matrix

__all__ = ["Protocol", "Sheet"]

_HELP = (
    "all, injections:0,3, list:I,M;I,M or the path of a CSV file with header injection,measurement"
)
_BALANCE = 1e-9


@dataclass(frozen=True)
class Sheet:
    """Which inputs are applied and which outputs are compared.

    Attributes:
        drives: shape (injections, r).
        measures: shape (measurements, r).
    """

    drives: Array
    measures: Array

    @property
    def shape(self) -> tuple[int, int]:
        """Injections and measurements."""
        return len(self.drives), len(self.measures)

    def voltages(self, x: Any) -> Any:
        """All data of a response matrix, shape (injections, measurements)."""
        return self.drives @ x @ self.measures.T


class Protocol:
    """What is driven and measured.

    Args:
        config: of the problem.
        electrodes: their number.

    Raises:
        ConfigError: currents that do not sum to zero, patterns that do not fit the electrodes.
    """

    def __init__(self, config: EitConfig, electrodes: int) -> None:
        self.config, self.electrodes = config, electrodes
        if config.model == "continuum":
            eye = np.eye(2 * config.modes)
            self.sheet = Sheet(eye, eye)
            return
        drives = config.drive.current * pattern_matrix(config.drive.pattern, electrodes)
        off = np.abs(drives.sum(axis=1)) / np.maximum(np.abs(drives).max(axis=1), 1e-300)
        bad = np.flatnonzero(off > _BALANCE)
        if len(bad):
            k = int(bad[0])
            raise ConfigError(
                f"the currents of injection {k} sum to {drives[k].sum():.3g} A, expected 0: what "
                "goes in must come out; correct the pattern or its electrodes"
            )
        if not drives.any(axis=1).all():
            k = int(np.flatnonzero(~drives.any(axis=1))[0])
            raise ConfigError(f"injection {k} carries no current; remove its row")
        self.sheet = Sheet(drives, pattern_matrix(config.measure.pattern, electrodes))

    @cached_property
    def measured(self) -> NDArray[np.bool_]:
        """Which (injection, measurement) pairs are data."""
        drives, measures = self.sheet.drives, self.sheet.measures
        if self.config.model == "continuum" or self.config.includes_driven:
            return np.ones((len(drives), len(measures)), dtype=bool)
        used: NDArray[np.bool_] = (drives != 0).astype(int) @ (measures != 0).T.astype(int) == 0
        if not used.any():
            raise ConfigError(
                "every voltage is on an electrode that carries current, so that no datum is left; "
                "set measure.include_driven = true"
            )
        return used

    def sensors(self, spec: str) -> Sensors:
        """Data rows from ``all``, ``injections:0,3``, ``list:I,M;I,M`` or a CSV file.

        Raises:
            ConfigError: the text is not understood, or names a pair that is not measured.
        """
        kind, _, rest = spec.partition(":")
        if spec == "all":
            return self._product(np.argwhere(self.measured))
        wrong = f"sensors '{spec}': expected whole numbers injection,measurement"
        if kind == "injections":
            try:
                wanted = [int(v) for v in rest.split(",")]
            except ValueError:
                raise ConfigError(wrong) from None
            self._check(np.array([[i, 0] for i in wanted]), ConfigError)
            pairs = np.argwhere(self.measured)
            return self._product(pairs[np.isin(pairs[:, 0], wanted)])
        table = listed(spec, ("injection", "measurement"), _HELP)
        if (table != np.round(table)).any():
            raise ConfigError(wrong)
        self._check(table, ConfigError)
        return self._product(table.astype(np.int64))

    def _product(self, pairs: NDArray[np.int64]) -> Sensors:
        parts = 2 if self.config.complex else 1
        table = np.repeat(pairs, parts, axis=0).astype(np.float64)
        found = {"injection": table[:, 0], "measurement": table[:, 1]}
        if parts == 2:
            found["component"] = np.tile([0.0, 1.0], len(pairs))
        return found

    def rows(self, sensors: Sensors) -> Picked:
        """The entries that sensors name.

        Raises:
            DataSchemaError: an injection, measurement or component that the protocol has not.
        """
        table = np.stack([np.asarray(sensors[k]) for k in ("injection", "measurement")], axis=1)
        self._check(table, DataSchemaError)
        imaginary = np.zeros(len(table), dtype=bool)
        if "component" in sensors:
            component = np.asarray(sensors["component"])
            bad = np.flatnonzero(~np.isin(component, (0.0, 1.0)))
            if len(bad):
                raise DataSchemaError(
                    f"datum {bad[0]} has component {component[bad[0]]:g}; expected 0 (real) or 1 "
                    "(imaginary)"
                )
            imaginary = component == 1
        whole = table.astype(np.int64)
        return Picked(whole[:, 0], whole[:, 1], imaginary)

    def _check(self, table: NDArray[Any], error: type[Exception]) -> None:
        for column, name in enumerate(("injection", "measurement")):
            n = self.sheet.shape[column]
            values = table[:, column]
            bad = np.flatnonzero((values < 0) | (values >= n) | (values != np.round(values)))
            if len(bad):
                k = int(bad[0])
                raise error(
                    f"datum {k} has {name} {values[k]:g}, the protocol has 0 to {n - 1}; correct "
                    "the file or the configuration"
                )
