"""NetCDF files: what is written is read again, and unreadable ones are one line."""

import os

import netCDF4
import numpy as np
import pytest
import xarray as xr

from pdeinv.errors import DataSchemaError
from pdeinv.io import declared, netcdf


def test_a_dataset_is_read_as_written(tmp_path):
    data = xr.Dataset({"a": ("x", np.arange(3.0), {"units": "s"})}, attrs={"title": "test"})
    netcdf.write(tmp_path / "a.nc", data)
    xr.testing.assert_identical(netcdf.read_dataset(tmp_path / "a.nc"), data)


def test_durations_stay_numbers(tmp_path):
    data = xr.Dataset(coords={"t": ("t", np.arange(3.0), {"units": "s"})})
    netcdf.write(tmp_path / "a.nc", data)
    assert netcdf.read_dataset(tmp_path / "a.nc").t.dtype == np.float64


def test_a_tree_is_read_as_written(tmp_path):
    tree = xr.DataTree.from_dict(
        {"/": xr.Dataset(attrs={"a": 1}), "/posterior": xr.Dataset({"m": ("x", [1.0, 2.0])})}
    )
    netcdf.write(tmp_path / "a.nc", tree)
    xr.testing.assert_equal(netcdf.read_tree(tmp_path / "a.nc"), tree)


def test_the_file_may_be_overwritten_after_reading(tmp_path):
    path = tmp_path / "a.nc"
    for value in (1.0, 2.0):
        netcdf.write(path, xr.Dataset({"a": value}))
        assert netcdf.read_dataset(path).a == value


@pytest.mark.parametrize("read", [netcdf.read_dataset, netcdf.read_tree])
def test_unreadable_files_are_refused(tmp_path, read):
    with pytest.raises(DataSchemaError, match=r"^no such file: .*a\.nc$"):
        read(tmp_path / "a.nc")
    with pytest.raises(DataSchemaError, match=r" is a folder, expected a file$"):
        read(tmp_path)
    (tmp_path / "a.nc").write_bytes(b"\x89HDF\r\n\x1a\n and nothing more")
    with pytest.raises(DataSchemaError, match=r"NetCDF-4; it is truncated or damaged; write"):
        read(tmp_path / "a.nc")


def declare(path, name, size, dim="big"):
    """A variable of which nothing is written, in a file of a few kB."""
    with netCDF4.Dataset(str(path), "a") as file:
        file.createDimension(dim, size)
        file.createVariable(name, "f8", (dim,), chunksizes=(1 << 16,))


@pytest.fixture(name="small")
def _small(tmp_path):
    path = tmp_path / "a.nc"
    netcdf.write(path, xr.Dataset({"a": ("x", np.arange(3.0), {"units": "s"})}))
    return path


@pytest.mark.parametrize("name", ["junk", "big"])
def test_what_declares_more_than_its_file_can_hold_is_left_there(small, name):
    """``big(big)`` is a coordinate, of which xarray would make an index."""
    declare(small, name, 10**11)
    found = netcdf.read_dataset(small)
    np.testing.assert_array_equal(found["a"], [0, 1, 2])
    assert found[name].shape == (10**11,)
    told = rf"a\.nc: variable '{name}' declares 800 GB, which a file of .* kB cannot hold; write"
    with pytest.raises(DataSchemaError, match=told):
        found[name].load()
    tree = netcdf.read_tree(small)
    with pytest.raises(DataSchemaError, match=told):
        np.asarray(tree[name])
    with netcdf.opened_tree(small) as lazy, pytest.raises(DataSchemaError, match=told):
        np.asarray(lazy[name])


def test_what_there_is_no_memory_for_is_left_in_the_file(small, monkeypatch):
    monkeypatch.setattr(declared, "memory", lambda: 30)
    netcdf.write(small, xr.Dataset({"a": ("x", np.arange(3.0)), "b": ("y", np.arange(9.0))}))
    found = netcdf.read_dataset(small)
    assert found["a"].values.tolist() == [0, 1, 2]
    with pytest.raises(DataSchemaError, match="'b' declares 72 bytes, more than there is memory"):
        np.asarray(found["b"])


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("coordinates", 3, "coordinates of 'a' must be text, got 3; correct or remove it"),
        ("units", np.array([1.0, 2.0]), r"units of 'a' must be text, got \[1.0, 2.0\]"),
        ("scale_factor", "2", "scale_factor of 'a' must be a finite number, got '2'"),
        ("add_offset", np.nan, "add_offset of 'a' must be a finite number, got nan"),
        ("missing_value", "x" * 10**5, "missing_value of 'a' must be numbers, got 'xxx"),
        ("_Encoding", "result", "_Encoding of 'a' names no encoding"),
    ],
)
def test_attributes_of_a_wrong_type_are_refused(small, name, value, message):
    with netCDF4.Dataset(str(small), "a") as file:
        file["a"].setncattr(name, value)
    with pytest.raises(DataSchemaError, match=message) as caught:
        netcdf.read_dataset(small)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("value", [np.array([1, 2]), 1.5, ["a", "b"]])
def test_what_a_file_says_of_itself_is_text(small, value):
    with netCDF4.Dataset(str(small), "a") as file:
        file.setncattr("pdeinv_kind", value)
    with pytest.raises(DataSchemaError, match="attribute pdeinv_kind must be text, got"):
        netcdf.read_tree(small)


def test_units_that_are_a_number_are_text(small):
    with netCDF4.Dataset(str(small), "a") as file:
        file["a"].units = 1
    assert netcdf.read_dataset(small)["a"].attrs["units"] == "1"


def test_too_many_groups_are_refused(small, monkeypatch):
    monkeypatch.setattr(declared, "MOST_GROUPS", 3)
    with netCDF4.Dataset(str(small), "a") as file:
        for k in range(3):
            file.createGroup(f"g{k}")
    with pytest.raises(DataSchemaError, match="declares more than 3 groups"):
        netcdf.read_tree(small)


@pytest.mark.parametrize("read", [netcdf.read_dataset, netcdf.read_tree])
def test_a_pipe_is_refused_at_once(tmp_path, read):
    os.mkfifo(tmp_path / "a.nc")
    with pytest.raises(DataSchemaError, match=r"a\.nc is a pipe, expected a file; save what"):
        read(tmp_path / "a.nc")
