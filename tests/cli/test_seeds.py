"""The largest seed makes files; a larger one is refused before any work."""

import pytest

import pdeinv
from pdeinv.errors import ConfigError
from pdeinv.io.netcdf import read_tree
from pdeinv.seeds import LARGEST_SEED

pytestmark = pytest.mark.usefixtures("solves_here")

VERBS = {
    "solve": ("--out", "new.nc"),
    "observe": ("truth.nc", "--out", "new.nc"),
    "generate": ("--n", 4, "--out", "new.nc"),
    "train-surrogate": ("latent", "--data", "d.nc", "--out", "new"),
    "invert": ("obs.nc", "--engine", "pcn", "--out", "new.nc"),
    "evaluate": ("s", "--obs", "obs.nc"),
    "check": ("darcy",),
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("seed", [LARGEST_SEED + 1, -1])
def test_no_verb_takes_another_seed(verb, seed, call, work):
    before = set(work.iterdir())
    said = call(verb, *VERBS[verb], "--seed", seed)
    assert said.exit_code == 2
    assert len(said.stderr.splitlines()) == 1
    assert "--seed" in said.stderr
    assert str(LARGEST_SEED if seed > 0 else 0) in said.stderr
    assert set(work.iterdir()) == before


def test_no_run_file_and_no_function_takes_another_seed(call, work):
    (work / "run.toml").write_text(f"seed = {LARGEST_SEED + 1}")
    said = call("solve", "darcy", "--config", "run.toml", "--out", "new.nc")
    assert said.exit_code == 2
    assert f"seed: input should be less than or equal to {LARGEST_SEED}" in said.stderr
    with pytest.raises(ConfigError, match=f"from 0 to {LARGEST_SEED}, got -1"):
        pdeinv.solve("darcy", seed=-1)


def test_the_largest_seed_is_in_the_file(call, work):
    words = ("--engine", "pcn", "--set", "engine.draws=20", "--set", "engine.warmup=20")
    done = call("invert", "obs.nc", *words, "--seed", LARGEST_SEED, "--out", "new.nc")
    assert done.exit_code == 0, done.stderr
    assert int(read_tree(work / "new.nc").attrs["pdeinv_seed"]) == LARGEST_SEED
    again = call("invert", "obs.nc", "--config", "new.nc.toml", "--out", "again.nc")
    assert again.exit_code == 0, again.stderr
