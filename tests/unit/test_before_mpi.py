"""What MPI would end the process for is refused, or made unnecessary, before it starts."""

import os
import resource
from pathlib import Path

import pytest

from pdeinv import before_mpi
from pdeinv.before_mpi import require_files, require_shared_memory, starting
from pdeinv.errors import SystemFault
from pdeinv.executors.processes import spawned
from pdeinv.fem.env import fenicsx
from pdeinv.launchers import LAUNCHER, local_ranks

MIB = 1 << 20


@pytest.fixture
def largest():
    """Sets the size of the largest file that may be written."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"free_bytes": lambda _: 1000}, "/dev/shm has 1 kB left; free some there"),
        ({"os.access": lambda *_: False}, "/dev/shm is not writable"),
        ({"SHARED": Path("/nonexistent")}, "/nonexistent is missing"),
    ],
    ids=["full", "read-only", "missing"],
)
def test_too_little_shared_memory_is_refused_before_mpi_ends_the_process(
    options, line, monkeypatch
):
    require_shared_memory("workers need")
    for name, value in options.items():
        monkeypatch.setattr(f"pdeinv.before_mpi.{name}", value)
    with pytest.raises(SystemFault, match=rf"workers need 2\.1 MB of shared memory, and {line}"):
        require_shared_memory("workers need")
    with pytest.raises(SystemFault, match=r"the finite-element solver needs 2\.1 MB"):
        fenicsx.__wrapped__()
    with pytest.raises(SystemFault, match=r"workers need 2\.1 MB"), spawned(2):
        pytest.fail("the pool must not open")


def test_shared_memory_is_a_file_and_may_be_too_large_for_one(largest):
    largest(2048)
    message = r"workers need 2\.1 MB of shared memory, larger than the 2048 bytes that are allowed"
    with pytest.raises(SystemFault, match=message):
        require_shared_memory("workers need")


def test_too_few_files_are_refused_before_mpi_ends_the_process():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    require_files("the solver needs")
    opened = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (opened, before[1]))
    try:
        with pytest.raises(SystemFault, match=r"solver needs 16 more open files; .* too many open"):
            require_files("the solver needs")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    require_files("the solver needs")


@pytest.fixture
def told(monkeypatch, tmp_path):
    """Say that a launcher has started so many ranks, and how much shared memory is free."""
    for name in os.environ:
        if LAUNCHER.fullmatch(name) or name.startswith(("UCX_", "FI_")):
            monkeypatch.delenv(name)

    def tell(ranks, free):
        if ranks:
            monkeypatch.setenv("MPI_LOCALNRANKS", str(ranks))
        monkeypatch.setattr(before_mpi, "free_bytes", lambda _: int(free))
        monkeypatch.setattr(before_mpi, "SHARED", tmp_path)

    return tell


@pytest.mark.parametrize(
    ("ranks", "free", "transports"),
    [(0, 16 * MIB, "self"), (0, 900 * MIB, "self"), (1, 16 * MIB, "^posix"), (1, 64 * MIB, None),
     (4, 17 * MIB, "^posix"), (4, 64 * MIB, None)],
)  # fmt: skip
def test_ucx_does_not_look_for_shared_memory_that_is_nearly_too_small(
    told, ranks, free, transports
):
    told(ranks, free)
    with starting("it needs"):
        assert os.environ.get("UCX_TLS") == transports
    # ranks that this process starts later talk to each other
    assert "UCX_TLS" not in os.environ
    assert "FI_TCP_IFACE" not in os.environ


def test_what_the_user_says_of_ucx_is_kept(told, monkeypatch):
    told(0, 900 * MIB)
    monkeypatch.setenv("UCX_TLS", "tcp,self")
    with starting("it needs"):
        assert os.environ["UCX_TLS"] == "tcp,self"
    assert os.environ["UCX_TLS"] == "tcp,self"


@pytest.mark.parametrize(("ranks", "need"), [(1, "2.1"), (2, "3.21"), (8, "9.9")])
def test_each_rank_needs_shared_memory(told, ranks, need):
    told(ranks, MIB)
    with pytest.raises(SystemFault, match=f"it needs {need} MB"), starting("it needs"):
        pytest.fail("MPI must not start")


@pytest.mark.parametrize(
    ("name", "value", "ranks"),
    [
        ("MPI_LOCALNRANKS", "4", 4),
        ("SLURM_STEP_TASKS_PER_NODE", "8(x2),7", 8),
        ("PMI_SIZE", "9", 1),
    ],
)
def test_ranks_of_this_machine_are_counted_by_what_launchers_tell(name, value, ranks):
    assert local_ranks({name: value}) == ranks


def test_what_ranks_hold_that_have_begun_counts_as_free(told, tmp_path):
    told(2, 2.5 * MIB)
    segment = tmp_path / "mpich_shm_1_0"
    segment.write_bytes(bytes(MIB))
    with starting("it needs"):
        pass
    os.utime(segment, (1.0, 1.0))  # of a job that was killed long ago
    with pytest.raises(SystemFault, match=r"it needs 3\.21 MB"), starting("it needs"):
        pytest.fail("MPI must not start")
