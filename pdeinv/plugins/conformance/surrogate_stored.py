"""Storage: the same numbers again, without a pickle anywhere; and training that can be repeated."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np

from pdeinv.errors import DataSchemaError

from .clauses import Table, hold, other_global_random, refused
from .surrogate_case import PROTOCOL, Case

__all__ = ["CLAUSES"]

CLAUSES: Table[Case] = Table(PROTOCOL)

SUFFIXES = {".json", ".safetensors", ".csv", ".log", ".txt", ".md", ".png", ".nc"}
PICKLE = (
    b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00\x8c\x08builtins\x94\x8c\x04exec\x94\x93\x94."
)
"""A pickle that asks for ``exec``: nothing may open it."""


@CLAUSES.clause(
    "saved", "what is saved and loaded gives the same numbers and metadata", needs=("bound",)
)
def saved(case: Case) -> None:
    found, metadata = case.reloaded()
    hold(np.array_equal(case.answers(found), case.answers()), "numbers differ")
    before, after = (json.dumps(dict(m), sort_keys=True) for m in (case.trained.metadata, metadata))
    hold(before == after, "metadata differ")


@CLAUSES.clause(
    "no-pickle", "a folder holds `metadata.json` and safetensors, and nothing that runs when "
    "opened",
    needs=("fit",),
)  # fmt: skip
def no_pickle(case: Case) -> None:
    with tempfile.TemporaryDirectory() as folder:
        files = [f for f in case.saved(Path(folder)).rglob("*") if f.is_file()]
        hold(any(f.name == "metadata.json" for f in files), "no `metadata.json`")
        odd = sorted(f.name for f in files if f.suffix not in SUFFIXES)
        hold(not odd, f"it holds {', '.join(odd)}")


@CLAUSES.clause(
    "damaged-refused", "a folder that is empty, or whose weights are something else, is refused "
    "with DataSchemaError in one line", needs=("no-pickle",),
)  # fmt: skip
def damaged_refused(case: Case) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = case.saved(Path(name))
        (Path(name) / "empty").mkdir()
        load = case.kind.load
        refused(lambda: load(Path(name) / "empty"), "an empty folder", DataSchemaError)
        weights = sorted(folder.rglob("*.safetensors"))
        hold(weights, "there are no safetensors")
        weights[0].write_bytes(PICKLE)
        refused(lambda: load(folder), "a pickle in place of the weights", DataSchemaError)


@CLAUSES.clause(
    "again", "fitting again with the same data, options and seed gives the same bits",
    needs=("bound",),
)  # fmt: skip
def again(case: Case) -> None:
    first = case.answers()
    with other_global_random():
        second = case.fit()
    hold(np.array_equal(case.answers(second), first), "numbers differ")
    hold(np.array_equal(case.answers(), first), "the first one has changed")
