"""The scattering model for a tile: unknowns to data at receivers, with tangents and adjoints."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from pdeinv.fem.coefficient_tiles import CoefficientTiles
from pdeinv.fem.picked_tiles import PickedTiles
from pdeinv.fem.wave_tiles import PointTiles, Wave, WaveTiles, inner_of, parts_of
from pdeinv.kernels.tiles import Part
from pdeinv.model.reference import check_finite
from pdeinv.typing import Array

from .detector_tiles import DetectorTiles, detector_tiles

if TYPE_CHECKING:
    from .model import Band, ScatteringModel

__all__ = ["ScatteringTiles"]


@dataclass(frozen=True)
class BandTiles:
    """One frequency.

    Attributes:
        band: of one unknown.
        equation: of a tile.
        incident: u_inc at the points as parts.
        detector: what the receivers measure.
        picked: the data in its table.
    """

    band: Band
    equation: WaveTiles
    incident: Array
    detector: DetectorTiles
    picked: PickedTiles

    def put(self, w: Array) -> Array:
        """The weights of the table for those w (n_d, width) of all data."""
        return self.picked.put(w[self.band.rows.index])


@dataclass(frozen=True)
class State:
    """Contrasts q at the points of a tile of unknowns m, with the waves of each frequency."""

    m: Array
    q: Array
    waves: list[Wave]


class ScatteringTiles:
    """The model for a tile of unknowns (n_m, width).

    Args:
        model: of one unknown.
        places: where the degrees of freedom lie, (n, 2).
    """

    def __init__(self, model: ScatteringModel, places: Array) -> None:
        self._model, self._places = model, places
        self._coefficient = CoefficientTiles(model.coefficient)

    @cached_property
    def _bands(self) -> list[BandTiles]:
        """Built at the first use: a model that is never asked for rows needs no such matrices."""
        shared: dict[bytes, PointTiles] = {}
        return [self._made(band, shared) for band in self._model.bands]

    def _made(self, band: Band, shared: dict[bytes, PointTiles]) -> BandTiles:
        inner, rows = inner_of(band.system), band.rows
        key = inner.nodes.tobytes()
        points = shared.get(key) or shared.setdefault(key, PointTiles(band.system.rule, inner))
        equation = WaveTiles(band.system, inner, points, self._places)
        detector = detector_tiles(band.detector, inner, points)
        shape = (len(rows.where), rows.n_sources)
        picked = PickedTiles(rows.picked, shape, complex=True)
        return BandTiles(band, equation, parts_of(band.incident), detector, picked)

    def check(self, m: Array) -> None:
        """Refuse one m that is not finite."""
        check_finite(m)

    def parts(self, rows: int) -> Iterator[Part]:
        """How rows are spread over tiles."""
        return self._bands[0].equation.solver.parts(rows)

    def bytes(self, width: int) -> int:
        """What factors and waves of a tile hold."""
        return sum(b.equation.bytes(width, b.incident.shape[1]) for b in self._bands)

    def solved(self, m: Array) -> State:
        """The waves of every frequency."""
        m = m.copy()
        q = self._coefficient.values(m)
        with np.errstate(over="ignore", invalid="ignore"):
            return State(m, q, [b.equation.solved(q, b.incident) for b in self._bands])

    def _gather(self, tables: list[Array], width: int) -> Array:
        data = np.empty((self._model.d_space.size, width))
        for band, table in zip(self._bands, tables, strict=True):
            data[band.band.rows.index] = band.picked.take(table)
        return data

    def data(self, state: State, *, again: bool) -> Array:
        """D of every frequency."""
        pairs = zip(self._bands, state.waves, strict=True)
        tables = [b.detector.data(wave, state.q) for b, wave in pairs]
        return self._gather(tables, state.q.shape[-1])

    def tangent(self, state: State, dm: Array) -> Array:
        """dD of every frequency."""
        dq, tables = self._coefficient.jvp(state.m, dm), []
        for band, wave in zip(self._bands, state.waves, strict=True):
            tables.append(band.detector.tangent(wave.tangent(dq), wave, state.q, dq))
        return self._gather(tables, dq.shape[-1])

    def adjoint(self, state: State, w: Array) -> Array:
        """The derivative of Re Σ c D with respect to q, pulled back to m."""
        slope = np.zeros_like(state.q)
        for band, wave in zip(self._bands, state.waves, strict=True):
            c = band.put(w)
            adjoint = wave.factor.solve(band.detector.load(c, state.q))
            slope += wave.gradient(adjoint) + band.detector.direct(c, wave)
        return self._coefficient.vjp(state.m, slope)
