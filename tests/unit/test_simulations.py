"""Data set files as simulations to search in: what is read, refused, recorded and guarded."""

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import pdeinv
from pdeinv.errors import ConfigError, DataSchemaError, OutputExists
from pdeinv.io import netcdf
from pdeinv.io.rows import FileRows
from pdeinv.io.simulated import read_simulated
from pdeinv.provenance import sha256

pytestmark = pytest.mark.usefixtures("solves_here")

CONFIG = {"cells": 6, "unknown": {"kind": "piecewise", "cells": [2, 2], "std": 1.0}}
SENSORS = "grid:4x4"


def darcy(**more):
    return pdeinv.problem("darcy", **{**CONFIG, **more})


@pytest.fixture(scope="module", name="made")
def _made(tmp_path_factory):
    """Observations, and 40 simulations at their sensors."""
    folder = tmp_path_factory.mktemp("made")
    pdeinv.solve(darcy(), seed=1, out=folder / "truth.nc")
    how = {"sensors": SENSORS, "noise_rel": 0.05, "seed": 2}
    pdeinv.observe(folder / "truth.nc", **how, out=folder / "obs.nc")
    pdeinv.generate(obs=folder / "obs.nc", n=40, seed=3, out=folder / "data.nc")
    return folder


def search(made, out=None, data="data.nc", **more):
    options = {"simulations": str(made / data), "refine": "none", "seed": 4, **more}
    return pdeinv.invert(made / "obs.nc", engine="database", out=out, **options)


def test_the_samples_of_the_file_are_what_is_searched(made):
    data, found = xr.load_dataset(made / "data.nc"), search(made)
    obs = xr.load_dataset(made / "obs.nc")
    off = (data["u"].values - obs["u"].values) / obs["u_sigma"].values
    score = 0.5 * np.sum(off**2, axis=1) + 0.5 * np.sum(data["xi"].values ** 2, axis=1)
    np.testing.assert_array_equal(found["hits"]["simulation"], np.argsort(score)[:8])
    np.testing.assert_allclose(found["hits"]["objective"], np.sort(score)[:8], rtol=1e-9)
    assert found.attrs["pdeinv_n_forward"] == 8 + found.attrs["pdeinv_n_forward_predictive"]
    assert "of 40 simulations in data.nc" in found.attrs["pdeinv_message"]


def test_the_result_says_which_file_by_its_hash(made):
    said = search(made).attrs
    assert f"data.nc:sha256={sha256(made / 'data.nc')}" in said["pdeinv_inputs"]
    assert 'simulations = "' in said["pdeinv_config"]


def test_predictions_stay_in_the_file_until_asked_for(made):
    found = read_simulated(made / "data.nc")
    assert isinstance(found.predictions, FileRows)
    assert found.predictions[2:5].shape == (3, 16)


def changed(made, path, change):
    tree = netcdf.read_tree(made / "data.nc")
    dataset = change(tree.to_dataset()) or tree.to_dataset()
    netcdf.write(path, dataset)
    return path


def test_failed_samples_are_left_out(made, tmp_path):
    def fail(dataset):
        best = int(search(made)["hits"]["simulation"][0])
        dataset["status"][best] = 1
        dataset["u"][best] = np.nan
        return dataset

    changed(made, tmp_path / "some.nc", fail)
    assert read_simulated(tmp_path / "some.nc").xi.shape == (39, 4)
    some, whole = search(made, data=tmp_path / "some.nc"), search(made)
    np.testing.assert_array_equal(some["hits"]["xi"][:7], whole["hits"]["xi"][1:])

    none = changed(made, tmp_path / "none.nc", lambda d: d.assign(status=0 * d["status"] + 1))
    with pytest.raises(DataSchemaError, match="every one of its solves failed; nothing to search"):
        search(made, data=none)


def generated(path, problem=None, **more):
    how = {"n": 12, "seed": 3, "sensors": SENSORS, **more}
    pdeinv.generate(problem or darcy(), **how, out=path)


HEAT = pdeinv.problem("heat", cells=6)
THREE = {"kind": "piecewise", "cells": [3, 1], "std": 1.0}
OTHERS = {"kind": "piecewise", "cells": [2, 2], "std": 1.5}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"problem": HEAT, "sensors": None},
         "simulations of problem 'heat', this run is of 'darcy'; generate it for that"),
        ({"problem": darcy(unknown=THREE)}, "another prior of 3 unknowns, this run's has 4;"),
        ({"problem": darcy(unknown=OTHERS)}, "another prior of 4 unknowns, this run's has 4;"),
        ({"sensors": "grid:5x5"}, "has 25 sensors, the data have 16; generate it with --obs"),
        ({"sensors": "grid:2x8"}, "has its sensors at another x than the data; generate it with"),
    ],
    ids=["problem", "size", "prior", "number", "places"],
)  # fmt: skip
def test_simulations_of_something_else_are_one_clear_line(made, more, words, tmp_path):
    generated(tmp_path / "other.nc", **more)
    with pytest.raises(DataSchemaError) as caught:
        search(made, data=tmp_path / "other.nc")
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path / 'other.nc'}: ")
    assert "\n" not in str(caught.value)


def test_another_mesh_is_no_other_problem(made, tmp_path):
    """Simulations of a coarse mesh choose, and the mesh of the run decides."""
    generated(tmp_path / "coarse.nc", problem=darcy(cells=3))
    found = search(made, data=tmp_path / "coarse.nc")
    assert (found["hits"]["score"] != found["hits"]["objective"]).all()


def test_files_that_are_no_data_set_are_one_clear_line(made, tmp_path):
    with pytest.raises(DataSchemaError, match=r"no such file: .*no\.nc"):
        search(made, data=tmp_path / "no.nc")
    with pytest.raises(DataSchemaError, match="expected"):
        search(made, data="obs.nc")
    content = (made / "data.nc").read_bytes()
    (tmp_path / "short.nc").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataSchemaError, match=r"short\.nc"):
        search(made, data=tmp_path / "short.nc")


def test_the_file_is_never_overwritten_by_the_result(made):
    with pytest.raises(OutputExists, match=r"data\.nc"):
        search(made, out=made / "data.nc", overwrite=True)


def test_another_file_under_the_same_name_is_not_gone_on_with(made, tmp_path):
    here, out = tmp_path / "data.nc", tmp_path / "found.nc"
    here.write_bytes((made / "data.nc").read_bytes())
    whole = search(made, data=here, out=out)
    again = search(made, data=here, out=out, resume=True, overwrite=True)
    np.testing.assert_array_equal(again["hits"]["xi"], whole["hits"]["xi"])
    generated(tmp_path / "new.nc", n=20)
    (tmp_path / "new.nc").replace(here)
    with pytest.raises(ConfigError, match="sha256 of the simulations"):
        search(made, data=here, out=out, resume=True, overwrite=True)


def test_a_dry_run_reads_the_file_and_solves_nothing(made, tmp_path):
    from pdeinv.jobs.invert.plan import plan
    from pdeinv.jobs.invert.run import Inversion

    def planned(path):
        engine = {"name": "database", "simulations": str(path)}
        return plan(Inversion.resolve({"seed": 1, "engine": engine}, made / "obs.nc"))

    assert planned(made / "data.nc")["simulations"] == 40
    generated(tmp_path / "other.nc", sensors="grid:5x5")
    with pytest.raises(DataSchemaError, match="has 25 sensors"):
        planned(tmp_path / "other.nc")


def test_the_summary_counts_simulations(made):
    found = json.loads(search(made).attrs["pdeinv_summary"])
    assert found["simulations"] == 40
    assert Path(made / "data.nc").exists()
