"""Rows of a model by tiles: what is written for a tile of unknowns serves any number of them.

A tile is an array with the row innermost (:mod:`pdeinv.kernels.tiles`). Lanes do not hear of each
other, so a row's bits depend on that row alone.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Protocol

import numpy as np

from pdeinv.errors import SolverDiverged
from pdeinv.kernels.tiles import Part, lanes, rows_of, tile_of
from pdeinv.model.forward import (
    DERIVATIVES,
    Capability,
    ForwardModel,
    Linearization,
    Rows,
    RowsLinearization,
)
from pdeinv.model.reference import ReferenceModel
from pdeinv.model.rows import linearize_each, rows_each
from pdeinv.typing import Array

__all__ = ["CACHE_BYTES", "KEPT_BYTES", "TileModel", "TiledModel", "TiledRows"]

CACHE_BYTES = 2**23
"""Less than a core's share of the last cache, which the data of other programs fill as well."""

KEPT_BYTES = 2**29
"""Factors that linearised rows keep; those of further tiles are made again for each action."""


class TileModel(Protocol):
    """A model of a tile of unknowns m (n_m, width) with data (n_d, width)."""

    def check(self, m: Array) -> None:
        """Refuse one m of shape (n_m,).

        Raises:
            SolverDiverged: it is out of range.
        """

    def parts(self, rows: int) -> Iterator[Part]:
        """How rows are spread over tiles."""

    def bytes(self, width: int) -> int:
        """What the state of a tile holds."""

    def solved(self, m: Array) -> Any:
        """The state of a tile; ``state.failed`` (width,) says where there is none."""

    def data(self, state: Any, *, again: bool) -> Array:
        """G(m), NaN where it failed; ``again`` where derivatives may be asked for next."""

    def tangent(self, state: Any, dm: Array) -> Array:
        """dG(m)[dm]."""

    def adjoint(self, state: Any, w: Array) -> Array:
        """dG(m)^T w, shape (n_m, width)."""


@dataclass(frozen=True)
class TiledRows:
    """Values and derivatives of rows, for a model whose single calls stay as they are.

    Attributes:
        single: the model of one unknown.
        tile: the same for a tile.
        alone: whether rows that a tile loses are asked of the model of one unknown.
    """

    single: ForwardModel
    tile: TileModel
    alone: bool = False

    def rows(self, ms: Array) -> Rows[Array]:
        """G at each row of ``ms`` (n, n_m)."""
        batch = _Batch.of(self, ms)
        values = batch.values(self.single.d_space.size)
        return Rows(values, batch.reasons(values))

    def linearize_rows(self, ms: Array) -> RowsLinearization:
        """The same with derivative actions of all rows together."""
        batch = _Batch.of(self, ms)
        n_m, n_d = self.single.m_space.size, self.single.d_space.size
        batch.keep = True
        values = batch.values(n_d)
        tile, reasons = self.tile, batch.reasons(values)
        return RowsLinearization(
            values,
            reasons,
            lambda dms: batch.acted(n_d, dms, tile.tangent, "jvp"),
            lambda ws: batch.acted(n_m, ws, tile.adjoint, "vjp"),
            # without the batch, whose factors a point would keep
            partial(_point, self.single, batch.ms, values, reasons),
        )


class TiledModel(ReferenceModel):
    """A reference model that may be there for tiles as well; it then takes rows.

    Attributes:
        alone_where_lost: whether rows that a tile loses are asked of the model of one unknown,
            which solves otherwise.
    """

    alone_where_lost = False

    @abstractmethod
    def tiles(self) -> TileModel | None:
        """The same for tiles of unknowns; None where the kernels are missing or do not pay."""

    @cached_property
    def _tiled(self) -> TiledRows | None:
        tile = self.tiles()
        return None if tile is None else TiledRows(self, tile, self.alone_where_lost)

    @property
    def block(self) -> int | None:
        """Rows whose factors stay in the processor's memory from solve to adjoint."""
        if self._tiled is None:
            return None
        return lanes() * max(1, CACHE_BYTES // max(1, self._tiled.tile.bytes(lanes())))

    @cached_property
    def capabilities(self) -> frozenset[Capability]:  # type: ignore[override]
        """Both derivatives, and rows where there are tiles."""
        return DERIVATIVES | (frozenset() if self._tiled is None else {Capability.ROWS})

    def rows(self, ms: Array) -> Rows[Array]:
        """The data of each row of ``ms`` (n, n_m)."""
        return rows_each(self, ms) if self._tiled is None else self._tiled.rows(ms)

    def linearize_rows(self, ms: Array) -> RowsLinearization:
        """The same with derivative actions of all rows together."""
        return linearize_each(self, ms) if self._tiled is None else self._tiled.linearize_rows(ms)


class _Batch:
    """The good rows of a batch, the states of their tiles, and why the others failed."""

    def __init__(self, model: TiledRows, ms: Array, failures: dict[int, str]) -> None:
        self.model, self.ms, self.failures = model, ms, failures
        self.good = np.array([i for i in range(len(ms)) if i not in failures], dtype=np.int64)
        self.parts = list(model.tile.parts(len(self.good)))
        self.keep = False
        self._states = dict[int, Any]()
        self._held = 0

    @classmethod
    def of(cls, model: TiledRows, ms: Array) -> _Batch:
        failures = {}
        ms = model.single.m_space.check(ms).copy()
        for i, m in enumerate(ms):
            try:
                model.tile.check(m)
            except SolverDiverged as error:
                failures[i] = str(error)
        return cls(model, ms, failures)

    def state(self, part: Part) -> Any:
        """The state of a tile, as it was or made again."""
        if part.rows.start in self._states:
            return self._states[part.rows.start]
        width = part.width
        found = self.model.tile.solved(tile_of(self.ms[self.good[part.rows]], width))
        self._held += self.model.tile.bytes(width)
        if self.keep and self._held <= KEPT_BYTES:
            self._states[part.rows.start] = found
        return found

    def data(self, part: Part) -> Array:
        return self.model.tile.data(self.state(part), again=self.keep)

    def by_parts(self, size: int, work: Callable[[Part], Array]) -> Array:
        """What ``work`` gives for each tile (size, width), as rows (n, size); NaN for bad rows."""
        good = np.empty((len(self.good), size))
        for part in self.parts:
            rows_of(work(part), part.rows.stop - part.rows.start, good[part.rows])
        found = np.full((len(self.ms), size), np.nan)
        found[self.good] = good
        return found

    def values(self, size: int) -> Array:
        """G of every row."""
        found = self.by_parts(size, self.data)
        for i in self.lost(found):
            try:
                found[i] = self.model.single(self.ms[i])
            except SolverDiverged as error:
                self.failures[i] = str(error)
        return found

    def acted(
        self, size: int, vectors: Array, act: Callable[[Any, Array], Array], name: str
    ) -> Array:
        """A derivative action on a vector for each row, and its name where a row is alone."""

        def work(part: Part) -> Array:
            return act(self.state(part), tile_of(vectors[self.good[part.rows]], part.width))

        found = self.by_parts(size, work)
        for i in self.lost(found):
            with suppress(SolverDiverged):
                found[i] = getattr(self.model.single.linearize(self.ms[i]), name)(vectors[i])
        return found

    def lost(self, found: Array) -> list[int]:
        """The rows without a result that are to be solved alone."""
        if not self.model.alone:
            return []
        bad = np.flatnonzero(~np.isfinite(found).all(axis=1))
        return [int(i) for i in bad if int(i) not in self.failures]

    def reasons(self, values: Array) -> dict[int, str]:
        """Why rows have no data."""
        lost = np.flatnonzero(~np.isfinite(values).all(axis=1))
        return {
            int(i): self.failures.get(int(i), "the matrix of the equation cannot be factored")
            for i in lost
        }


def _point(
    single: ForwardModel, ms: Array, values: Array, reasons: Mapping[int, str], i: int
) -> Linearization:
    """Row ``i`` alone; its actions are those of the model of one unknown."""
    if i in reasons:
        raise SolverDiverged(reasons[i])
    m = ms[i]
    return Linearization(
        values[i].copy(),
        lambda dm: single.linearize(m).jvp(dm),
        lambda w: single.linearize(m).vjp(w),
    )
