"""The forward model: an unknown to concentrations, with its derivative."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

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
from .factors import EVERYWHERE, Scaled
from .fronts import Fronts
from .growth import Diffusion
from .lattice import Lattice
from .masks import Direct, Lazy, Masks
from .pet import Uptake
from .reads import Reads
from .run import Run
from .seed import Seed
from .unknown import Parameters

__all__ = ["Discretisation", "Seen", "TumorModel", "TumorTiles", "check_history", "history"]

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
        spread: D at voxels by its factors.
        pace: ρ at the points of the lattice by its factors.
    """

    config: TumorConfig
    level: int
    lattice: Lattice
    diffusion: Diffusion
    clock: Clock
    spread: Scaled = EVERYWHERE
    pace: Scaled = EVERYWHERE

    @property
    def rates(self) -> tuple[Scaled, Scaled]:
        """Both."""
        return self.spread, self.pace


@dataclass(frozen=True)
class Seen:
    """The data as functions of the states.

    Attributes:
        reads: concentrations.
        masks: what is seen of them; None where they are the data.
        uptake: of those data that are of PET; None where none is.
    """

    reads: Reads
    masks: Masks | Fronts | None = None
    uptake: Uptake | None = None

    def data(self, c: Array, at: Parameters) -> Array:
        """Data of concentrations (n_d, width) and of what else they depend on."""
        found = c if self.masks is None else self.masks.data(c, at)
        return found if self.uptake is None else self.uptake.data(found, c, at.levels)

    def tangent(self, c: Lazy, at: Parameters, dc: Array, change: Parameters) -> Array:
        """Their change with those of concentrations and of the rest."""
        found = dc if self.masks is None else self.masks.tangent(c, at, dc, change)
        if self.uptake is None:
            return found
        return self.uptake.tangent(found, (c(), at.levels), (dc, change.levels))

    def adjoint(self, c: Lazy, at: Parameters, w: Array) -> tuple[Array, Direct]:
        """w on the data to that on concentrations, and on the rest."""
        rest = w if self.uptake is None else np.where(self.uptake.rows[:, None], 0.0, w)
        none: Direct = {}
        on_c, direct = (rest, none) if self.masks is None else self.masks.adjoint(c, at, rest)
        if self.uptake is None:
            return on_c, direct
        more, on_levels = self.uptake.adjoint(w, c(), at.levels)
        return on_c + more, {**direct, "levels": on_levels}


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
    run = Run(found, seed, on.rates, clock, on.diffusion, clock.steps, SpareArrays())
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
        seen: the data.
        width: lanes that share the bound on memory.
    """

    def __init__(self, on: Discretisation, seen: Seen, width: int) -> None:
        self._on, self._seen, self._reads = on, seen, seen.reads
        self._seed = Seed(on.lattice, on.config.seed)
        self._spare = SpareArrays()
        self._last = max(1, seen.reads.last)
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
        return Run(found, self._seed, on.rates, on.clock, on.diffusion, self._segment, self._spare)

    def data(self, state: Run, *, again: bool) -> Array:
        """The data (n_d, width)."""
        with np.errstate(all="ignore"):
            c = state.data(self._reads, again=again)
            return self._seen.data(c, state.unknown)

    def tangent(self, state: Run, dm: Array) -> Array:
        """dG(m)[dm]."""
        change = unknown.changes(self._on.config, dm)
        with np.errstate(all="ignore"):
            dc = state.tangent(self._reads, change)
            return self._seen.tangent(self._c(state), state.unknown, dc, change)

    def adjoint(self, state: Run, w: Array) -> Array:
        """dG(m)ᵀ w, shape (n_m, width)."""
        with np.errstate(all="ignore"):
            on_c, direct = self._seen.adjoint(self._c(state), state.unknown, w)
            found = state.adjoint(self._reads, on_c)
        both = {name: getattr(found, name) + more for name, more in direct.items()}
        return unknown.gradient(self._on.config, replace(found, **both))

    def _c(self, state: Run) -> Lazy:
        """The concentrations of the data, for whom needs them."""
        return lambda: state.data(self._reads, again=True)


class TumorModel(TiledModel):
    """G(m) = concentrations at places and times, their averages over voxels, masks or uptake.

    Rows of unknowns are solved by tiles where finite differences solve: a line is solved for
    several of them in the time of one or two.

    Args:
        spaces: of m and of the data.
        on: the equation on one level.
        seen: the data as functions of the states.
    """

    def __init__(self, spaces: tuple[Space, Space], on: Discretisation, seen: Seen) -> None:
        super().__init__(*spaces)
        self._on, self._seen = on, seen
        self._single = TumorTiles(on, seen, 1)

    def tiles(self) -> TumorTiles | None:
        """The same for tiles of unknowns; None where they do not pay, or have no room."""
        on = self._on
        apart = on.config.solver != "finite-differences" or on.config.factors
        if apart or on.lattice.size > _MOST:
            return None
        try:
            return TumorTiles(on, self._seen, lanes())
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
