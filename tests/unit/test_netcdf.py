"""NetCDF files: what is written is read again, and unreadable ones are one line."""

import numpy as np
import pytest
import xarray as xr

from pdeinv.errors import DataSchemaError
from pdeinv.io import netcdf


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
