"""The prior that is shipped with its observations: code of today accepts it and inverts by it."""

import shutil
from pathlib import Path

import pytest

import pdeinv
from pdeinv.errors import SurrogateRejected

EXAMPLE = Path(__file__).parents[2] / "examples/darcy-phases"


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    pytest.importorskip("torch")
    return Path(shutil.copytree(EXAMPLE, tmp_path_factory.mktemp("example") / "phases"))


def test_it_is_small():
    assert sum(f.stat().st_size for f in (EXAMPLE / "prior").iterdir()) < 4e6


def test_it_makes_draws_of_two_phases_that_the_data_lead(example):
    tables = {"problem": {"cells": [31, 31]}}
    found = pdeinv.invert(
        example / "obs.nc", tables=tables, surrogate=example / "prior", engine="diffpir",
        seed=1, chains=1, particles=2, levels=20, out=example / "found.nc",
    )  # fmt: skip
    fields = found["posterior"]["conductivity"].values.reshape(2, 32, 32)
    prior = found["prior"]["conductivity"].values.reshape(-1, 32, 32)
    truth = [(fields > 6)[:, :, part].mean() for part in (slice(0, 8), slice(-8, None))]
    assert truth[0] > 0.9
    assert truth[1] < 0.1
    assert 0.3 < (prior > 6).mean() < 0.7


def test_another_grid_than_it_was_trained_on_is_refused_and_another_mesh_is_not(example):
    how = {"surrogate": example / "prior", "engine": "diffpir", "seed": 1}
    other = {"problem": {"unknown": {"kind": "two-phase", "grid": [16, 16]}}}
    with pytest.raises(SurrogateRejected, match=r"unknown\.grid"):
        pdeinv.invert(example / "obs.nc", **how, tables=other)
    few = {"chains": 1, "particles": 2, "levels": 5}
    coarse = {"problem": {"cells": [16, 16]}}
    found = pdeinv.invert(example / "obs.nc", **how, **few, tables=coarse)
    assert found["posterior"].sizes["draw"] == 2


def test_more_draws_of_it_than_memory_holds_are_refused(example, call):
    words = ("--set", "problem.cells=[31, 31]", "--seed", 1, "--n", 10**9)
    said = call("evaluate", example / "prior", *words)
    assert said.exit_code == 2
    assert "error: n: 1000000000 draws of " in said.stderr
    assert "lower n" in said.stderr
