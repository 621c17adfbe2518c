"""The forward model: an unknown to concentrations, with its derivative."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pdeinv.errors import ConfigError, SolverDiverged
from pdeinv.fem.tiled import KEPT_BYTES, TiledModel
from pdeinv.fem.trajectory import kept_states, segment_length
from pdeinv.kernels.spare import SpareArrays
from pdeinv.kernels.tiles import Part, lanes, parts
from pdeinv.memory import check_fits
from pdeinv.model.reference import check_finite
from pdeinv.model.spaces import Space
from pdeinv.typing import Array

from . import unknown
from .clock import Clock
from .config import TumorConfig
from .growth import Diffusion
from .lattice import Lattice
from .reads import Reads
from .run import Run
from .seed import Seed
from .unknown import Parameters

__all__ = ["Discretisation", "TumorModel", "TumorTiles", "check_history", "history"]


_NO_CELLS = 1e-12
"""Concentrations of a seed that are none."""
_MOST = 8_000
"""Points up to which a tile of unknowns stays in the cache. Beyond, derivatives of rows take longer
than one by one: 1.5 times as long at 16 000 points."""


@dataclass(frozen=True)
class Discretisation:
    """The equation on one level.

    Attributes:
        config: of the problem.
        level: of the mesh.
        lattice: where c is.
        diffusion: in space.
        clock: in time.
    """

    config: TumorConfig
    level: int
    lattice: Lattice
    diffusion: Diffusion
    clock: Clock


def history(on: Discretisation, m: Array) -> tuple[Array, Array]:
    """The times of the levels that are written, and c at them, shape (levels, n).

    Raises:
        SolverDiverged: m is out of range, or a solve failed.
    """
    check_finite(m)
    unknown.check(on.config, m)
    found = unknown.parameters(on.config, m[:, None])
    seed, clock = Seed(on.lattice, on.config.seed), on.clock
    if not (seed(found.seed) > _NO_CELLS).any():
        raise SolverDiverged(
            f"the seed at ({', '.join(f'{x:g}' for x in found.seed[:, 0])}) mm lies outside of the "
            "tissue, so that there are no cells; place it in white or grey matter"
        )
    run = Run(found, seed, clock, on.diffusion, clock.steps, SpareArrays())
    check_history(on)
    written = clock.written
    c = np.empty((len(written), on.lattice.size))
    with np.errstate(all="ignore"):
        for n, state in run.states(clock.steps):
            if n == written[-(-n // clock.stored)]:
                c[-(-n // clock.stored)] = state[:, 0]
    check_finite(c.ravel(), "the concentration", "")
    return clock.times(float(found.duration[0]))[written], c


def check_history(on: Discretisation) -> None:
    """Refuse to write more states than fit into memory.

    Raises:
        ConfigError: with the memory that they would take.
    """
    what = f"{on.clock.count} times of {on.lattice.size} concentrations"
    size = 8 * on.clock.count * on.lattice.size
    check_fits(what, size, "raise time.stored, or lower time.steps or the level")


class TumorTiles:
    """The model for tiles of unknowns (n_m, width).

    Args:
        on: the equation.
        reads: the data.
        width: lanes that share the bound on memory.
    """

    def __init__(self, on: Discretisation, reads: Reads, width: int) -> None:
        self._on, self._reads = on, reads
        self._seed = Seed(on.lattice, on.config.seed)
        self._spare = SpareArrays()
        self._last = max(1, reads.last)
        bound = 1e6 * on.config.time.memory_mb
        self._segment = segment_length(self._last, on.lattice.size * width, bound)

    def check(self, m: Array) -> None:
        """Refuse one m that is out of range."""
        check_finite(m)
        unknown.check(self._on.config, m)

    def parts(self, rows: int) -> Iterator[Part]:
        """How rows are spread over tiles."""
        return parts(rows)

    def bytes(self, width: int) -> int:
        """States of a tile, as a part of what may be kept."""
        found = 8 * self._on.lattice.size * width * kept_states(self._last, self._segment)
        # where the user's bound is another one, all tiles together keep to it
        return int(found * KEPT_BYTES / (1e6 * self._on.config.time.memory_mb))

    def solved(self, m: Array) -> Run:
        """The runs, which march when they are asked for."""
        on, found = self._on, unknown.parameters(self._on.config, m.copy())
        return Run(found, self._seed, on.clock, on.diffusion, self._segment, self._spare)

    def data(self, state: Run, *, again: bool) -> Array:
        """The data (n_d, width)."""
        with np.errstate(all="ignore"):
            return state.data(self._reads, again=again)

    def tangent(self, state: Run, dm: Array) -> Array:
        """dG(m)[dm]; a duration that is known does not change."""
        change = unknown.parameters(self._on.config, dm)
        if self._on.clock.before == 0:
            still = np.zeros_like(change.duration)
            change = Parameters(change.diffusivity, change.growth_rate, change.seed, still)
        with np.errstate(all="ignore"):
            return state.tangent(self._reads, change)

    def adjoint(self, state: Run, w: Array) -> Array:
        """dG(m)ᵀ w, shape (n_m, width)."""
        with np.errstate(all="ignore"):
            found = state.adjoint(self._reads, w)
        rest = [found.duration] if self._on.clock.before else []
        return np.stack([found.diffusivity, found.growth_rate, *found.seed, *rest])


class TumorModel(TiledModel):
    """G(m) = concentrations at places and times, or their averages over voxels.

    Rows of unknowns are solved by tiles where finite differences solve: a line is solved for
    several of them in the time of one or two.

    Args:
        spaces: of m and of the data.
        on: the equation on one level.
        reads: the data as functions of the states.
    """

    def __init__(self, spaces: tuple[Space, Space], on: Discretisation, reads: Reads) -> None:
        super().__init__(*spaces)
        self._on, self._reads = on, reads
        self._single = TumorTiles(on, reads, 1)

    def tiles(self) -> TumorTiles | None:
        """The same for tiles of unknowns; None where they do not pay, or have no room."""
        on = self._on
        if on.config.solver != "finite-differences" or on.lattice.size > _MOST:
            return None
        try:
            return TumorTiles(on, self._reads, lanes())
        except ConfigError:
            return None

    def solved(self, m: Array) -> Run:
        """The run of ``m``, which marches when it is asked for."""
        self._single.check(m)
        return self._single.solved(m[:, None])

    def data(self, m: Array, *, again: bool) -> Array:
        """The data; the states are kept where derivatives ask for them."""
        return self._single.data(self.state(m), again=again)[:, 0]

    def tangent(self, m: Array, dm: Array) -> Array:
        """The change of the data, by one more run."""
        return self._single.tangent(self.state(m), dm[:, None])[:, 0]

    def adjoint(self, m: Array, w: Array) -> Array:
        """The gradient of w·G(m), by one run backwards."""
        return self._single.adjoint(self.state(m), w[:, None])[:, 0]
