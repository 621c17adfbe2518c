"""What a model predicts: data of the right shape, the same each time, refused where senseless."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pdeinv.errors import PdeinvError, ShapeError, SolverDiverged, reason
from pdeinv.model.forward import Capability, ForwardModel

from .clauses import Broken, Table, hold, refused
from .problem_case import PROTOCOL, Case, gap
from .problem_says import labels

__all__ = ["CLAUSES", "HUGE", "MODEL", "typed"]

CLAUSES: Table[Case] = Table(PROTOCOL)

MODEL = "pdeinv.model.forward.ForwardModel"
SMALL = 1e-3
"""Levels this close to each other, relative to the largest datum, have converged."""
SLACK = 1.5
"""Data of coarse meshes, and of coefficients that jump, do not converge evenly."""
HUGE = (np.inf, -np.inf, 1e300, -1e300, 0.0)


@CLAUSES.clause(
    "model", "a forward model of a problem is a reference model with its capabilities declared",
    needs=("sensors", "prior-draws"), where=MODEL,
)  # fmt: skip
def model(case: Case) -> None:
    found = case.model()
    hold(isinstance(found, ForwardModel), "a member of the protocol is missing")
    hold(found.kind == "reference", f"`kind` is {found.kind!r}")
    declared = found.capabilities
    good = isinstance(declared, frozenset) and declared <= set(Capability)
    hold(good, f"`capabilities` is {declared!r}, no frozenset of Capability")


@CLAUSES.clause(
    "data-space", "the data space is one variable named like `observed`, with its units, sized and "
    "labelled like the sensors", needs=("model",), where=MODEL,
)  # fmt: skip
def data_space(case: Case) -> None:
    space, o = case.model().d_space, case.problem.observed
    hold(space.names == (o.name,), f"it has {space.names}, observed is '{o.name}'")
    hold(space.size == case.size, f"size {space.size} for {case.size} sensors")
    hold(space[o.name].units == o.units, f"units '{space[o.name].units}', observed '{o.units}'")
    dumb = labels(space)
    hold(not dumb, f"units or long_name missing for {', '.join(dumb)}")
    for c in o.coords:
        hold(c in space[o.name].coords, f"coordinate '{c}' is missing")
        same = np.array_equal(space[o.name].coords[c][1], case.sensors[c])
        hold(same, f"coordinate '{c}' differs from that of the sensors")


@CLAUSES.clause(
    "unknown-fixed", "the unknown's space is that of the prior in every model, whatever the level",
    needs=("model",),
)  # fmt: skip
def unknown_fixed(case: Case) -> None:
    own = case.prior.space
    for level in case.levels:
        space = case.model(level).m_space
        hold(space.names == own.names, f"level {level} has variables {space.names}")
        for v in own.variables:
            shape = space[v.name].shape
            hold(shape == v.shape, f"'{v.name}' is {v.shape}, at level {level} {shape}")


@CLAUSES.clause("data", "the data of a prior draw are finite and of shape (n_d,)", needs=("model",))
def data(case: Case) -> None:
    for level in case.levels:
        found = case.model(level)(case.m())
        hold(np.shape(found) == (case.size,), f"level {level}: shape {np.shape(found)}")
        hold(np.isfinite(found).all(), f"level {level}: not finite")


@CLAUSES.clause(
    "repeatable", "a model has no memory: other calls between two do not change its data",
    needs=("data",), where=MODEL,
)  # fmt: skip
def repeatable(case: Case) -> None:
    found = case.model()
    m = case.m()
    kept = m.copy()
    first = np.array(found(m))
    hold(np.array_equal(m, kept), "the model changes the array that it is given")
    other = np.array(found(case.m(1)))
    hold(gap(found(m), first) <= 1e-13, "the same unknown gives other data after another one")
    m[:] = case.m(1)
    hold(gap(found(m), other) <= 1e-13, "data are those of what the same array held before")


@CLAUSES.clause(
    "rebuilt", "a class built again from plain data gives the same numbers, as in other processes",
    needs=("data",),
)  # fmt: skip
def rebuilt(case: Case) -> None:
    twin = case.rebuilt()
    hold(np.array_equal(twin.prior().unwhiten(case.xi()), case.m()), "the prior's map differs")
    again = twin.forward_model(case.sensors)(case.m())
    hold(np.array_equal(again, case.rebuilt().forward_model(case.sensors)(case.m())),
         "two such instances differ")  # fmt: skip
    hold(gap(again, case.model()(case.m())) < 1e-10, "data differ from those of the first instance")


@CLAUSES.clause(
    "levels", "data of neighbouring levels come no further apart on finer meshes",
    needs=("data",),
)  # fmt: skip
def levels(case: Case) -> None:
    a, b, c = (case.model(level)(case.m()) for level in case.levels)
    peak = max(float(np.abs(c).max()), 1e-300)
    first, second = (float(np.abs(d).max()) / peak for d in (a - b, b - c))
    low, mid, high = case.levels
    hold(
        second < SLACK * first or second < SMALL,
        f"levels {low} and {mid} differ by {first:.2g} of the peak, {mid} and {high} by "
        f"{second:.2g}",
    )


@CLAUSES.clause(
    "dofs", "`dofs(level)` is a whole number that grows with the level", needs=("data",)
)
def dofs(case: Case) -> None:
    found = [case.problem.dofs(level) for level in case.levels]
    hold(all(isinstance(n, int | np.integer) and n > 0 for n in found), f"it is {found}")
    hold(found[0] < found[1] < found[2], f"levels {case.levels} have {found}")


@CLAUSES.clause(
    "shapes-refused", "an unknown of another shape raises ShapeError", needs=("data",), where=MODEL
)
def shapes_refused(case: Case) -> None:
    n, found = case.prior.space.size, case.model()
    for m in (np.ones(n + 1), np.ones(0), np.float64(1.0)):
        what = f"an unknown of shape {np.shape(m)} where ({n},) belongs"
        refused(lambda m=m: found(m), what, ShapeError)  # type: ignore[misc]
        refused(lambda m=m: case.problem.solve(m, 0), f"solve of {what}", ShapeError)  # type: ignore[misc]


def typed[T](call: Callable[[], T], what: str) -> T | None:
    """What ``call`` gives; None where it fails by SolverDiverged as it should.

    Raises:
        Broken: it fails in another way.
    """
    try:
        with np.errstate(all="ignore"):
            return call()
    except SolverDiverged:
        return None
    except PdeinvError as error:
        raise Broken(f"{what} raises {type(error).__name__}, no SolverDiverged") from None
    except Exception as error:
        raise Broken(f"{what} raises {type(error).__name__}: {reason(error)}") from None


@CLAUSES.clause(
    "nan-refused", "an unknown of NaN gives no finite datum: SolverDiverged, or NaN",
    needs=("data",), where=MODEL,
)  # fmt: skip
def nan_refused(case: Case) -> None:
    n = case.prior.space.size
    found = typed(lambda: np.asarray(case.model()(np.full(n, np.nan))), "it")
    hold(found is None or not np.isfinite(found).any(), "data are finite")
    again = case.model()(case.m())
    hold(np.isfinite(again).all(), "the model gives no data any more after NaN")


@CLAUSES.clause(
    "failed-solve", "a solve that fails, of an infinite, huge or zero unknown, raises "
    "SolverDiverged and no other error", needs=("data",), where=MODEL,
)  # fmt: skip
def failed_solve(case: Case) -> None:
    found, before = case.model(), case.model()(case.m())
    for value in HUGE:
        m = np.full(case.prior.space.size, value)
        typed(lambda m=m: found(m), f"an unknown of {value:g}")  # type: ignore[misc]
    hold(gap(found(case.m()), before) <= 1e-13, "the model gives other data after a failed solve")
