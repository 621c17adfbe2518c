"""Many unknowns in one call: each row its own, to the last bit, and right."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pdeinv.errors import ShapeError, SolverDiverged
from pdeinv.model.forward import Capability, RowsLinearization
from pdeinv.model.rows import by_rows
from pdeinv.typing import Array

from .clauses import Table, hold, refused
from .problem_case import PROTOCOL, Case, gap

__all__ = ["CLAUSES"]

CLAUSES: Table[Case] = Table(PROTOCOL)

OFFERS = "pdeinv.model.forward.OffersRows"
NOTHING = "the model declares no ROWS"
NOT_BOTH = "the model declares not both ROWS and a derivative"
N = 64
SAME = 1e-12
"""Rows and single calls agree so far, relative to the peak."""


def _ms(case: Case) -> Array:
    return np.stack([case.m(i) for i in range(N)])


def _choices(case: Case) -> Iterator[tuple[str, list[int]]]:
    """Rows of all to ask for, with words."""
    for n in (1, 2, 3, 7):
        yield f"{n} rows", list(range(5, 5 + n))
    yield "rows in another order", case.rng(8).permutation(N).tolist()


def _bits(found: Array, whole: Array, rows: list[int], what: str) -> None:
    hold(np.array_equal(found, whole[rows], equal_nan=True), f"{what} have other bits than of {N}")


@CLAUSES.clause(
    "rows", "where ROWS is declared, the bits of a row are its own: of 1, 2, 3, 7 or 64 rows, in "
    "any order", needs=("data",), where=OFFERS,
)  # fmt: skip
def rows(case: Case) -> str | None:
    model = by_rows(case.model())
    if model is None:
        return NOTHING
    ms = _ms(case)
    kept, whole = ms.copy(), model.rows(ms)
    hold(np.array_equal(ms, kept), "the model changes the array that it is given")
    shape = np.shape(whole.values)
    hold(shape == (N, case.size), f"values have shape {shape}, not ({N}, {case.size})")
    hold(not whole.failures, f"a prior draw fails: {list(whole.failures.values())[:1]}")
    for what, chosen in _choices(case):
        _bits(model.rows(ms[chosen]).values, whole.values, chosen, what)
    hold(np.shape(model.rows(ms[:0]).values) == (0, case.size), "no rows give no values")
    wide = np.ones((2, ms.shape[1] + 1))
    refused(lambda: model.rows(wide), "rows of another length", ShapeError)
    return None


@CLAUSES.clause(
    "rows-values", "they are the data of the same unknowns alone", needs=("rows",), where=OFFERS
)
def rows_values(case: Case) -> str | None:
    model = by_rows(case.model())
    if model is None:
        return NOTHING
    found, single = model.rows(_ms(case)[:7]).values, case.model()
    worst = max(gap(row, single(case.m(i))) for i, row in enumerate(found))
    hold(worst <= SAME, f"they differ by {worst:.2g} of the peak")
    return None


@CLAUSES.clause(
    "rows-fail", "a row that fails fails alone: NaN with its reason, beside the bits of the others",
    needs=("rows",), where=OFFERS,
)  # fmt: skip
def rows_fail(case: Case) -> str | None:
    model = by_rows(case.model())
    if model is None:
        return NOTHING
    ms = _ms(case)[:7]
    whole = model.rows(ms).values
    ms[3] = np.nan
    found, sound = model.rows(ms), [0, 1, 2, 4, 5, 6]
    hold(set(found.failures) == {3}, f"row 3 is NaN, and rows {sorted(found.failures)} fail")
    hold(isinstance(found.failures[3], str) and found.failures[3], "it has no reason")
    hold(np.isnan(found.values[3]).all(), "its data are not NaN")
    _bits(found.values[sound], whole, sound, "the others")
    return None


def _vectors(case: Case) -> dict[str, Array]:
    """What the declared actions are tried on, one vector for each of all rows."""
    sizes = {Capability.JVP: case.prior.space.size, Capability.VJP: case.size}
    return {
        str(c): case.rng(9 + k).standard_normal((N, size))
        for k, (c, size) in enumerate(sizes.items())
        if c in case.model().capabilities
    }


def _acted(at: RowsLinearization, case: Case, rows: list[int]) -> dict[str, Array]:
    """Values and declared actions, each on the vector that belongs to its row."""
    acted = {name: getattr(at, name)(vs[rows]) for name, vs in _vectors(case).items()}
    return {"values": at.values, **acted}


@CLAUSES.clause(
    "rows-linearized", "linearized rows keep to the same, and last: values, actions and what "
    "`at(i)` gives", needs=("rows", "rows-fail", "linearization-lasts"), where=OFFERS,
)  # fmt: skip
def rows_linearized(case: Case) -> str | None:
    model, ms, everyone = by_rows(case.model()), _ms(case), list(range(N))
    if model is None or not _vectors(case):
        return NOT_BOTH
    at = model.linearize_rows(ms)
    whole = _acted(at, case, everyone)
    hold(gap(at.values, model.rows(ms).values) <= SAME, "`values` are not those of `rows`")
    for what, chosen in _choices(case):
        some = _acted(model.linearize_rows(ms[chosen]), case, chosen)
        for name, values in some.items():
            _bits(values, whole[name], chosen, f"{name} of {what}")
    again = _acted(at, case, everyone)
    hold(all(np.array_equal(again[k], whole[k]) for k in whole), "later calls change it")
    return None


@CLAUSES.clause(
    "rows-linearized-fail", "a linearized row that fails fails alone: NaN in all that is asked of "
    "it", needs=("rows-fail", "rows-linearized"), where=OFFERS,
)  # fmt: skip
def rows_linearized_fail(case: Case) -> str | None:
    model, ms, everyone = by_rows(case.model()), _ms(case)[:7], list(range(7))
    if model is None or not _vectors(case):
        return NOT_BOTH
    whole = _acted(model.linearize_rows(ms), case, everyone)
    ms[3] = np.nan
    at, sound = model.linearize_rows(ms), [0, 1, 2, 4, 5, 6]
    refused(lambda: at.at(3), "`at` of a row that failed", SolverDiverged)
    for name, values in _acted(at, case, everyone).items():
        hold(np.isnan(values[3]).all(), f"{name} of the failed row is a number")
        _bits(values[sound], whole[name], sound, f"{name} beside a failed row")
    return None


@CLAUSES.clause(
    "rows-at", "actions at all rows are those of `at(i)`, which has the bits of its row alone",
    needs=("rows-linearized",), where=OFFERS,
)  # fmt: skip
def rows_at(case: Case) -> str | None:
    model, ms, vectors = by_rows(case.model()), _ms(case)[:7], _vectors(case)
    if model is None or not vectors:
        return NOT_BOTH
    at = model.linearize_rows(ms)
    found = _acted(at, case, list(range(7)))
    for i in range(7):
        one, alone = at.at(i), model.linearize_rows(ms[i : i + 1]).at(0)
        hold(np.array_equal(one.value, at.values[i]), f"the value of at({i}) has other bits")
        for name, vs in vectors.items():
            act, same = getattr(one, name)(vs[i]), getattr(alone, name)(vs[i])
            worst = gap(act, found[name][i])
            hold(worst <= SAME, f"{name} of at({i}) differs by {worst:.2g} of its peak")
            hold(np.array_equal(act, same), f"{name} of at({i}) has other bits than alone")
    return None
