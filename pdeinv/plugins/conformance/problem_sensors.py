"""Sensors: those that are understood, and those that have to be refused."""

from __future__ import annotations

import numpy as np

from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.model.observed import Sensors

from .clauses import Table, hold, refused
from .problem_case import PROTOCOL, Case

__all__ = ["CLAUSES"]

CLAUSES: Table[Case] = Table(PROTOCOL)

NONSENSE = (
    "",
    "nonsense",
    "grid:",
    "grid:0x0",
    "grid:axb",
    "grid:-3",
    "list:",
    "list:a",
    "list:nan",
)


def _check(case: Case, found: Sensors) -> None:
    wanted = set(case.problem.observed.coords)
    hold(set(found) == wanted, f"coordinates {sorted(found)}, expected {sorted(wanted)}")
    sizes = {np.shape(a) for a in found.values()}
    hold(len(sizes) == 1 and len(next(iter(sizes))) == 1, f"arrays of shapes {sorted(sizes)}")
    hold(next(iter(sizes))[0] > 0, "no sensor at all")
    hold(all(np.isfinite(a).all() for a in found.values()), "a place is not finite")


@CLAUSES.clause(
    "sensors", "sensors are one finite array (n_d,) per coordinate of `observed`; those that a "
    "user may leave out are understood", needs=("observed",),
)  # fmt: skip
def sensors(case: Case) -> None:
    _check(case, case.sensors)


@CLAUSES.clause(
    "sensors-refused", "sensors that are not understood raise ConfigError in one line",
    needs=("sensors",),
)  # fmt: skip
def sensors_refused(case: Case) -> None:
    d = max(case.dims, default=2)
    texts = (
        *NONSENSE,
        "list:" + ",".join(["nan"] * d),
        "list:" + ",".join(["1e9"] * d),
        "list:" + ",".join(["0.5"] * (d + 3)),
    )
    for text in texts:
        refused(lambda text=text: case.problem.sensors(text), f"sensors '{text}'", ConfigError)  # type: ignore[misc]


@CLAUSES.clause(
    "sensors-grid", "where `grid:KxL` is understood, it has as many numbers as the domain has axes",
    needs=("sensors", "axes"),
)  # fmt: skip
def sensors_grid(case: Case) -> str | None:
    d = case.dims[0]
    try:
        found = case.problem.sensors("grid:" + "x".join("32345"[:d]))
    except ConfigError:
        return "this problem takes no grid of sensors"
    _check(case, found)
    text = "grid:" + "x".join("2" * (d + 1))
    refused(lambda: case.problem.sensors(text), f"'{text}' in {d} dimensions", ConfigError)
    return None


@CLAUSES.clause(
    "sensors-outside", "a model refuses sensors that lie outside, or nowhere, with DataSchemaError",
    needs=("sensors",),
)  # fmt: skip
def sensors_outside(case: Case) -> None:
    for what, shift in (("far outside", 1e6), ("at NaN", np.nan)):
        moved = {c: np.asarray(a, dtype=np.float64) + shift for c, a in case.sensors.items()}
        refused(
            lambda places=moved: case.problem.forward_model(places),  # type: ignore[misc]
            f"a sensor {what}", DataSchemaError, ConfigError,
        )  # fmt: skip


@CLAUSES.clause(
    "sensors-subset", "a model gives data in the order of the sensors, for any part of them",
    needs=("sensors",),
)  # fmt: skip
def sensors_subset(case: Case) -> str | None:
    if case.size < 2:
        return "there is only one"
    order = case.rng(3).permutation(case.size)[: max(2, case.size // 2)]
    some = {c: np.asarray(a)[order] for c, a in case.sensors.items()}
    whole, part = case.model()(case.m()), case.problem.forward_model(some)(case.m())
    hold(np.shape(part) == (len(order),), f"shape {np.shape(part)} for {len(order)} sensors")
    worst = np.abs(part - whole[order]).max() / np.abs(whole).max()
    hold(
        worst < 1e-9, f"data of some sensors differ from those among all by {worst:.2g} of the peak"
    )
    return None
