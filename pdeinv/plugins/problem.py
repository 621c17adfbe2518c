"""What a problem must offer; plug-ins implement it by shape alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import xarray as xr
from numpy.typing import NDArray

from pdeinv.bayes.prior import Prior
from pdeinv.config import Config as BaseConfig
from pdeinv.errors import ConfigError
from pdeinv.io.voxel_grid import VoxelGrid
from pdeinv.model.forward import ForwardModel
from pdeinv.model.observed import Observed, Sensors
from pdeinv.typing import Array

__all__ = [
    "Card",
    "Images",
    "Importer",
    "Metric",
    "Problem",
    "no_grid_operator",
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


@dataclass(frozen=True)
class Images:
    """The state of a problem at its end, on the voxels of a medical image.

    Attributes:
        name: of the state, which begins the names of files.
        grid: the voxels.
        state: of an unknown m (n_m,), where the model computes it, (n,). Raises SolverDiverged.
        volume: such numbers on the voxels in canonical order, zero outside of the body.
        fields: images to show of a dataset of :meth:`Problem.solve`, by name, the state first; with
            thresholds of a segmentation, and the time that is meant (the last where None).
    """

    name: str
    grid: VoxelGrid
    state: Callable[[Array], Array]
    volume: Callable[[Array], Array]
    fields: Callable[[xr.Dataset, Sequence[float], float | None], dict[str, NDArray[Any]]]


class Problem(Protocol):
    """One physical problem with its reference solver. ``Problem(config)`` builds it.

    What every run relies on, beyond the shapes below:

    - The unknown is the same on every mesh level, and so are its prior and its grid.
    - Dimensions and coordinates of the unknown must not be named like the data's dimensions
      (``obs`` or :attr:`~pdeinv.model.observed.Observed.dims`) or the nodes of a solution
      (``node``): one file holds them all. Unknowns on a mesh use ``vertex`` or ``element``.
    - The forward model declares what it can do: where it lists VJP, its linearization has a
      ``vjp`` that is the transpose of ``jvp``.
    - A solve, tangent or adjoint that fails raises SolverDiverged with the reason. An unknown that
      is not finite never gives finite data, and derivatives that are not finite are no result:
      both raise SolverDiverged (:class:`pdeinv.model.reference.ReferenceModel` sees to it).

    The noise of data belongs to observation files, and truths come from ``pdeinv solve`` (a prior
    draw by its seed, or a phantom): a problem offers neither. It may offer more, which is used
    where it is there: :mod:`pdeinv.plugins.hooks`.
    """

    name: ClassVar[str]
    card: ClassVar[Card]
    Config: ClassVar[type[BaseConfig]]

    def __init__(self, config: Any) -> None: ...

    @property
    def config(self) -> BaseConfig:
        """The resolved configuration."""

    @property
    def axes(self) -> tuple[str, ...]:
        """The coordinates of the domain: ``("x",)``, ``("x", "y")`` or ``("x", "y", "z")``.

        The problem's grid has these axes and no others.
        """

    @property
    def default_sensors(self) -> str:
        """Text for :meth:`sensors` that suits the domain, where a user gives none."""

    @property
    def observed(self) -> Observed:
        """The quantity that sensors measure."""

    def prior(self) -> Prior:
        """The prior of the unknown m."""

    def sensors(self, spec: str) -> Sensors:
        """Sensor places from text such as ``grid:13x13``, ``all`` or ``list:0.1,0.2;0.3,0.4``.

        :mod:`pdeinv.model.sensors` reads places in 1-D, 2-D and 3-D, and times.

        Raises:
            ConfigError: the text is not understood, or a sensor lies outside the domain.
        """

    def forward_model(self, sensors: Sensors, level: int = 0) -> ForwardModel:
        """G: m to data at the sensors, on mesh ``level`` (0 inverts, 1 makes data, -1 is coarse).

        Raises:
            DataSchemaError: a sensor lies outside the domain.
        """

    def solve(self, m: Array, level: int = 1, comm: Any = None) -> xr.Dataset:
        """All fields for one m, in an order that does not depend on the ranks of ``comm``.

        Raises:
            SolverDiverged: m is not finite or out of range, or the solve failed.
        """

    def observe(self, fields: xr.Dataset, sensors: Sensors) -> Array:
        """The observed quantity of a dataset that :meth:`solve` made, at the sensors, (n_d,)."""

    def grid_operator(self, shape: tuple[int, ...]) -> Any:
        """The sparse matrix that takes m to the coefficient on a regular grid (row-major nodes)."""

    def grid(self, shape: tuple[int, ...]) -> Sensors:
        """The nodes of a grid of ``shape`` (along (z,) y, x), boundary included, row-major.

        Its coordinates are :attr:`axes` and whatever else the data need, such as a time.

        Raises:
            ConfigError: not as many numbers, of at least two, as there are axes.
        """

    def dofs(self, level: int) -> int:
        """The number of unknowns of one reference solve."""


def no_grid_operator(of: str) -> ConfigError:
    """The error of :meth:`Problem.grid_operator` where the unknown is a list of numbers."""
    return ConfigError(
        f"the unknown of {of} is a list of numbers and no field on a grid; use a surrogate of "
        "numbers (latent, gp, multifidelity)"
    )
