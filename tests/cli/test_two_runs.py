"""Of two runs on one output one owns it; the other is refused and changes nothing."""

import signal

import pytest
import xarray as xr
from commands import PATIENCE, start, wait_for

from pdeinv.io.lock import owned

pytestmark = pytest.mark.usefixtures("solves_here")

SMALL = ("--config", "small.toml", "--seed", 1)
WORDS = {
    "invert": ("invert", "obs.nc", "--engine", "map", *SMALL, "--out", "o"),
    "generate": ("generate", "--obs", "obs.nc", "--n", 4, "--seed", 1, "--out", "o"),
    "generate --assemble": ("generate", "--obs", "obs.nc", "--n", 4, "--seed", 1, "--assemble",
                            "--out", "o"),
    "generate --shard": ("generate", "--obs", "obs.nc", "--n", 4, "--seed", 1, "--shard", "1/2",
                         "--out", "o"),
    "train-surrogate": ("train-surrogate", "latent", "--data", "data.nc", "--seed", 1,
                        "--out", "o"),
    "solve": ("solve", *SMALL, "--solver", "pinn", "--set", "solver.adam_steps=1", "--out", "o"),
    "observe": ("observe", "truth.nc", "--sensors", "all", "--noise-rel", 0.1, "--out", "o"),
    "solve --solver fenicsx": ("solve", *SMALL, "--out", "o"),
    "evaluate": ("evaluate", "surrogate", "--obs", "obs.nc", "--out", "o"),
}  # fmt: skip


def state(folder):
    return {p: p.stat().st_mtime_ns for p in folder.rglob("*")}


@pytest.mark.parametrize("flag", [None, "--overwrite", "--resume"])
@pytest.mark.parametrize("verb", WORDS)
def test_an_output_that_a_run_owns_is_refused_before_anything_is_touched(verb, flag, call, work):
    if flag == "--resume" and verb in ("evaluate", "observe", "solve --solver fenicsx"):
        pytest.skip("it has nothing to go on with")
    if flag == "--overwrite" and " --" in verb:
        pytest.skip("parts never start again")
    with owned(work / "o"):
        before = state(work)
        result = call(*WORDS[verb], *([] if flag is None else [flag]))
        assert result.exit_code == 2
        assert "another run is writing o; wait for it, or choose another --out" in result.stderr
        assert state(work) == before


@pytest.mark.parametrize(
    "words",
    [WORDS["observe"], WORDS["solve --solver fenicsx"], ("plot", "obs.nc", "--out", "o.png"),
     ("export", "truth.nc", "--vtk", "o.vtkhdf")],
)  # fmt: skip
def test_what_a_killed_verb_was_writing_is_cleared_away(words, call, work):
    out = words[-1]
    (work / f".{out}.abcd_123").mkdir()
    (work / f".{out}.abcd_123" / out).write_text("half")
    (work / ".mine.txt").write_text("not a file of pdeinv")
    assert call(*words).exit_code == 0
    assert [p.name for p in work.glob(".*")] == [".mine.txt"]


def test_parts_of_a_data_set_share_it(call, work):
    with owned(work / "o", shared=True):
        assert call(*WORDS["generate --shard"]).exit_code == 0
        assert call(*WORDS["generate"], "--resume").exit_code == 2


def test_the_run_that_was_there_first_goes_on_to_its_end(call, work):
    words = ("invert", "obs.nc", "--engine", "pcn", "--draws", 2000, "--chains", 1, *SMALL)
    lengths = ("--set", "engine.warmup=10", "--set", "engine.thin=1")
    process = start(*words, *lengths, "--out", "o.nc")
    wait_for((work / "o.nc.run" / "run.json").exists, process)
    process.send_signal(signal.SIGSTOP)
    for flag in ((), ("--resume",), ("--overwrite",)):
        assert "another run is writing" in call(*words, *lengths, *flag, "--out", "o.nc").stderr
    process.send_signal(signal.SIGCONT)
    _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, stderr
    assert xr.open_datatree(work / "o.nc")["unconstrained_posterior"].sizes["draw"] == 2000
    assert not list(work.glob(".*"))
