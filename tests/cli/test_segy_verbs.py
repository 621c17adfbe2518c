"""SEG-Y by the verbs: out and in again, notes on the terminal, outputs, and what is missing."""

import numpy as np
import pytest
import xarray as xr
from segy_files import line, segy

import pdeinv

pytest.importorskip("segyio")
pytestmark = pytest.mark.usefixtures("solves_here")

SMALL = {"cells": 8, "boundary": {"width": 0.0}, "time": {"final": 0.3},
         "survey": {"source_depth": 600.0, "receivers": 4}}  # fmt: skip


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    """A truth with its traces."""
    out = tmp_path_factory.mktemp("segy") / "truth.nc"
    pdeinv.solve(pdeinv.problem("seismic", **SMALL), seed=3, level=0, out=out)
    return out


def test_gathers_go_out_and_come_in_again(truth, call, tmp_path):
    file, obs = tmp_path / "line.segy", tmp_path / "obs.nc"
    done = call("export", truth, "--segy", file)
    assert done.exit_code == 0, done.stderr
    done = call("import", "seismic", "segy", file, "--noise-rms", 0.05, "--out", obs)
    assert done.exit_code == 0, done.stderr
    found, made = xr.open_dataset(obs), xr.open_dataset(truth)
    largest = float(np.abs(made["u"]).max())
    assert np.abs(found["u"].values - made["u"].values).max() < 1e-7 * largest
    assert found["time"].values == pytest.approx(made["time"].values, abs=1e-12)
    config = pdeinv.problem("seismic", **SMALL).config
    assert found["source_y"].values == pytest.approx(config.sources[:, 1], abs=0.005)
    assert found["receiver_x"].values == pytest.approx(config.receivers[:, 0], abs=0.005)
    done = call("check", obs, "--set", "problem.cells=8", "--set", "problem.boundary.width=0")
    assert done.exit_code == 0, done.stderr
    again = tmp_path / "again.sgy"
    assert call("export", obs, "--segy", again).exit_code == 0
    assert again.read_bytes()[3600:] == file.read_bytes()[3600:]


@pytest.mark.filterwarnings("always::UserWarning")
def test_dead_traces_go_out_as_such(call, tmp_path):
    traces = line()
    traces[2] = ({**traces[2][0], "kind": 2}, traces[2][1])
    (tmp_path / "line.segy").write_bytes(segy(traces))
    done = call("import", "seismic", "segy", tmp_path / "line.segy", "--out", tmp_path / "obs.nc")
    assert "1 of 6 traces are dead (1 marked so" in done.stderr
    done = call("export", tmp_path / "obs.nc", "--segy", tmp_path / "new.segy", "--json")
    assert '"dead": 1' in done.stdout
    done = call("import", "seismic", "segy", tmp_path / "new.segy", "--out", tmp_path / "again.nc")
    both = (xr.open_dataset(tmp_path / name)["u"].values for name in ("obs.nc", "again.nc"))
    assert np.array_equal(*both, equal_nan=True)


def test_only_files_of_pdeinv_are_replaced(truth, call, tmp_path):
    other = tmp_path / "line.segy"
    other.write_bytes(segy(line()))
    done = call("export", truth, "--segy", other, "--overwrite")
    assert done.exit_code == 2
    assert "carries no mark of pdeinv" in done.stderr
    mine = tmp_path / "mine.segy"
    for more in ((), ("--overwrite",)):
        assert call("export", truth, "--segy", mine, *more).exit_code == 0
    assert "already exists" in call("export", truth, "--segy", mine).stderr


@pytest.mark.parametrize(("words", "message"), [
    (("--segy", "line.txt"), "expected a name that ends in .segy or .sgy"),
    (("--segy", "line.segy", "--vtk", "x.vtkhdf"), "give one output"),
    (("--segy", "line.segy", "--variable", "velocity"), "--variable goes with --vtk"),
])  # fmt: skip
def test_wrong_flags_of_export_are_one_line(words, message, truth, call):
    done = call("export", truth, *words)
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert message in done.stderr


def test_what_has_no_gathers_is_refused(call, tmp_path):
    out = tmp_path / "truth.nc"
    pdeinv.solve(pdeinv.problem("darcy", cells=8), seed=1, level=0, out=out)
    done = call("export", out, "--segy", tmp_path / "x.segy")
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert "problem darcy has no shot gathers" in done.stderr
    assert not (tmp_path / "x.segy").exists()


def test_a_survey_far_from_the_domain_asks_for_its_units(call, tmp_path):
    (tmp_path / "line.segy").write_bytes(segy(line(coordinate_scalar=1, interval=2000)))
    obs = tmp_path / "obs.nc"
    assert call("import", "seismic", "segy", tmp_path / "line.segy", "--out", obs).exit_code == 0
    done = call("check", obs)
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert "a source at 16 times its size. Is it in other units" in done.stderr
