"""Smooth fields of D and ρ through every verb, with masks, whose thresholds stand behind them."""

import json

import xarray as xr

TABLES = """
seed = 4
[problem]
name = "tumor"
lengths = [80.0, 80.0]
cells = 20
solver = "finite-differences"
voxel = 4.0
[problem.tissue]
kind = "homogeneous"
[problem.time]
steps = 16
stored = 16
[problem.masks]
whole = 0.2
core = 0.5
[problem.unknown]
growth_rate = { median = 0.07, std = 0.2 }
growth_factor = { length = 60.0, modes = 4, nodes = 3 }
diffusivity_factor = { length = 60.0, modes = 3, nodes = 3 }
"""


def test_every_verb_takes_them(call, tmp_path):

    def run(*words):
        done = call(*words)
        assert done.exit_code == 0, done.stderr
        return done

    (tmp_path / "c.toml").write_text(TABLES)
    truth, data, found = (tmp_path / f"{k}.nc" for k in ("truth", "obs", "map"))
    run("solve", "--config", tmp_path / "c.toml", "--level", 0, "--out", truth)
    run("observe", truth, "--sensors", "all", "--seed", 2, "--out", data)
    done = run("invert", data, "--engine", "map", "--seed", 3, "--out", found, "--json")
    assert json.loads(done.stdout)["converged"]
    run("plot", found, "--truth", truth, "--out", tmp_path / "map.png")
    run("export", found, "--nifti", tmp_path / "density.nii.gz")
    run("score", found, "--truth", truth, "--metric", "dice", "--threshold", 0.2)
    with xr.open_datatree(found) as tree:
        posterior = tree["posterior"]
        assert posterior["growth_factor"].shape == (1, 1, 3, 3)
        assert (posterior["growth_factor"] > 0).all()
