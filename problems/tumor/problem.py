"""The tumor problem: what the protocol asks of it, made of the pieces beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar, NoReturn

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pdeinv.bayes.likelihood import Likelihood
from pdeinv.bayes.prior import Prior
from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.fem.field_unknown import FieldUnknown
from pdeinv.fem.levels import counts_of
from pdeinv.io.fields import described
from pdeinv.io.observations import Observations
from pdeinv.model.observed import Observed, Sensors
from pdeinv.model.sensors import (
    AXES,
    check_inside,
    grid_nodes,
    parse_timed,
    points_of,
)
from pdeinv.model.strong_form import StrongForm
from pdeinv.plugins.aligned import Aligned, Measured
from pdeinv.plugins.portrait import Portrait
from pdeinv.plugins.problem import Card, Images, Importer, Problem, no_grid_operator
from pdeinv.typing import Array

from .alignment import aligned
from .clock import Clock
from .config import NiftiConfig, TumorConfig
from .differences import LineDiffusion
from .elements import ElementDiffusion
from .faces import faces_of
from .factors import EVERYWHERE, Scaled, fields_of
from .fields import scan_variables, scanned, to_dataset
from .grids import voxels
from .image_box import placed
from .images import images_of, portrait_of
from .importer import IMPORTERS
from .memory import state_bytes
from .model import Discretisation, TumorModel, check_history, history
from .places import check_places, timed
from .reads import Reads
from .remarks import remarks
from .scans import in_all_regions, law_of, observed_of, plain, seen_of
from .strong_form import strong_form
from .tensor import Tensor, tensor_of
from .tissue import Tissue, tissue_of
from .unknown import prior_of

__all__ = ["Tumor"]


class Tumor:
    """∂c/∂t = ∇·(D∇c) + ρ c (1 − c): growth of a brain tumor (Fisher and Kolmogorov).

    Reference: Swanson, Alvord and Murray (2000); Harpold, Alvord and Swanson (2007).
    """

    name: ClassVar[str] = "tumor"
    Config: ClassVar[type[TumorConfig]] = TumorConfig
    importers: ClassVar[Mapping[str, Importer]] = IMPORTERS
    card: ClassVar[Card] = Card(
        title="Tumor growth in the brain",
        equation="∂c/∂t = ∇·(D∇c) + ρ c (1 − c), D = D_w (white + grey/ratio)",
        unknown="diffusivity D_w and growth rate ρ (log-normal), place of the seed (uniform in a "
        "box), the duration of growth and smooth fields of D and ρ on request",
        state="concentration of tumor cells c(x, t) in [0, 1] in the tissue of a box",
        boundary="no flux at CSF, skull and sides of the box",
        units="lengths in mm, times in d, D in mm2 d-1, ρ in d-1, c in parts of the most that fits",
        reference="Swanson, Alvord and Murray (2000); Harpold, Alvord and Swanson (2007)",
    )

    def __init__(self, config: TumorConfig | None = None) -> None:
        self.config = config if config is not None else TumorConfig()

    @property
    def axes(self) -> tuple[str, ...]:
        """The coordinates of the box."""
        return AXES[: self.config.dim]

    @property
    def default_sensors(self) -> str:
        """Places all over the tissue at the time of the last scan."""
        return "grid:12"

    @property
    def observed(self) -> Observed:
        """The concentration, or masks of where it is above thresholds, or uptake in PET."""
        return observed_of(self.config, self.axes)

    def likelihood(self, sensors: Sensors) -> Likelihood | None:
        """That of masks and PET; concentrations have additive noise, which their file says."""
        return law_of(self.config, sensors)

    @cached_property
    def _plain(self) -> Tumor:
        """The same with concentrations as data, where its own are others."""
        found = plain(self.config)
        return self if found == self.config else Tumor(found)

    @cached_property
    def tissue(self) -> Tissue:
        """White and grey matter."""
        return tissue_of(self.config)

    @cached_property
    def tensor(self) -> Tensor | None:
        """How diffusion depends on the direction; None where it does not."""
        config = self.config
        if config.tensor is None:
            return None
        return tensor_of(config.tensor, self.tissue, config.dim, config.threshold)

    def prior(self) -> Prior:
        """The prior of the unknown."""
        return self._prior

    @cached_property
    def _prior(self) -> Prior:
        return prior_of(self.config, self._fields)

    @cached_property
    def _fields(self) -> dict[str, FieldUnknown]:
        return fields_of(self.config.factors, self.config.extent)

    def _scaled(self, name: str, points: Array) -> Scaled:
        """A rate at points, by its factors where there are some."""
        found = self._fields.get(name)
        return EVERYWHERE if found is None else Scaled(found.matrix(points))

    def discretisation(self, level: int) -> Discretisation:
        """The equation on a level.

        Raises:
            ConfigError: no voxels or time steps of that level.
        """
        config, cut = self.config, voxels(self.config, self.tissue, level)
        if self.tensor is not None:
            cut = cut.directed(self.tensor)
        clock = Clock.of(config, level)
        lines = config.solver == "finite-differences"
        if lines and config.faces == "sampled":
            cut = replace(cut, faces=faces_of(config, self.tissue, counts_of(config.counts, level)))
        lattice = cut.centres if lines else cut.corners
        rates = (
            self._scaled("diffusivity_factor", cut.centres.points),
            self._scaled("growth_factor", lattice.points),
        )
        diffusion = LineDiffusion(cut) if lines else ElementDiffusion(cut)
        return Discretisation(config, level, lattice, diffusion, clock, *rates)

    def sensors(self, spec: str) -> Sensors:
        """Sensors from ``PLACES`` or ``PLACES@TIMES``, such as ``grid:9x9@60,100``.

        Places are grid:K, grid:KxL, all, list:x,y;x,y or a CSV file with header x,y or x,y,t; times
        FIRST:LAST:COUNT or t,t,... (that of the last scan where not given). ``all`` means the
        middles of all voxels of level 0 with tissue; a grid leaves out points without tissue.

        Raises:
            ConfigError: not understood, or a sensor lies outside the tissue or the run.
        """
        text = spec if timed(spec) else f"{spec}@{self.config.time.final!r}"
        final, extent = self.config.time.final, self.config.extent
        found = parse_timed(text, extent, self._middles, final, self.mask)
        check_inside(found, extent)
        found = in_all_regions(self.config, found)
        try:
            self._check(found, Clock.of(self.config, 0))
        except DataSchemaError as error:
            raise ConfigError(str(error)) from None
        return found

    def _middles(self) -> Array:
        found = voxels(self.config, self.tissue, 0).centres.points
        return found[self.mask(found)]

    def _check(self, sensors: Sensors, clock: Clock) -> None:
        check_places(sensors, self.config, clock, self.mask)

    def forward_model(self, sensors: Sensors, level: int = 0) -> TumorModel:
        """G: m to concentrations, on the voxels and with the time steps of ``level``.

        Raises:
            DataSchemaError: a sensor lies outside the tissue or the run.
        """
        self._check(sensors, Clock.of(self.config, level))
        on = self.discretisation(level)
        reads = Reads.of(on.lattice, on.clock, sensors, self.config.voxel)
        seen = seen_of(self.config, reads, sensors)
        return TumorModel((self.prior().space, self.observed.space(sensors)), on, seen)

    def prepare(self, level: int) -> None:
        """Build what a solve on ``level`` needs, and refuse what it would refuse.

        Raises:
            ConfigError: no voxels or time steps of that level, or more states than fit into memory.
        """
        check_history(self.discretisation(level))

    def solve(self, m: Array, level: int = 1, comm: Any = None) -> xr.Dataset:
        """The concentration at all nodes and times of ``level``; every rank computes all of it.

        Raises:
            SolverDiverged: m is out of range, or a linear solve failed.
        """
        m = self.prior().space.check(m)
        on = self.discretisation(level)
        return self._dataset(on, m, *history(on, m))

    def _dataset(self, on: Discretisation, m: Array, times: Array, c: Array) -> xr.Dataset:
        found = to_dataset(self._plain.observed, self.tissue, on, times, c)
        return found.assign(scan_variables(self.config, m))

    def strong_form(self) -> StrongForm:
        """Residuals at points, for solvers without a mesh.

        Raises:
            ConfigError: this configuration has none.
        """
        return strong_form(self)

    def observe(self, fields: xr.Dataset, sensors: Sensors) -> Array:
        """The data of a dataset of :meth:`solve` at the sensors, linear between its times.

        Raises:
            DataSchemaError: not such a dataset, or a sensor outside the tissue or the run.
        """
        config, level = described(fields, "tumor", TumorConfig, frozenset({"c"}))
        own = self if config == self.config else Tumor(config)
        clock = Clock.of(config, level)
        own._check(sensors, clock)
        cut = voxels(config, own.tissue, level)
        lattice = cut.centres if config.solver == "finite-differences" else cut.corners
        c = np.asarray(fields["c"], dtype=np.float64)
        levels = clock.written.tolist()
        if c.shape != (len(levels), lattice.size):
            raise DataSchemaError(
                f"'c' has shape {c.shape}, its level {level} has {len(levels)} times and "
                f"{lattice.size} nodes; solve again"
            )
        reads = Reads.of(lattice, clock, sensors, config.voxel)
        if not set(reads.matrices) <= set(levels):
            raise DataSchemaError(
                f"a sensor is at a time that the file does not hold: it has every {clock.stored} "
                "time levels; choose other times, or solve again with time.stored = 1"
            )
        states = zip(levels, c[:, :, None], strict=True)
        seen = seen_of(config, reads, sensors)
        return seen.data(reads.data(states), scanned(fields, config))[:, 0]

    def grid(self, shape: tuple[int, ...]) -> Sensors:
        """The nodes of a grid of ``shape`` (along (z,) y, x) on the box at the last scan.

        Raises:
            ConfigError: not as many numbers, of at least two, as the box has dimensions.
        """
        found = grid_nodes(self.config.extent, shape)
        return {**found, "t": np.full(found["x"].size, self.config.time.final)}

    def mask(self, points: Array) -> NDArray[np.bool_]:
        """Which points (n, d) lie in the box where there is tissue."""
        low, high = np.array(self.config.extent).T
        slack = 1e-9 * float(high.max())
        inside = ((points >= low - slack) & (points <= high + slack)).all(axis=1)
        white, grey = self.tissue(np.where(inside[:, None], points, 0.0))
        return np.asarray(inside & (white + grey >= self.config.threshold))

    def on_grid(self, m: Array, shape: tuple[int, ...]) -> Array:
        """c of the last scan at :meth:`grid`, zero without tissue: what ``score`` compares."""
        nodes = self.grid(shape)
        inside = self.mask(points_of(nodes, self.axes))
        found = np.zeros(len(inside))
        sensors = {name: column[inside] for name, column in nodes.items()}
        plain = self._plain
        found[inside] = plain.forward_model(sensors)(m[: plain.prior().space.size])
        return found

    def grid_operator(self, shape: tuple[int, ...]) -> NoReturn:
        """Refused: the unknown is a list of numbers, and fields beside them on request.

        Raises:
            ConfigError: always.
        """
        if self.config.factors:
            raise ConfigError(
                "the unknown of a tumor is D, ρ and a place beside fields of factors, and no one "
                "field on a grid; use a surrogate of numbers (latent)"
            )
        raise no_grid_operator("a tumor")

    def fixtures(self) -> xr.Dataset:
        """How mm of the box become mm of the world, where the box is an image."""
        tissue = self.config.tissue
        return placed(tissue.white) if isinstance(tissue, NiftiConfig) else xr.Dataset()

    def images(self, level: int) -> Images:
        """Concentrations on the voxels of the image of white matter, or of the level without one.

        Raises:
            ConfigError: no voxels or time steps of that level.
        """
        return images_of(self.tissue, self.discretisation(level))

    def portrait(self, level: int) -> Portrait | None:
        """Concentrations before white and grey matter on the same voxels; None of a line.

        Raises:
            ConfigError: no voxels or time steps of that level.
        """
        return portrait_of(self.tissue, self.discretisation(level))

    def remarks(self, observations: Observations) -> tuple[str, ...]:
        """What data of one time leave open, odd images, and concentrations that cannot be."""
        return (*self.tissue.notes, *remarks(self.config, observations))

    def aligned(self, measured: Measured, other: Problem, sensors: Sensors) -> Aligned | None:
        """Data of this brain where ``other`` was simulated, by the affine map between tissues.

        Raises:
            DataSchemaError: at other times, with other masks, or nowhere near.
        """
        assert isinstance(other, Tumor)
        return aligned(self, measured, other, sensors)

    def dofs(self, level: int) -> int:
        """The number of concentrations of one time."""
        cut = voxels(self.config, self.tissue, level)
        differences = self.config.solver == "finite-differences"
        return (cut.centres if differences else cut.corners).size

    def memory_estimate(self, level: int = 0) -> int:
        """Bytes that states and matrices of one model take beside the program itself.

        Raises:
            ConfigError: the states do not fit into ``time.memory_mb``.
        """
        return state_bytes(self.config, self.dofs(level), level)
