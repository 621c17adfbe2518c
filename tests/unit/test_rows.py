"""Data sets larger than memory: rows read as asked for, files written batch by batch."""

import os
import pickle
import subprocess
import sys
import tracemalloc
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

from pdeinv.errors import DataSchemaError
from pdeinv.io import datasets, netcdf
from pdeinv.io.rows import FileRows
from pdeinv.io.streaming import write_stream

pytestmark = pytest.mark.usefixtures("solves_here")


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    values = np.random.default_rng(0).standard_normal((40, 3, 4))
    path = tmp_path_factory.mktemp("rows") / "d.nc"
    xr.Dataset({"v": (("sample", "y", "x"), values)}).to_netcdf(path)
    return path, values


KEPT = np.array([0, 1, 2, 5, 6, 9, 20, 21, 22, 39])


@pytest.mark.parametrize(
    "index",
    [
        3,
        -1,
        slice(2, 7),
        slice(None, None, -2),
        [4, 1, 1, 9, 0],
        np.array([], dtype=int),
        np.arange(10) % 3 == 0,
        np.array([[1, 2], [0, 9]]),
    ],
    ids=str,
)
def test_rows_are_those_numpy_gives(stored, index):
    path, values = stored
    rows, array = FileRows(path, "v", KEPT), values[KEPT]
    np.testing.assert_array_equal(rows[index], array[index])
    assert rows[index].dtype == np.float64


def test_no_file_stays_open(stored):
    """One that the collector closes while another is being opened ends the process."""
    path, _ = stored
    rows = FileRows(path, "v", KEPT)
    assert rows[2:4].shape == (2, *rows.shape[1:])
    held = [Path(f"/proc/self/fd/{fd}").resolve() for fd in os.listdir("/proc/self/fd")]
    assert path.resolve() not in held


def test_rows_look_like_an_array(stored):
    path, values = stored
    rows = FileRows(path, "v", KEPT)
    assert rows.shape == (10, 3, 4)
    assert (rows.ndim, len(rows), rows.nbytes) == (3, 10, 10 * 12 * 8)
    np.testing.assert_array_equal(np.asarray(rows), values[KEPT])
    assert rows.dtype == np.float64
    with pytest.raises(IndexError):
        rows[10]


def test_rows_travel_to_another_process_as_a_path(stored):
    path, values = stored
    rows = FileRows(path, "v", KEPT)
    assert rows.shape[0] == 10  # the file is open here
    again = pickle.loads(pickle.dumps(rows))
    np.testing.assert_array_equal(again[[2, 0]], values[KEPT][[2, 0]])


def test_rows_of_a_file_that_went_away(tmp_path):
    with pytest.raises(DataSchemaError, match="must stay in place"):
        FileRows(tmp_path / "no.nc", "v", KEPT)[0]


def batches(n, size, grid):
    rng = np.random.default_rng(1)
    for start in range(0, n, size):
        k = min(size, n - start)
        yield xr.Dataset(
            {
                "field": (("sample", "y", "x"), rng.standard_normal((k, *grid)), {"units": "m"}),
                "failure": ("sample", np.array(["", "why"] * k, dtype=object)[:k]),
                "place": ("obs", np.arange(3.0)),
            },
            attrs={"first": 1},
        )


def test_written_batch_by_batch_equals_written_at_once(tmp_path):
    parts = list(batches(23, 5, (3, 4)))
    extra = {"batches": xr.Dataset({"sha256": ("batch", np.array(["a", "b"], dtype=object))})}
    write_stream(tmp_path / "a.nc", iter(parts), 23, {"last": 2}, extra)
    whole = xr.concat(parts, "sample", data_vars="minimal")
    found = netcdf.read_dataset(tmp_path / "a.nc")
    xr.testing.assert_identical(found, whole.assign_attrs(last=2))
    with xr.open_dataset(tmp_path / "a.nc", group="batches") as group:
        assert group["sha256"].values.tolist() == ["a", "b"]


def test_an_error_on_the_way_leaves_nothing(tmp_path):
    def broken():
        yield from batches(5, 5, (2, 2))
        raise OSError("no space left")

    with pytest.raises(Exception, match="no space left"):
        write_stream(tmp_path / "a.nc", broken(), 10, {}, {})
    assert list(tmp_path.iterdir()) == []


def test_neither_writing_nor_reading_holds_the_whole_set(tmp_path):
    n, grid = 600, (64, 64)  # 20 MB
    tracemalloc.start()
    write_stream(tmp_path / "a.nc", batches(n, 10, grid), n, {}, {})
    rows = FileRows(tmp_path / "a.nc", "field", np.arange(n))
    for k in range(0, n, 100):
        assert rows[[k, n - 1 - k]].shape == (2, *grid)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.15 * rows.nbytes


def test_large_grids_stay_in_the_file_until_asked_for(tmp_path):
    from pdeinv.jobs.generate.plan import Plan
    from pdeinv.jobs.generate.run import generate

    places = {"x": np.array([0.3, 0.6]), "y": np.array([0.5, 0.5])}
    plan = Plan("darcy", {"cells": 4}, places, 20, 1, grid=(5, 5))
    generate(plan, tmp_path / "d.nc", tmp_path / "d.run")
    whole = datasets.read(tmp_path / "d.nc")
    lazy = datasets.read(tmp_path / "d.nc", eager_bytes=100)
    assert isinstance(whole.field, np.ndarray)
    assert isinstance(lazy.field, FileRows)
    assert isinstance(lazy.coefficient, FileRows)
    np.testing.assert_array_equal(lazy.field[[7, 3]], whole.field[[7, 3]])
    np.testing.assert_array_equal(lazy.xi, whole.xi)


def test_values_that_do_not_decode_are_refused_where_they_are_asked_for(tmp_path):
    path = tmp_path / "a.nc"
    with netCDF4.Dataset(str(path), "w") as file:
        file.createDimension("n", 3)
        file.createVariable("v", "f8", ("n",))[:] = 1.0
        file["v"].valid_min = np.arange(2.0)
    with pytest.raises(DataSchemaError, match=r"a\.nc: variable 'v' cannot be read \(ValueError\)"):
        np.asarray(FileRows(path, "v", np.arange(3)))


def test_files_that_nobody_looks_at_any_more_are_closed(tmp_path):
    # netCDF4 ends the process after some that it had to close itself
    path = tmp_path / "a.nc"
    xr.Dataset({"v": (("sample", "x"), np.ones((6, 3)))}).to_netcdf(path)
    script = (
        "import sys, numpy as np; from pathlib import Path; from pdeinv.io.rows import FileRows\n"
        "for _ in range(20): FileRows(Path(sys.argv[1]), 'v', np.arange(4))[0]"
    )
    subprocess.run([sys.executable, "-c", script, path], check=True)
