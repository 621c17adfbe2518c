"""A verb on a machine with little shared memory works, or is refused in one line."""

import subprocess
import sys
from pathlib import Path

import pytest

MPIEXEC = Path(sys.executable).parent / "mpiexec"
TRY = ["unshare", "-m", "bash", "-ec", "mount -t tmpfs tmpfs /dev/shm"]
SOLVE = [sys.executable, "-m", "pdeinv", "solve", "darcy", "--set", "problem.cells=8",
         "--seed", "1", "--out", "new.nc"]  # fmt: skip

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux")
    or subprocess.run(TRY, capture_output=True, check=False).returncode != 0,
    reason="needs the right to mount a file system",
)


def with_shared_memory(size, words, folder):
    """Run a command with a /dev/shm of its own, of so many KiB."""
    line = f'mount -t tmpfs -o size={size}k tmpfs /dev/shm; exec "$@"'
    command = ["unshare", "-m", "bash", "-ec", line, "bash", *words]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=folder, timeout=120
    )


@pytest.mark.parametrize("size", [2048, pytest.param(16384, marks=pytest.mark.slow), 16392])
def test_one_process_needs_two_mebibytes(size, tmp_path):
    # UCX, of MPICH, ends a process that begins with 16 MiB
    ended = with_shared_memory(size, SOLVE, tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "new.nc").exists()


@pytest.mark.slow
@pytest.mark.parametrize("size", [3200, 16384, 17408])
def test_two_ranks_need_three(size, tmp_path):
    if not MPIEXEC.exists():
        pytest.skip("no mpiexec beside this Python")
    ended = with_shared_memory(size, [str(MPIEXEC), "-n", "2", *SOLVE], tmp_path)
    assert ended.returncode == 0, ended.stderr


def test_less_is_refused_in_one_line(tmp_path):
    ended = with_shared_memory(1024, SOLVE, tmp_path)
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert "needs 2.1 MB of shared memory, and /dev/shm has 1.05 MB left" in line
    if MPIEXEC.exists():
        ended = with_shared_memory(3000, [str(MPIEXEC), "-n", "2", *SOLVE], tmp_path)
        assert ended.returncode == 1
        assert "needs 3.21 MB of shared memory" in ended.stderr
    assert not list(tmp_path.iterdir())
