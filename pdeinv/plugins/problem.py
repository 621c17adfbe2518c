"""What a problem must offer; plug-ins implement it by shape alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import xarray as xr

from pdeinv.bayes.prior import Prior
from pdeinv.config import Config as BaseConfig
from pdeinv.model.forward import ForwardModel
from pdeinv.model.observed import Observed, Sensors
from pdeinv.typing import Array

__all__ = [
    "Card",
    "Importer",
    "Metric",
    "Problem",
]


@dataclass(frozen=True)
class Card:
    """A problem in a few lines, as ``pdeinv list`` and the docs show it."""

    title: str
    equation: str
    unknown: str
    state: str
    boundary: str
    units: str
    reference: str


@dataclass(frozen=True)
class Importer:
    """A foreign format of measurements. A problem lists its own in ``importers``, by name.

    Attributes:
        summary: what the format is, in one line.
        Options: what a user may or must say beside the file; each field becomes a flag.
        read: the observation file's dataset for a source file and options.
    """

    summary: str
    Options: type[BaseConfig]
    read: Callable[[Path, Any], xr.Dataset]


@dataclass(frozen=True)
class Metric:
    """A number for an estimate. A problem lists its own in ``metrics``, by name.

    Attributes:
        summary: what it is, in words.
        evaluate: the number, of the true and the estimated coefficient on a grid; the truth is NaN
            outside the body.
        shape: of the grid, where the metric needs one of its own.
    """

    summary: str
    evaluate: Callable[[Array, Array], float]
    shape: tuple[int, ...] | None = None


class Problem(Protocol):
    """One physical problem with its reference solver. ``Problem(config)`` builds it.

    A problem may offer more, which is used where it is there: :mod:`pdeinv.plugins.hooks`.
    """

    name: ClassVar[str]
    card: ClassVar[Card]
    Config: ClassVar[type[BaseConfig]]

    def __init__(self, config: Any) -> None: ...

    @property
    def config(self) -> BaseConfig:
        """The resolved configuration."""

    @property
    def observed(self) -> Observed:
        """The quantity that sensors measure."""

    def prior(self) -> Prior:
        """The prior of the unknown m."""

    def sensors(self, spec: str) -> Sensors:
        """Sensor places from text such as ``grid:13x13``, ``all`` or ``list:0.1,0.2;0.3,0.4``.

        Raises:
            ConfigError: the text is not understood, or a sensor lies outside the domain.
        """

    def forward_model(self, sensors: Sensors, level: int = 0) -> ForwardModel:
        """G: m to data at the sensors, on mesh ``level`` (0 inverts, 1 makes data, -1 is coarse).

        Raises:
            DataSchemaError: a sensor lies outside the domain.
        """

    def solve(self, m: Array, level: int = 1, comm: Any = None) -> xr.Dataset:
        """All fields for one m, in an order that does not depend on the ranks of ``comm``."""

    def observe(self, fields: xr.Dataset, sensors: Sensors) -> Array:
        """The observed quantity of a dataset that :meth:`solve` made, at the sensors, (n_d,)."""

    def grid_operator(self, shape: tuple[int, ...]) -> Any:
        """The sparse matrix that takes m to the coefficient on a regular grid (row-major nodes)."""

    def grid(self, shape: tuple[int, ...]) -> Sensors:
        """The nodes of that grid, boundary included, in the same order."""

    def dofs(self, level: int) -> int:
        """The number of unknowns of one reference solve."""
