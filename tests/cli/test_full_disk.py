"""Every writer of every verb: a disk that refuses is one line, exit 1, and nothing half-written."""

import resource
import subprocess
from contextlib import contextmanager

import pytest

from pdeinv.io.marks import written_by_pdeinv
from pdeinv.surrogates.common.storage import load_arrays

pytestmark = pytest.mark.usefixtures("solves_here")

LARGEST = 1500
"""Bytes: a run file goes through, and no result does."""

PINN = ("adam_steps=4", "block=2", "newton_steps=0", "points=50")
WRITERS = {
    "solve": "solve --config small.toml --seed 1 --out a.nc",
    "solve --vtk": "solve --config small.toml --seed 1 --out b.nc --vtk a.vtkhdf",
    "pinn": "solve --config small.toml --solver pinn --seed 1 --out a.nc "
    + " ".join(f"--set solver.{x}" for x in PINN),
    "observe": "observe truth.nc --sensors grid:3x3 --noise-rel 0.1 --seed 1 --out a.nc",
    "generate": "generate --obs obs.nc --n 20 --seed 1 --out a.nc",
    "train-surrogate": "train-surrogate latent --data data.nc --seed 1 "
    "--set surrogate.epochs=2 --out a",
    "train-surrogate gp": "train-surrogate gp --data data.nc --seed 1 --out a",
    "tensorboard": "train-surrogate latent --data data.nc --seed 1 --tensorboard events "
    "--set surrogate.epochs=2 --out a",
    "evaluate": "evaluate gp --obs obs.nc --n 2 --seed 1 --out a.nc",
    "evaluate --figure": "evaluate gp --obs obs.nc --n 2 --seed 1 --figure a.png",
    "invert": "invert obs.nc --engine laplace --seed 1 --out a.nc",
    "invert pcn": "invert obs.nc --engine pcn --draws 20 --chains 2 --seed 1 --out a.nc "
    "--set engine.warmup=5 --set engine.thin=1",
    "plot": "plot obs.nc --out a.png",
    "plot pdf": "plot obs.nc --out a.pdf",
    "plot svg": "plot obs.nc --out a.svg",
    "export": "export truth.nc --vtk a.vtkhdf",
}
RESUMED = ("pinn", "generate", "train-surrogate", "train-surrogate gp", "invert", "invert pcn")

LONG = ("pinn", "evaluate --figure", "invert pcn", "tensorboard")


@pytest.fixture(scope="module")
def learned(small, call, tmp_path_factory):
    """A data set and a surrogate."""
    folder = tmp_path_factory.mktemp("learned")
    words = ("generate", "--obs", small / "obs.nc", "--n", 30, "--seed", 5)
    assert call(*words, "--out", folder / "data.nc").exit_code == 0
    words = ("train-surrogate", "gp", "--data", folder / "data.nc", "--seed", 6)
    assert call(*words, "--out", folder / "gp").exit_code == 0
    return folder


@contextmanager
def largest_file(size):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    "writer",
    [pytest.param(name, marks=[pytest.mark.slow] * (name in LONG)) for name in WRITERS],
)
def test_a_writer_that_is_refused_says_so_and_works_once_there_is_room(writer, work, learned, call):
    for name in ("data.nc", "gp"):
        (work / name).symlink_to(learned / name)
    words, known = WRITERS[writer].split(), {p.name for p in work.iterdir()}
    with largest_file(LARGEST):
        done = call(*words, "-q")
    assert done.exit_code == 1, done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1
    assert "larger than the 1500 bytes that are allowed" in lines[0]
    assert lines[0].endswith("continue with --resume") == (writer in (*RESUMED, "tensorboard"))
    new = {p.name for p in work.iterdir()} - known
    assert all(name.endswith(".run") or written_by_pdeinv(work / name) for name in new - {"events"})
    for name in new:
        if written_by_pdeinv(work / name) and not name.endswith(".run"):
            (work / name).unlink()  # what was whole before the refusal
    more = ("--resume",) if writer in (*RESUMED, "tensorboard") else ()
    again = call(*words, *more, "-q")
    assert again.exit_code == 0, again.stderr


@contextmanager
def disk(folder, size):
    """A file system of its own; a function that makes it larger."""
    mount = ["mount", "-t", "tmpfs", "-o"]
    folder.mkdir()
    if subprocess.run([*mount, f"size={size}", "tmpfs", folder], check=False).returncode:
        pytest.skip("needs the right to mount")
    try:
        yield lambda more: subprocess.run([*mount, f"remount,size={more}", folder], check=True)
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("full", ["weights", "events"])
def test_a_training_on_a_full_disk_continues_to_the_same_weights(full, work, learned, call, capfd):
    words = "train-surrogate", "latent", "--data", learned / "data.nc", "--seed", 1, "-q"
    words = (*words, "--set", "surrogate.epochs=40", "--tensorboard")
    assert call(*words, "events", "--out", "whole").exit_code == 0
    with disk(work / "small", "8k" if full == "events" else "100k") as enlarge:
        places = {"weights": ("other", "small/a"), "events": ("small/e", "a")}[full]
        out = work / places[1]
        done = call(*words, places[0], "--out", out)
        assert done.exit_code == 1
        (line,) = done.stderr.strip().splitlines()
        assert line.startswith(f"error: cannot write {work if full == 'weights' else 'small/e'}")
        assert "no space left in" in line
        assert line.endswith("then continue with --resume")
        assert not out.exists()
        enlarge("10m")
        assert call(*words, places[0], "--resume", "--out", out).exit_code == 0
        found, whole = (load_arrays(f / "weights.safetensors")[0] for f in (out, work / "whole"))
    assert all((found[name] == whole[name]).all() for name in whole)
    assert "Traceback" not in capfd.readouterr().err
