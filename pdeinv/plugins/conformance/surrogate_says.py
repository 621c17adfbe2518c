"""What a surrogate says of itself, and what its file says of it."""

from __future__ import annotations

import json

import numpy as np

from pdeinv.errors import CapabilityError, DataSchemaError, SurrogateRejected
from pdeinv.model.learned import Role

from .clauses import Table, hold, refused
from .configs import add_config_clauses, add_name_clause
from .surrogate_case import PROTOCOL, SEED, Case
from .surrogate_lessons import neighbour

__all__ = ["CLAUSES"]

CLAUSES: Table[Case] = Table(PROTOCOL)
add_name_clause(CLAUSES)

METADATA = (
    *("surrogate", "role", "problem", "problem_config", "sensors", "noise_std", "level"),
    *("config", "errors", "dataset_sha256"),
)


@CLAUSES.clause(
    "role", "`role` is a Role, `learns_fields` and `learns_pairs` are bools",
)  # fmt: skip
def role(case: Case) -> None:
    hold(isinstance(case.kind.role, Role), f"`role` is {case.kind.role!r}")
    for flag in ("learns_fields", "learns_pairs"):
        found = getattr(case.kind, flag)
        hold(isinstance(found, bool), f"`{flag}` is {found!r}")


add_config_clauses(CLAUSES)


@CLAUSES.clause(
    "packages",
    "`needs` gives names of packages, to use no more than to train; `shares_work` a bool",
)
def packages(case: Case) -> None:
    options = case.config.model_dump()
    use, train = (case.kind.needs(options, training=t) for t in (False, True))
    good = isinstance(use, frozenset) and isinstance(train, frozenset)
    hold(good, f"`needs` gives {type(train).__name__}, no frozenset")
    hold(use <= train, f"using needs {sorted(use - train)}, which training does not")
    shares = case.kind.shares_work(case.config)
    hold(isinstance(shares, bool), f"`shares_work` gives {shares!r}")


@CLAUSES.clause(
    "few-refused", "one sample is too few: DataSchemaError, or SurrogateRejected, in one line"
)
def few_refused(case: Case) -> None:
    few = case.dataset.rows(slice(0, 1))
    refused(
        lambda: case.kind.fit(few, case.problem, case.config, SEED), "a single sample",
        DataSchemaError, SurrogateRejected,
    )  # fmt: skip


@CLAUSES.clause(
    "foreign-data", "a data set of another configuration of the problem is refused with "
    "SurrogateRejected, before training",
)  # fmt: skip
def foreign_data(case: Case) -> str | None:
    other = neighbour(case.problem)
    if other is None:
        return "no number of the problem's configuration can be changed"
    refused(
        lambda: case.kind.fit(case.dataset, other, case.config, SEED), "such a data set",
        SurrogateRejected,
    )  # fmt: skip
    return None


@CLAUSES.clause("fit", "`fit` gives a surrogate, and leaves the data set as it is")
def fit(case: Case) -> None:
    kept = case.dataset.xi.copy(), case.dataset.values.copy()
    hold(isinstance(case.trained, case.kind), f"it gives {type(case.trained).__name__}")
    same = np.array_equal(kept[0], case.dataset.xi) and np.array_equal(kept[1], case.dataset.values)
    hold(same, "it changes the data set")


@CLAUSES.clause(
    "metadata", "`metadata` is JSON data that tells what it was trained for, on and how well",
    needs=("fit",),
)  # fmt: skip
def metadata(case: Case) -> None:
    found = case.trained.metadata
    lost = [k for k in METADATA if k not in found]
    hold(not lost, f"nothing on {', '.join(lost)}")
    json.dumps(dict(found))
    hold(found["surrogate"] == case.kind.name, f"`surrogate` is {found['surrogate']!r}")
    hold(found["role"] == case.kind.role, f"`role` is {found['role']!r}")
    hold(found["problem"] == case.problem.name, f"`problem` is {found['problem']!r}")
    hold(found["dataset_sha256"] == case.dataset.digest, "the digest is not that of the data set")
    hold(found["level"] == case.dataset.level, f"`level` is {found['level']!r}")
    bad = [k for k, v in found["errors"].items() if not (np.isfinite(v) and v >= 0)]
    hold(found["errors"] and not bad, f"`errors` is {found['errors']}")


@CLAUSES.clause("pairs", "where it does not learn from pairs, `from_pairs` raises CapabilityError")
def pairs(case: Case) -> str | None:
    if case.kind.learns_pairs:
        return "it learns from pairs"
    call = case.kind.from_pairs
    refused(lambda: call(case.problem, None, case.config, SEED), "from_pairs", CapabilityError)
    return None
