"""What the system refuses is one line, whatever library met it and whatever that says."""

import errno
import os
import resource

import h5py
import numpy as np
import pytest
from safetensors import SafetensorError

from pdeinv import extras
from pdeinv.errors import ConfigError, SystemFault
from pdeinv.io.atomic import atomic
from pdeinv.io.vtkhdf import MeshFields, write_mesh
from pdeinv.system_errors import (
    explained,
    refusal,
    short_of_files,
)

LINES = {
    errno.ENOSPC: r"^cannot use /dev/full: no space left in /dev \(\d+ bytes free\); free some",
    errno.EDQUOT: r"/dev/full: the disk quota is used up; delete files",
    errno.EIO: r"input/output error: the disk or its file system fails; look at",
    errno.EROFS: r"read-only file system; choose a folder that you may write to",
    errno.EACCES: r"permission denied; choose a folder that you may write to",
    errno.EMFILE: r"too many open files, \d+ are allowed; raise the limit with 'ulimit -n 1024'",
    errno.EFBIG: r"the file would be larger than ",
    errno.ENOENT: r"^cannot use /dev/full: no such file or directory$",
}


@pytest.mark.parametrize("number", LINES, ids=errno.errorcode.get)
def test_each_refusal_says_what_and_where_and_what_to_do(number):
    fault = explained(OSError(number, os.strerror(number), "/dev/full"))
    assert fault is not None
    assert "\n" not in str(fault)
    with pytest.raises(SystemFault, match=LINES[number]):
        raise fault


@pytest.mark.parametrize(
    "error",
    [
        SafetensorError("Error: I/O error: No space left on device (os error 28)"),
        OSError("Can't write data (file write failed: errno = 28, error message = 'No space')"),
        RuntimeError("[enforce fail at inline_container.cc:664] No space left on device"),
    ],
    ids=["safetensors", "h5py", "torch"],
)
def test_a_number_or_a_text_is_found_where_libraries_hide_it(error):
    assert "no space left" in str(explained(error))


def become(error, other):
    """What is left where one error is raised from another."""
    with pytest.raises(type(other)) as caught:
        raise other from error
    return caught.value


def test_a_full_disk_is_found_behind_the_error_that_it_became():
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert "no space left" in str(explained(become(full, KeyError("state"))))


def test_a_bug_stays_a_bug_also_behind_a_file_that_is_not_there():
    assert explained(ValueError("shapes differ")) is None
    gone = FileNotFoundError(errno.ENOENT, "No such file or directory", "a")
    assert explained(become(gone, KeyError("state"))) is None


def test_what_pdeinv_says_already_is_not_said_again():
    assert explained(ConfigError("disk quota: [Errno 122]")) is None


def test_a_package_that_descriptors_are_missing_for_is_not_called_missing():
    why = ImportError("libtorch.so: cannot open shared object file: Too many open files")
    assert str(extras.missing("torch", "networks need", why)).startswith(
        "torch cannot be loaded; the system refuses: too many open files, "
    )


@pytest.fixture
def largest():
    """Sets the size of the largest file that may be written."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_library_that_hides_the_reason_is_asked_for_it_by_a_write(tmp_path, largest):
    assert refusal(tmp_path) is None
    largest(1000)

    def library(target):
        target.write_bytes(bytes(1000))  # as far as it may
        raise RuntimeError("HDF error")

    message = "larger than the 1000 bytes that are allowed"
    with pytest.raises(SystemFault, match=message), atomic(tmp_path / "a.nc") as target:
        library(target)
    assert list(tmp_path.iterdir()) == []


def test_an_error_on_a_healthy_disk_keeps_its_name(tmp_path):
    with pytest.raises(RuntimeError, match="HDF error"), atomic(tmp_path / "a.nc"):
        raise RuntimeError("HDF error")


@pytest.mark.parametrize("size", [100, 3000, 6000])
def test_hdf5_files_end_in_a_line_and_not_in_a_crash(tmp_path, largest, size):
    mesh = MeshFields(np.zeros((3, 2)), np.array([[0, 1, 2]]), {"u": np.zeros(3)})
    largest(size)
    with pytest.raises(SystemFault, match="larger than"):
        write_mesh(tmp_path / "a.vtkhdf", mesh)
    assert list(tmp_path.iterdir()) == []
    largest(1 << 20)
    write_mesh(tmp_path / "a.vtkhdf", mesh)
    with h5py.File(tmp_path / "a.vtkhdf") as file:
        assert file["VTKHDF/PointData/u"].shape == (3,)


def test_a_library_that_memory_is_too_short_for_is_not_called_missing(monkeypatch):
    error = ImportError("libtorch_cpu.so: failed to map segment from shared object")
    fault = extras.missing("torch", "networks need", error)
    assert isinstance(fault, SystemFault)
    assert "torch cannot be loaded; out of memory (libtorch_cpu.so: failed to map" in str(fault)
    monkeypatch.setattr(extras, "address_space", lambda: 2**29)
    fault = extras.missing("mpi4py", "MPI needs", RuntimeError("cannot load MPI library"))
    assert isinstance(fault, SystemFault)
    assert "537 MB of addresses that this process may have: raise 'ulimit -v'" in str(fault)
    absent = ModuleNotFoundError("No module named 'torch'", name="torch")
    assert "is not installed" in str(extras.missing("torch", "networks need", absent))


def test_a_worker_that_died_may_have_lacked_files():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert short_of_files() == ""
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, before[1]))
    try:
        assert short_of_files() == ", or of files that may be open: 100, raise 'ulimit -n'"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
