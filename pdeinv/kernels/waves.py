"""Steps of waves by leapfrog, many shots at once: u⁺ = A u − b u⁻ and what goes in and out of it.

A state is an array (n, shots), a row for each degree of freedom. All steps of a run, of the run
backwards and of its change are made in one call.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from pdeinv.errors import ShapeError
from pdeinv.kernels.build import library
from pdeinv.kernels.tiles import address
from pdeinv.typing import Array

__all__ = ["Leapfrog", "Series", "Taps"]

_P, _N = ctypes.c_void_p, ctypes.c_int64


class _Taps(ctypes.Structure):
    _fields_ = [("series", _N), ("at", _P), ("place", _P), ("weight", _P)]


class _Wave(ctypes.Structure):
    _fields_ = [
        *(("n", _N), ("columns", _N), ("start", _P), ("index", _P), ("a", _P), ("b", _P)),
        *(("given", _Taps), ("taken", _Taps)),
    ]


class _Series(ctypes.Structure):
    _fields_ = [("row", _P), ("values", _P)]


@dataclass(frozen=True)
class Taps:
    """Weighted sums of the numbers of a state, a series each.

    Attributes:
        at: where the terms of each series begin, shape (series + 1,).
        row: of the state, for each term.
        column: its shot.
        weight: likewise.
    """

    at: NDArray[np.int64]
    row: NDArray[np.int64]
    column: NDArray[np.int64]
    weight: Array

    @classmethod
    def of(cls, parts: Sequence[tuple[Any, NDArray[np.int64]]]) -> Taps:
        """One series for each row of sparse matrices, whose columns are rows of a state.

        Args:
            parts: matrices (series, n) and the shot of each of their rows.
        """
        rows = [(csr_array(matrix), shots) for matrix, shots in parts]
        counts = np.concatenate([np.diff(m.indptr) for m, _ in rows])
        columns = np.concatenate([np.repeat(shots, np.diff(m.indptr)) for m, shots in rows])
        at = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        index = np.concatenate([m.indices for m, _ in rows]).astype(np.int64)
        return cls(at, index, columns.astype(np.int64), np.concatenate([m.data for m, _ in rows]))

    @property
    def series(self) -> int:
        """Their number."""
        return len(self.at) - 1

    def together(self) -> Taps:
        """One series of all terms."""
        return Taps(self.at[[0, -1]], self.row, self.column, self.weight)

    def scaled(self, factor: Array) -> Taps:
        """The same with the weights of a row of the state multiplied by its factor (n,)."""
        return Taps(self.at, self.row, self.column, self.weight * factor[self.row])


@dataclass(frozen=True)
class Series:
    """Numbers that go with steps.

    Attributes:
        row: of the values, for each step; −1 where nothing goes with it.
        values: shape (rows, series).
    """

    row: NDArray[np.int64]
    values: Array

    @classmethod
    def nothing(cls, steps: int) -> Series:
        """None at any step."""
        return cls(np.full(steps, -1), np.zeros((0, 0)))


@dataclass
class _Held:
    """A structure for C with the arrays that it points to."""

    structure: Any
    arrays: list[Any] = field(default_factory=list)

    @property
    def address(self) -> int:
        return ctypes.addressof(self.structure)


class Leapfrog:
    """The steps u⁺ = A u − b u⁻ + what is given.

    Args:
        matrix: A, CSR of shape (n, n).
        past: b, shape (n,).
        shots: columns of a state.
        given: where series go in.
        taken: where series come out.

    Raises:
        MissingDependency: the kernels cannot be compiled here.
    """

    def __init__(self, matrix: Any, past: Array, shots: int, given: Taps, taken: Taps) -> None:
        self._library = library()
        arrays = [
            np.ascontiguousarray(matrix.indptr, np.int64),
            np.ascontiguousarray(matrix.indices, np.int32),
            np.ascontiguousarray(matrix.data, np.float64),
            np.ascontiguousarray(past, np.float64),
        ]
        ends = [_taps(t, shots) for t in (given, taken)]
        addresses = (address(a) for a in arrays)
        wave = _Wave(len(past), shots, *addresses, *(e.structure for e in ends))
        self._wave = _Held(wave, [*arrays, *ends])
        self._series = given.series, taken.series
        self.shape = (len(past), shots)

    def march(self, states: Array, first: int, given: Series, taken: Series) -> None:
        """All steps that series are given for.

        Args:
            states: shape (slots, n, shots): state k at k modulo slots, of which there are two or
                more.
            first: the number of the first of the two states to begin with.
            given: what goes in.
            taken: is written.

        Raises:
            ShapeError: states or series of another shape.
        """
        self._check(states, 2)
        g, t = self._ends(given, self._series[0]), self._ends(taken, self._series[1])
        where = address(states), len(states), first
        self._library.wave_march(self._wave.address, len(given.row), *where, g.address, t.address)

    def back(
        self, adjoint: Array, first: int, states: Array, ends: tuple[Series, Series]
    ) -> tuple[Array, Array]:
        """The run backwards: adjoint states p with what they say of the coefficients of a step.

        Args:
            adjoint: two states, as of :meth:`march`.
            first: likewise.
            states: u of the run forward, with one state before its first step and one after its
                last, shape (steps + 2, n, shots).
            ends: what is given and what is taken, both in the order of the run backwards.

        Returns:
            −Σ p (u⁺ − 2u + u⁻) and −Σ p (u⁺ − u⁻) over steps and shots, each of shape (n,).

        Raises:
            ShapeError: states or series of another shape.
        """
        steps = len(ends[0].row)
        self._check(adjoint, 2)
        self._check(states, steps + 2)
        g, t = (self._ends(s, n) for s, n in zip(ends, self._series, strict=True))
        on_second, on_first = np.zeros(self.shape[0]), np.zeros(self.shape[0])
        self._library.wave_back(
            *(self._wave.address, steps, address(adjoint), first, address(states)),
            *(g.address, t.address, address(on_second), address(on_first)),
        )
        return on_second, on_first

    def change(
        self, coefficients: tuple[Array, Array, Array], ends: tuple[Series, Series, Series]
    ) -> None:
        """The change of a run from rest: k (−da (u⁺ − 2u + u⁻) − dc (u⁺ − u⁻)) goes in.

        Args:
            coefficients: k, da and dc, each of shape (n,).
            ends: what is given to u, what is given to its change, and what is taken of that.

        Raises:
            ShapeError: series of another shape.
        """
        steps = len(ends[0].row)
        u, d = np.zeros((3, *self.shape)), np.zeros((2, *self.shape))
        counts = (self._series[0], self._series[0], self._series[1])
        held = [self._ends(s, n) for s, n in zip(ends, counts, strict=True)]
        own = [np.ascontiguousarray(c, np.float64) for c in coefficients]
        self._library.wave_change(
            *(self._wave.address, steps, address(u), address(d)),
            *(address(c) for c in own),
            *(h.address for h in held),
        )

    def _check(self, states: Array, least: int) -> None:
        good = states.shape[1:] == self.shape and len(states) >= least
        if not (good and states.flags.c_contiguous and states.dtype == np.float64):
            raise ShapeError(
                f"states of shape {states.shape}, expected ({least} or more, "
                f"{self.shape[0]}, {self.shape[1]})"
            )

    def _ends(self, series: Series, count: int) -> _Held:
        rows = np.ascontiguousarray(series.row, np.int64)
        values = series.values
        if (rows >= 0).any():
            fits = values.shape == (len(values), count) and rows.max() < len(values)
            if not (fits and values.flags.c_contiguous and values.dtype == np.float64):
                raise ShapeError(f"series of shape {values.shape}, expected (rows, {count})")
        return _Held(_Series(address(rows), address(values)), [rows, values])


def _taps(taps: Taps, shots: int) -> _Held:
    at = np.ascontiguousarray(taps.at, np.int64)
    place = np.ascontiguousarray(taps.row * shots + taps.column, np.int64)
    weight = np.ascontiguousarray(taps.weight, np.float64)
    made = _Taps(taps.series, address(at), address(place), address(weight))
    return _Held(made, [at, place, weight])
