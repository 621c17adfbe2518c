"""Fields: what ``solve`` gives, what ``observe`` reads from it, what files keep of both."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import xarray as xr

from pdeinv.bayes.noise import Noise
from pdeinv.config import dump_toml, parse
from pdeinv.io import netcdf
from pdeinv.io.observations import Observations, header, read, to_dataset
from pdeinv.plugins.hooks import annotated, tables_of

from .clauses import Table, hold
from .problem_case import PROTOCOL, Case, gap

__all__ = ["CLAUSES"]

CLAUSES: Table[Case] = Table(PROTOCOL)

SAME = 1e-8
"""How far, relative to the peak, data of fields may be from those of the model of that level."""


@CLAUSES.clause("solve", "`solve` gives a dataset of finite values", needs=("data",))
def solve(case: Case) -> None:
    fields = case.fields
    hold(isinstance(fields, xr.Dataset) and fields.data_vars, "it gives no dataset of variables")
    bad = [k for k, v in fields.variables.items() if v.dtype.kind in "fc" and not v.notnull().all()]
    hold(not bad, f"not finite: {', '.join(map(str, bad))}")


@CLAUSES.clause(
    "fields-labelled", "every variable and coordinate of `solve` has units and long_name",
    needs=("solve",), where="docs/files.md",
)  # fmt: skip
def fields_labelled(case: Case) -> None:
    for what in ("units", "long_name"):
        dumb = [str(k) for k, v in case.fields.variables.items() if not v.attrs.get(what)]
        hold(not dumb, f"no {what}: {', '.join(dumb)}")


@CLAUSES.clause(
    "observe", "`observe` of `solve` gives the data of the model of that level", needs=("solve",)
)
def observe(case: Case) -> None:
    for level in (0, 1):
        fields = case.fields if level == 1 else case.problem.solve(case.m(), 0)
        worst = gap(case.problem.observe(fields, case.sensors), case.model(level)(case.m()))
        hold(worst <= SAME, f"level {level}: they differ by {worst:.2g} of the peak")


@CLAUSES.clause(
    "observe-file", "another instance observes the same in a file of those fields",
    needs=("observe",),
)  # fmt: skip
def observe_file(case: Case) -> None:
    with tempfile.TemporaryDirectory() as folder:
        netcdf.write(Path(folder) / "fields.nc", case.fields)
        back = netcdf.read_dataset(Path(folder) / "fields.nc")
    worst = gap(
        case.rebuilt().observe(back, case.sensors), case.problem.observe(case.fields, case.sensors)
    )
    hold(worst <= 1e-13, f"data differ by {worst:.2g} of the peak")


@CLAUSES.clause(
    "names-apart", "dimensions and coordinates of fields and data are none of the unknown's, so "
    "that one file holds them", needs=("solve", "data-space"), where="docs/files.md",
)  # fmt: skip
def names_apart(case: Case) -> None:
    unknown = case.prior.space.unpack(case.m())
    for what, other in {"fields": case.fields, "data": case.model().d_space.unpack(
        case.model()(case.m()))}.items():  # fmt: skip
        both = set(unknown.sizes) & set(other.sizes)
        clash = sorted(str(d) for d in both if unknown.sizes[d] != other.sizes[d])
        hold(not clash, f"{what} and unknown have dimension {', '.join(clash)} of other lengths")
        xr.DataTree.from_dict({"/": other, "unknown": unknown})


@CLAUSES.clause(
    "observation-file", "data survive an observation file: same values, places, configuration",
    needs=("data", "observed"), where="pdeinv.io.observations",
)  # fmt: skip
def observation_file(case: Case) -> None:
    problem, values = case.problem, case.model()(case.m())
    noise = Noise(np.full(case.size, 0.1 * float(np.abs(values).max()) or 1.0))
    config = problem.config.model_dump(mode="json")
    attrs = {
        "pdeinv_kind": "observations",
        "pdeinv_problem": problem.name,
        "pdeinv_problem_config": dump_toml(config),
    }
    file = to_dataset(Observations(problem.observed, values, case.sensors, noise), attrs)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "obs.nc"
        netcdf.write(path, annotated(problem, file))
        back = read(path, problem.observed)
        dataset, _, table = header(path)
    hold(parse(case.kind.Config, table, "file") == case.config, "the configuration changes")
    parse(case.kind.Config, {**tables_of(case.kind, dataset), **table}, "tables_of")
    hold(back.size == case.size, f"{case.size} data become {back.size}")
    again = problem.forward_model(back.coords)(case.m())
    hold(gap(again, back.values) < 1e-12, "the file's places do not belong to the file's values")
    hold(gap(np.sort(back.values), np.sort(values)) == 0.0, "values change")
