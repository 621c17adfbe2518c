"""Files that cannot be read say why: the system, a lock, or what is in them."""

import errno
import fcntl
import os
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from pdeinv.bayes.posterior import Counters
from pdeinv.engines.run.checkpoint import ChainStore, Saved
from pdeinv.engines.run.clock import Seconds
from pdeinv.errors import DataSchemaError, OutputExists, RunFailed, SystemFault
from pdeinv.io import netcdf
from pdeinv.io.arrays import opened_arrays, write_arrays
from pdeinv.io.checkpoints import read_metadata, write_metadata
from pdeinv.io.marks import check_mark
from pdeinv.io.rows import FileRows
from pdeinv.problems.eit.importers import matlab, pyeit_order
from pdeinv.surrogates.common.storage import load_arrays, save_arrays


def a_checkpoint(path):
    saved = Saved(np.zeros(1), np.random.default_rng(0), 0, 0, Counters(), Seconds(0.0, 0.0))
    store = ChainStore(path.parent, 0)
    store.save(saved, [])
    return lambda: store.load(np.ndarray), path.parent / "chain0.state.npz"


def a_netcdf(path):
    netcdf.write(path, xr.Dataset({"a": ("sample", np.arange(3.0))}, attrs={"pdeinv_version": "1"}))
    return path


def rows(path):
    return np.asarray(FileRows(path, "a", np.arange(3)))


def arrays(path):
    with opened_arrays(path, RunFailed) as found:
        return found["a"]


READERS = {
    "dataset": (netcdf.read_dataset, a_netcdf),
    "tree": (netcdf.read_tree, a_netcdf),
    "rows": (rows, a_netcdf),
    "npz": (arrays, lambda path: write_arrays(path, a=np.zeros(3))),
    "safetensors": (load_arrays, lambda path: save_arrays(path, {"a": np.zeros(3)}, {})),
    "metadata": (
        lambda path: read_metadata(path.parent),
        lambda path: write_metadata(path.parent, {}),
    ),
    "matlab": (matlab.load, lambda path: path.write_bytes(b"MATLAB")),
    "numpy": (pyeit_order._load, lambda path: np.save(path, np.zeros(3))),
}
NAMES = {"metadata": "metadata.json", "numpy": "a.npy"}


def refusing(monkeypatch, path, number):
    """Whatever opens that file from now on is refused."""
    opened = Path.open

    def refuse(*_, **__):
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(
        Path, "open", lambda self, *a, **k: refuse() if self == path else opened(self, *a, **k)
    )
    monkeypatch.setattr("builtins.open", refuse)
    monkeypatch.setattr("io.open", refuse)
    for name in ("netCDF4.Dataset", "xarray.open_dataset", "xarray.open_datatree"):
        monkeypatch.setattr(name, refuse)
    monkeypatch.setattr("safetensors.safe_open", refuse)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize(
    ("number", "kind", "line"),
    [
        (errno.EACCES, DataSchemaError, "cannot read .*: permission denied; ask its owner for the"),
        (errno.EIO, SystemFault, "cannot read .*: input/output error: the disk or its file system"),
        (errno.EMFILE, SystemFault, r"cannot read .*: too many open files, \d+ are allowed; raise"),
    ],
    ids=["permission", "disk", "descriptors"],
)
def test_a_reader_says_what_the_system_says(tmp_path, monkeypatch, name, number, kind, line):
    read, make = READERS[name]
    path = tmp_path / NAMES.get(name, "a.nc")
    make(path)
    with monkeypatch.context() as patch:
        refusing(patch, path, number)
        with pytest.raises(kind, match=line):
            read(path)


def test_a_checkpoint_that_may_not_be_read_is_not_called_damaged(tmp_path, monkeypatch):
    load, path = a_checkpoint(tmp_path / "a")
    with monkeypatch.context() as patch:
        refusing(patch, path, errno.ESTALE)
        with pytest.raises(SystemFault, match=r"cannot read .*: stale file handle: the disk"):
            load()


@pytest.mark.parametrize("name", ["dataset", "tree", "rows"])
def test_a_locked_file_is_called_locked(tmp_path, name):
    path = a_netcdf(tmp_path / "a.nc")
    with path.open("rb+") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        line = "another program has it open for writing; set HDF5_USE_FILE_LOCKING=FALSE"
        with pytest.raises(SystemFault, match=line):
            READERS[name][0](path)
        with pytest.raises(OutputExists, match=r"another program has it open .*; close it there"):
            check_mark(path)
    READERS[name][0](path)
    check_mark(path)


def test_a_file_system_without_locks_is_told(tmp_path, monkeypatch):
    path = a_netcdf(tmp_path / "a.nc")

    def none(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    def hidden(*_, **__):
        raise OSError(-101, "NetCDF: HDF error")

    monkeypatch.setattr(fcntl, "flock", none)
    monkeypatch.setattr("xarray.open_dataset", hidden)
    line = r"has no locks \(No locks available\); set HDF5_USE_FILE_LOCKING=FALSE"
    with pytest.raises(SystemFault, match=line):
        netcdf.read_dataset(path)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", "it is empty; write it again"),
        (b"a text", "it is of another format; expected what"),
        (b"\x89HDF\r\n\x1a\n and nothing more", "it is truncated or damaged; write it again"),
    ],
    ids=["empty", "text", "truncated"],
)
def test_what_is_in_a_file_is_told_apart(tmp_path, content, line):
    (tmp_path / "a.nc").write_bytes(content)
    for name in ("dataset", "tree", "rows"):
        with pytest.raises(DataSchemaError, match=f"cannot read .*a.nc as NetCDF-4; {line}"):
            READERS[name][0](tmp_path / "a.nc")
