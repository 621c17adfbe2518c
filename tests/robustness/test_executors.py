"""Every backend gives the same bits, and parts made apart join into one data set."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from commands import PATIENCE, wait_for

from pdeinv.errors import ConfigError, MissingDependency, Preempted, RunFailed
from pdeinv.executors.config import ExecutorConfig
from pdeinv.executors.mpi import mpi_session, mpi_workers
from pdeinv.executors.pools import opened
from pdeinv.executors.task import THREADS
from pdeinv.io import netcdf
from pdeinv.jobs.generate.plan import Plan
from pdeinv.jobs.generate.run import generate
from pdeinv.plugins.recipe import make_problem

CONFIG = {"cells": 4, "unknown": {"kind": "piecewise", "cells": [2, 2]}}
TOML = (
    '[problem]\nname = "darcy"\ncells = 4\n[problem.unknown]\nkind = "piecewise"\ncells = [2, 2]\n'
)
N, BATCH = 70, 16


def plan(n=N, **more):
    sensors = make_problem("darcy", CONFIG).sensors("grid:2x2")
    return Plan("darcy", CONFIG, sensors, n, 5, (4, 4), jacobian=2, **more)


def made(folder, name, what=None, **more):
    generate(what or plan(), folder / f"{name}.nc", folder / f"{name}.run", **more)
    return hashes(folder / f"{name}.run")


def hashes(run):
    shards = json.loads((run / "manifest.json").read_text())["shards"]
    return {name: facts["sha256"] for name, facts in shards.items()}


@pytest.fixture(scope="module")
def by_processes(tmp_path_factory):
    """The run folder and hashes of the process pool."""
    folder = tmp_path_factory.mktemp("process")
    return folder, made(folder, "a", workers=2)


def ranks(folder, *words, launch=("-m", "pdeinv")):
    mpiexec = Path(sys.executable).parent / "mpiexec"
    if not mpiexec.exists():
        pytest.skip("no mpiexec beside this Python")
    (folder / "p.toml").write_text(TOML)
    command = [mpiexec, "-n", "3", sys.executable, *launch, "generate", "--config", "p.toml"]
    options = ["--n", N, "--seed", 5, "--grid", "4x4", "--jacobian", 2, "--executor", "mpi"]
    words = ["--sensors", "grid:2x2", *options, "--out", "a.nc", *words]
    return subprocess.run(
        [*map(str, command), *map(str, words)],
        cwd=folder, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    "launch",
    [
        ("-m", "pdeinv"),
        pytest.param(("-m", "mpi4py.futures", "-m", "pdeinv"), marks=pytest.mark.slow),
    ],
)
def test_three_mpi_ranks_give_the_bits_of_the_process_pool(tmp_path, by_processes, launch):
    done = ranks(tmp_path, launch=launch)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "a.nc\n"  # rank 0 alone speaks
    assert hashes(tmp_path / "a.nc.run") == by_processes[1]


def test_an_error_on_rank_0_ends_all_ranks_with_one_line(tmp_path):
    done = ranks(tmp_path, "--design", "spiral")
    assert done.returncode == 2
    assert done.stderr.splitlines()[0].startswith("error: --design spiral: expected prior")


def test_one_rank_is_too_few():
    with (
        pytest.raises(ConfigError, match=r"at least 2 ranks; start it with mpiexec"),
        mpi_session(),
    ):
        pass
    with pytest.raises(ConfigError, match="mpi_session first"):
        mpi_workers()


def local(**more):
    return ExecutorConfig(name="slurm", cluster="local", **more)


def test_array_tasks_of_submitit_give_the_same_bits(tmp_path, by_processes):
    pytest.importorskip("submitit")
    told = []
    more = {"executor": local(), "workers": 2, "progress": lambda *n: told.append(n)}
    assert made(tmp_path, "a", **more) == by_processes[1]
    assert told[-1] == (N, N, 0)
    assert len(list((tmp_path / "a.run" / "slurm").glob("*_submitted.pkl"))) == 2


def test_a_failed_array_task_names_its_log(tmp_path):
    pytest.importorskip("submitit")
    with (
        pytest.raises(RunFailed, match=r"array task .* failed .*log is .*\.err; finished"),
        opened(local(), 1, tmp_path) as pool,
    ):
        pool.submit(
            "pdeinv.jobs.generate.batches:solve_batches", (str(tmp_path), "x", None), [(0,)]
        )[0].result()


@pytest.mark.slow
def test_a_stop_cancels_the_array(tmp_path):
    pytest.importorskip("submitit")
    with pytest.raises(Preempted, match=r"kept in .*--resume"):
        made(tmp_path, "a", executor=local(), should_stop=lambda: True)
    assert not (tmp_path / "a.nc").exists()


def test_an_array_task_can_be_queued_again():
    pytest.importorskip("submitit")
    from pdeinv.executors.slurm import ArrayTask

    again = ArrayTask().checkpoint("os:getcwd")
    assert isinstance(again.function, ArrayTask)
    assert again.args == ("os:getcwd",)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_dask_gives_the_same_bits(tmp_path, by_processes):
    pytest.importorskip("distributed")
    found = made(tmp_path, "a", executor=ExecutorConfig(name="dask"), workers=2)
    assert found == by_processes[1]


@pytest.mark.parametrize(
    ("executor", "package", "extra"),
    [(local(), "submitit", "hpc"), (ExecutorConfig(name="dask"), "distributed", "dask")],
)
def test_a_missing_package_names_the_extra(tmp_path, monkeypatch, executor, package, extra):
    monkeypatch.setitem(sys.modules, package, None)
    with (
        pytest.raises(MissingDependency, match=rf"pip install -e '\.\[{extra}\]'"),
        opened(executor, 1, tmp_path),
    ):
        pass


@pytest.mark.parametrize("executor", [ExecutorConfig(), local()], ids=["process", "slurm"])
def test_workers_use_one_thread(tmp_path, monkeypatch, executor):
    if executor.name == "slurm":
        pytest.importorskip("submitit")
    for name in THREADS:
        monkeypatch.setenv(name, "4")
    (tmp_path / "seen_plugin.py").write_text(
        "import os\nfrom pathlib import Path\n"
        "def look(file, _):\n"
        f"    Path(file).write_text(' '.join(os.environ[n] for n in {THREADS!r}))\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    with opened(executor, 1, tmp_path) as pool:
        pool.submit("seen_plugin:look", (str(tmp_path / "seen"),), [(0,)])[0].result()
    assert (tmp_path / "seen").read_text() == "1 1 1"


def test_parts_join_into_the_same_data_set(tmp_path, by_processes):
    folder, whole = by_processes
    run = tmp_path / "a.run"
    generate(plan(), tmp_path / "a.nc", run, part=(2, 3))
    assert not (tmp_path / "a.nc").exists()
    assert [p.name for p in sorted(run.glob("batch*.npz"))] == [
        "batch000001.npz", "batch000004.npz",
    ]  # fmt: skip
    with pytest.raises(RunFailed, match=r"3 of 5 batches are missing.*first is batch 0"):
        made(tmp_path, "a", assemble=True)
    generate(plan(), tmp_path / "a.nc", run, part=(1, 3))
    generate(plan(), tmp_path / "a.nc", run, part=(3, 3))
    assert made(tmp_path, "a", assemble=True) == whole
    one, two = (netcdf.read_dataset(f / "a.nc").drop_attrs() for f in (folder, tmp_path))
    xr.testing.assert_identical(one, two)


def test_a_part_of_another_data_set_is_refused_and_deletes_nothing(tmp_path):
    generate(plan(), tmp_path / "a.nc", tmp_path / "a.run", part=(1, 3))
    before = sorted(p.name for p in (tmp_path / "a.run").iterdir())
    other = plan(sampling="sobol")
    with pytest.raises(ConfigError, match="belong to another"):
        generate(other, tmp_path / "a.nc", tmp_path / "a.run", part=(2, 3))
    assert sorted(p.name for p in (tmp_path / "a.run").iterdir()) == before


def test_manifest_and_output_hold_hashes_and_counts(by_processes):
    folder, whole = by_processes
    manifest = json.loads((folder / "a.run" / "manifest.json").read_text())
    assert manifest["seed"] == 5
    assert manifest["n"] == N
    assert manifest["design"] == {"kind": "prior", "sampling": "prior"}
    with xr.open_dataset(folder / "a.nc", group="batches") as stored:
        assert stored["sha256"].values.tolist() == list(whole.values())
        assert stored["samples"].values.tolist() == [16, 16, 16, 16, 6]
    assert sum(f["samples"] for f in manifest["shards"].values()) == N


@pytest.mark.parametrize("damage", ["arrays", "hash", "short", "swapped"])
def test_a_tampered_shard_is_solved_again(tmp_path, by_processes, damage):
    import shutil

    folder, whole = by_processes
    run = tmp_path / "a.run"
    shutil.copytree(folder / "a.run", run)
    shard, facts = run / "batch000003.npz", run / "batch000003.json"
    if damage == "arrays":
        with np.load(shard) as data:
            arrays = dict(data)
        arrays["values"][2, 1] *= 1.0 + 1e-12
        np.savez(shard, **arrays)
    elif damage == "hash":
        facts.write_text(facts.read_text().replace('"sha256": "', '"sha256": "0'))
    elif damage == "short":
        facts.unlink()
    else:
        shutil.copyfile(run / "batch000001.npz", shard)
    assert made(tmp_path, "a", resume=True) == whole


@pytest.mark.parametrize(
    "ready", ["b.nc.run", pytest.param("b.nc.run/batch000001.json", marks=pytest.mark.slow)]
)
def test_ranks_that_are_all_told_to_stop_leave_and_can_go_on(ready, tmp_path):
    mpiexec = Path(sys.executable).parent / "mpiexec"
    if not mpiexec.exists():
        pytest.skip("no mpiexec beside this Python")
    (tmp_path / "p.toml").write_text(TOML)
    words = ["generate", "--config", "p.toml", "--sensors", "grid:2x2", "--n", "4000", "--seed",
             "5", "--executor", "mpi", "--out", "b.nc"]  # fmt: skip
    ranks = "import os; print(os.getpid(), flush=True); from pdeinv.cli.main import main; main()"
    process = subprocess.Popen(
        [mpiexec, "-n", "2", sys.executable, "-c", ranks, *words],
        cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    wait_for((tmp_path / ready).exists, process)
    for rank in [int(process.stdout.readline()) for _ in range(2)]:
        os.kill(rank, signal.SIGTERM)
    _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 75, stderr
    assert "Traceback" not in stderr
    assert not list(tmp_path.glob(".*"))
