"""A file from elsewhere brings numbers: nothing in it is run, whichever verb opens it."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pdeinv.io import netcdf


class Bomb:
    """A pickle that leaves a file behind when it is opened."""

    def __init__(self, mark):
        self.mark = str(mark)

    def __reduce__(self):
        return (open, (self.mark, "w"))


@pytest.fixture
def mark(tmp_path):
    """The file that a bomb would leave."""
    path = tmp_path / "mark"
    yield path
    assert not path.exists()
    pickle.loads(pickle.dumps(Bomb(path))).close()  # negative control: it would
    assert path.exists()


PCN = ("invert", "obs.nc", "--engine", "pcn", "--draws", 20, "--chains", 1, "--seed", 1,
       "--set", "engine.warmup=5", "--set", "engine.searches=0", "--out", "o")  # fmt: skip
GENERATE = ("generate", "--obs", "obs.nc", "--n", 20, "--seed", 1, "--out", "o")


def one_line(result, code=2):
    assert result.exit_code == code, result.stderr
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "Traceback" not in result.stderr
    return errors[0]


@pytest.mark.usefixtures("solves_here")
@pytest.mark.parametrize("name", ["chain0.state.npz", "chain0.00000.npz"])
def test_a_pickle_in_a_checkpoint_of_a_chain(name, call, work, mark):
    assert call(*PCN).exit_code == 0
    file = work / "o.run" / name
    with np.load(file) as found:
        arrays = dict(found)
    first = next(iter(arrays))
    np.savez(file, **{**arrays, first: np.array([Bomb(mark)], dtype=object)})
    assert "holds Python objects" in one_line(call(*PCN, "--resume"))


@pytest.mark.usefixtures("solves_here")
def test_a_pickle_in_a_batch_of_a_data_set(call, work, mark):
    assert call(*GENERATE).exit_code == 0
    for file in (work / "o.run").glob("*.npz"):
        np.savez(file, xi=np.array([Bomb(mark)], dtype=object))
    assert call(*GENERATE, "--resume").exit_code == 0  # made again: its hash is another one
    assert netcdf.read_dataset(work / "o").sizes["sample"] == 20


@pytest.mark.usefixtures("solves_here")
def test_pickles_in_the_folder_of_a_surrogate(call, work, mark):
    words = ("generate", "--obs", "obs.nc", "--n", 30, "--seed", 4, "--out", "data.nc")
    assert call(*words).exit_code == 0
    train = ("train-surrogate", "latent", "--data", "data.nc", "--set", "surrogate.epochs=1")
    assert call(*train, "--seed", 1, "--out", "S").exit_code == 0
    bomb = pickle.dumps(Bomb(mark))
    for name in ("model.pt", "state.pkl", "weights.npy"):
        (work / "S" / name).write_bytes(bomb)
    evaluate = ("evaluate", "S", "--obs", "obs.nc", "--n", 2, "--seed", 1)
    assert call(*evaluate).exit_code == 0  # nobody looks at those
    (work / "S" / "weights.safetensors").write_bytes(bomb)
    assert "cannot read S/weights.safetensors" in one_line(call(*evaluate))


@pytest.mark.parametrize("kind", ["observations", "data set", "result", "truth"])
def test_a_pickle_in_place_of_a_netcdf_file(kind, call, work, mark):
    (work / "x.nc").write_bytes(pickle.dumps(Bomb(mark)))
    words = {
        "observations": ("invert", "x.nc", "--engine", "map", "--out", "o"),
        "data set": ("train-surrogate", "latent", "--data", "x.nc", "--out", "o"),
        "result": ("plot", "x.nc", "--out", "o.png"),
        "truth": ("observe", "x.nc", "--sensors", "all", "--noise-rel", 0.1, "--out", "o"),
    }
    assert "x.nc" in one_line(call(*words[kind]))


@pytest.mark.parametrize(
    "formula", ["__import__('os').system('touch mark')", "open('mark','w')", "().__class__"]
)
def test_code_in_place_of_a_formula(formula, call, work, mark):
    (work / "bad.toml").write_text(f'[problem]\nname = "darcy"\ncells = 8\nsource = "{formula}"\n')
    words = ("solve", "--config", "bad.toml", "--seed", 1, "--out", "o")
    assert "is not understood" in one_line(call(*words))
    tree = netcdf.read_tree(work / "obs.nc")
    config = tree.attrs["pdeinv_problem_config"]
    assert "source = 1.0" in config
    tree.attrs["pdeinv_problem_config"] = config.replace("source = 1.0", f'source = "{formula}"')
    netcdf.write(work / "bad.nc", tree)
    assert "is not understood" in one_line(
        call("invert", "bad.nc", "--engine", "map", "--out", "o")
    )


def test_modules_in_the_folder_of_the_data_are_not_imported(work, mark):
    """Spawned workers, and ``python -m``, would look there first."""
    trap = f"open({str(mark)!r}, 'w').close()\nraise SystemExit(99)\n"
    for name in ("multiprocessing", "signal", "numpy", "xarray", "socket"):
        (work / f"{name}.py").write_text(trap)
    done = subprocess.run(
        [sys.executable, "-m", "pdeinv", *map(str, GENERATE)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (work / "o").exists()


WATCHED = """
import os, sys
NOT = ("os.system", "subprocess.Popen", "os.exec", "os.posix_spawn",
       "socket.connect", "socket.bind", "socket.getaddrinfo", "urllib.Request")
seen = open(os.environ["SEEN"], "w")

def written(event, arguments):
    if event == "open":
        path, mode, flags = arguments
        writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR)
        return [path] if writes else []
    if event == "os.mkdir" and os.path.isdir(arguments[0]):
        return []
    return {"os.mkdir": arguments[:1], "os.rename": arguments[:2], "os.remove": arguments[:1],
            "os.rmdir": arguments[:1], "os.symlink": arguments[1:2]}.get(event, [])

def hook(event, arguments):
    if event in NOT:
        seen.write(f"{event} {arguments!r}\\n")
    for path in written(event, arguments):
        if isinstance(path, str | bytes | os.PathLike):
            seen.write("write " + os.path.abspath(os.fsdecode(path)) + "\\n")
    seen.flush()

sys.addaudithook(hook)
from pdeinv.cli.main import main
for line in sys.stdin.read().splitlines():
    sys.argv = ["pdeinv", *line.split()]
    try:
        main()
    except SystemExit as end:
        assert not end.code, line
"""
LINES = (
    "solve --config small.toml --seed 1 --out t.nc",
    "observe t.nc --sensors grid:3x3 --noise-rel 0.1 --seed 1 --out b.nc",
    "invert b.nc --engine laplace --seed 1 --out r.nc",
    "plot r.nc --out r.png",
)


def test_verbs_write_what_was_named_and_ask_nobody(work, tmp_path_factory):
    seen, temporary = tmp_path_factory.mktemp("seen") / "seen", tmp_path_factory.mktemp("tmp")
    env = {**os.environ, "SEEN": str(seen), "TMPDIR": str(temporary)}
    line = "\n".join(LINES)
    subprocess.run([sys.executable, "-c", WATCHED], input=line, text=True, check=True, env=env)
    events = seen.read_text().splitlines()
    outputs = [work / line.split()[-1] for line in LINES]
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    fonts = str(Path.home() / ".config" / "matplotlib")
    allowed = [*map(str, outputs), *(str(o.with_name(f".{o.name}.")) for o in outputs)]
    starts = tuple(f"write {p}" for p in (*allowed, cache, fonts, str(temporary), "/dev/"))
    starts += ("subprocess.Popen ('cc', ['cc', '--version']",)  # of the compiled kernels
    odd = [e for e in events if not e.startswith(starts)]
    assert not odd, "\n".join(odd)
    assert {str(o) for o in outputs} <= {e.removeprefix("write ") for e in events}
    assert not list(temporary.iterdir())
