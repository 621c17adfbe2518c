"""The tables of docs/files.md, and what folders are said to hold, are those of files just made."""

import json
import re
from pathlib import Path

import pytest
import xarray as xr

import pdeinv
from pdeinv.bayes.fit import largest_misfit
from pdeinv.engines.eki import EkiConfig
from pdeinv.engines.gaussian.starts import StartsConfig
from pdeinv.fem.compiled import LIMIT
from pdeinv.fem.linear import choose_method
from pdeinv.problems.helmholtz.resolution import MIN_POINTS

pytestmark = pytest.mark.usefixtures("solves_here")

DOCS = Path(__file__).parents[2] / "docs"
SMALL = {"cells": 8, "unknown": {"kind": "piecewise", "cells": (2, 2)}}
LEFT_OUT = {
    "truth.nc": {"unknown/conductivity_inside", "constant_data/…"},  # of bodies that are no box
    "obs.nc": {"u_cov", "u_qc"},  # of others
    "data.nc": {"the unknown", "the data"},
    "series.nc": {"u_qc", "u_cov", "z"},  # of others; z of solids
    "eit.nc": {"voltage_qc", "voltage_cov", "electrode_z"},  # alike
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One file of each kind, small."""
    made = tmp_path_factory.mktemp("made")
    darcy = pdeinv.problem("darcy", **SMALL)
    truth = pdeinv.solve(darcy, seed=1, out=made / "truth.nc")
    obs = pdeinv.observe(truth, sensors="grid:3x3", noise_rel=0.1, seed=1, out=made / "obs.nc")
    pdeinv.invert(obs, engine="map", seed=1, starts=1, out=made / "map.nc")
    data = pdeinv.generate(obs=obs, n=24, grid=(5, 5), jacobian=2, seed=1, out=made / "data.nc")
    heat = pdeinv.solve(pdeinv.problem("heat", cells=4, time={"steps": 4}), seed=1, level=0)
    pdeinv.observe(heat, sensors="grid:2x2", noise_rel=0.1, seed=1, out=made / "series.nc")
    few = {"electrodes": {"count": 4}, "cells": 6, "frequency": 1.0}
    eit = pdeinv.solve(pdeinv.problem("eit", **few), seed=1, level=0)
    pdeinv.observe(eit, noise_rel=0.1, seed=1, out=made / "eit.nc")
    pdeinv.train_surrogate("gp", data, seed=1, out=made / "gp")
    quick = {"draws": 8, "warmup": 2, "tuning": 20, "chains": 2, "searches": 1}
    pdeinv.invert(obs, engine="two-level", noise_rel=1.0, surrogate=made / "gp", seed=1,
                  out=made / "two.nc", **quick)  # fmt: skip
    return made


def below(title):
    """The text between a title, of any rank, and the next one."""
    text = re.split(rf"^#+ {title}$", (DOCS / "files.md").read_text(), flags=re.MULTILINE)[1]
    return re.split(r"^#+ ", text, flags=re.MULTILINE)[0]


def listed(title):
    """Names and dimensions of the first table below a title."""
    table = re.search(r"^\| name \| dims.*\n\|[-|]+\n((?:\|.*\n)+)", below(title), re.MULTILINE)[1]
    for line in table.splitlines():
        first, dims = [cell.strip() for cell in line.strip("|").split("|")][:2]
        for name in re.findall(r"`([^`]+)`", first) or [first]:
            yield name, tuple(re.findall(r"\w+", dims))


def flat(path):
    """Every variable of a file by its path in it."""
    found = {}
    for group in xr.open_datatree(path).load().subtree:
        at = group.path.strip("/")
        for name, variable in group.to_dataset(inherit=False).variables.items():
            found[f"{at}/{name}" if at else str(name)] = variable.dims
    return found


@pytest.mark.parametrize(
    ("file", "title"),
    [
        ("truth.nc", "Truth"),
        ("obs.nc", "Observations"),
        ("series.nc", "Time series"),
        ("eit.nc", "Impedance tomography"),
        ("data.nc", "Data set"),
    ],
)
def test_a_file_holds_what_its_table_lists(file, title, folder):
    found = flat(folder / file)
    rows = [(n, dims) for n, dims in listed(title) if n not in LEFT_OUT[file]]
    assert len(rows) >= 3
    for name, dims in rows:
        assert name in found, name
        if dims and not {"its", "as"} & set(dims):
            assert set(found[name]) <= set(dims), name


def test_every_variable_says_what_it_is_and_in_which_units(folder):
    """Flags, texts and the batches of a data set have no units."""
    for path in folder.glob("*.nc"):
        for group in xr.open_datatree(path).load().subtree:
            for name, variable in group.to_dataset(inherit=False).variables.items():
                free = variable.dtype.kind in "USOT" or "flag_values" in variable.attrs
                free |= group.path == "/batches"
                wanted = {"long_name"} if free else {"long_name", "units"}
                assert wanted <= set(variable.attrs), f"{path.name}:{group.path}/{name}"


def test_a_data_set_lists_its_shards(folder):
    batches = xr.open_datatree(folder / "data.nc")["batches"]
    text = " ".join(map(str, batches.to_dataset().data_vars))
    assert re.search("sha256", text)
    assert re.search("fail", text)


def test_a_surrogate_says_what_it_was_made_for(folder):
    found = {p.name for p in (folder / "gp").iterdir()}
    assert {"weights.safetensors", "metadata.json"} <= found
    metadata = json.loads((folder / "gp" / "metadata.json").read_text())
    assert "coverage_95" in json.dumps(metadata)


def test_a_run_folder_keeps_what_resume_needs(folder):
    told = below("Run folder")
    assert all(f"`{name}`" in told for name in ("config.toml", "decides.json"))
    found = {p.name for p in (folder / "map.nc.run").iterdir()}
    assert {"config.toml", "decides.json", "pdeinv.json"} <= found
    assert "seed = 1" in (folder / "map.nc.run" / "config.toml").read_text()


def test_numbers_that_depend_on_the_unknowns_are_those_of_the_page():
    """Members of eki, and searches of map: the page has them in words."""
    text = (DOCS / "engines.md").read_text()
    assert "4 for each unknown, at least 200 and at most 1000" in text
    assert [EkiConfig().members(n) for n in (2, 100, 500)] == [200, 400, 1000]
    assert "these are 8 for at most 20 unknowns, else 4" in text
    assert [StartsConfig().starts_for(n) for n in (20, 21)] == [8, 4]


def test_solvers_are_chosen_by_the_sizes_of_the_pages():
    darcy, eit = ((DOCS / f"problems/{name}.md").read_text() for name in ("darcy", "eit"))
    told = [int(n.replace(" ", "")) for n in re.findall(r"up to (\d+ 000)", darcy)]
    assert told == [LIMIT, 150_000, 600_000]
    assert f"up to {LIMIT // 1000} 000 unknowns" in eit
    sizes = (150_000, 150_001, 600_000, 600_001)
    assert [choose_method(n) for n in sizes] == ["cholesky", "mumps", "mumps", "cg"]


def test_meshes_are_refused_below_the_resolution_of_the_page():
    text = (DOCS / "problems/helmholtz.md").read_text()
    told = re.search(r"Below (\d+), (\d+), (\d+) and (\d+) nodes \(P1 to P4\)", text)
    assert [MIN_POINTS[d] for d in (1, 2, 3, 4)] == [int(n) for n in told.groups()]


def test_the_limit_of_the_misfit_is_the_one_of_the_page():
    text = (DOCS / "engines.md").read_text()
    first = re.search(
        r"([\d.]+) times the expected n/2 for (\d+) data, (.*?)\. A misfit", text, re.DOTALL
    )
    told = [(first[1], first[2]), *re.findall(r"([\d.]+) for (\d+)", first[3])]
    assert len(told) == 4
    for times, n in told:
        assert f"{largest_misfit(int(n)) / (int(n) / 2):.{len(times) - 2}f}" == times
