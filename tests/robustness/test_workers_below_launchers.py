"""Worker processes below mpiexec and srun are no ranks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pdeinv.executors.processes import single_threaded
from pdeinv.launchers import without_rank

RANKS = {
    "PMI_RANK": "0", "PMI_FD": "7", "PMIX_NAMESPACE": "x", "OMPI_COMM_WORLD_SIZE": "4",
    "HYDI_CONTROL_FD": "6", "MPI_LOCALRANKID": "0", "SLURM_PROCID": "0", "SLURM_STEP_ID": "0",
    "SLURM_STEP_NUM_TASKS": "4", "SLURM_NTASKS": "4", "SLURM_LOCALID": "0",
}  # fmt: skip
KEPT = {"SLURM_JOB_ID": "77", "SLURM_CPUS_PER_TASK": "2", "MPIR_CVAR_CH4_NETMOD": "ofi"}


@pytest.mark.parametrize("context", [single_threaded, without_rank])
def test_children_see_nothing_of_the_rank_of_their_parent(context, monkeypatch):
    for name, value in (RANKS | KEPT).items():
        monkeypatch.setenv(name, value)
    with context():
        assert not RANKS.keys() & os.environ.keys()
        assert KEPT.items() <= os.environ.items()
    assert (RANKS | KEPT).items() <= os.environ.items()


def test_workers_below_mpiexec_solve(tmp_path):
    launcher = Path(sys.executable).parent / "mpiexec"
    if not launcher.exists():
        pytest.skip("no mpiexec beside this Python")
    words = ("generate", "darcy", "--set", "problem.cells=8", "--sensors", "grid:3x3", "--n", "32")
    done = subprocess.run(
        [launcher, "-n", "1", sys.executable, "-m", "pdeinv", *words, "--workers", "2",
         "--seed", "1", "--out", "data.nc", "--json"],
        capture_output=True, text=True, timeout=300, check=False, cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert '"failed": 0' in done.stdout
