"""The options of `generate` and `evaluate` on the command line: what is refused, what comes out."""

import json

import numpy as np
import pytest

from pdeinv.io import datasets, netcdf

pytestmark = pytest.mark.usefixtures("solves_here")

BASE = ("generate", "--config", "small.toml", "--sensors", "grid:2x2", "--n", 20, "--out", "d.nc")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--design", "spiral"), "--design spiral: expected prior, lhs, sobol"),
        (("--times", "sensors"), "add --grid ROWSxCOLS"),
        (("--grid", "5x5", "--times", "0:1:3"), "the data of this problem have no times"),
        (("--shard", "0/3", "--seed", 1), "expected I/N from 1/N to N/N"),
        (("--shard", "4/3", "--seed", 1), "expected I/N from 1/N to N/N"),
        (("--shard", "1/3"), "--shard needs --seed"),
        (("--shard", "1/3", "--assemble", "--seed", 1), "give one of them"),
        (("--resume", "--overwrite"), "--overwrite starts again"),
        (("--executor", "cloud"), "--executor: input should be 'process', 'mpi', 'slurm'"),
        (("--set", "executor.partion=x"), "did you mean 'partition'"),
        (("--executor", "mpi"), "at least 2 ranks"),
    ],
)
def test_wrong_options_are_one_line_and_write_nothing(call, work, words, text):
    result = call(*BASE, *words)
    assert result.exit_code == 2
    assert text in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not list(work.glob("d.nc*"))


def test_parts_without_resume_flags_join_to_the_whole(call, work):
    for part in ("2/2", "1/2"):
        made = call(*BASE, "--seed", 4, "--design", "sobol", "--shard", part, "--json")
        assert made.exit_code == 0, made.stderr
        assert json.loads(made.stdout)["shard"] == part
    assert not (work / "d.nc").exists()
    live = json.loads(call("info", "d.nc.run", "--json").stdout)
    assert (live["samples_done"], live["assembled"]) == (20, False)
    # the seed is that of the folder
    joined = call(*BASE, "--design", "sobol", "--assemble", "--json")
    assert joined.exit_code == 0, joined.stderr
    assert json.loads(joined.stdout)["seed"] == 4
    whole = (*BASE[:-1], "w.nc", "--seed", 4, "--design", "sobol", "--jacobian", 0)
    assert call(*whole).exit_code == 0
    one, two = (netcdf.read_dataset(work / f"{name}.nc").drop_attrs() for name in "dw")
    assert one.identical(two)


def test_jacobian_and_evaluate_from_the_command_line(call, work):
    assert call(*BASE, "--seed", 4, "--jacobian", 99).exit_code == 0
    data = datasets.read(work / "d.nc")
    assert data.actions.shape == (20, 4, 4)
    np.testing.assert_array_equal(data.probes[3], np.eye(4))
    trained = call("train-surrogate", "multifidelity", "--data", "d.nc", "--seed", 1, "--out", "s")
    assert trained.exit_code == 0, trained.stderr
    words = ("evaluate", "s", "--n", 6, "--seed", 2, "--noise-std", 0.01)
    shown = call(*words, "--out", "e.nc", "--figure", "e.png")
    assert shown.exit_code == 0, shown.stderr
    assert "misfit_difference_sd" in shown.stdout
    figures = json.loads(call(*words, "--json").stdout)
    assert figures["regions"]["prior"]["n"] == 6
    assert (figures["noise_from"], figures["data_from"]) == ("flag", "synthetic")
    stored = netcdf.read_tree(work / "e.nc")
    rms = np.sqrt(np.mean(stored["prior"]["rms_over_sigma"] ** 2))
    assert float(rms) == pytest.approx(figures["regions"]["prior"]["rms_over_sigma"])
    assert (work / "e.png").exists()
    assert call(*words, "--out", "e.nc").exit_code == 2
    assert "ends in .png" in call(*words, "--figure", "e.gif").stderr
    observed = ("observe", "truth.nc", "--sensors", BASE[BASE.index("--sensors") + 1])
    assert call(*observed, "--noise-std", 1e-5, "--seed", 3, "--out", "precise.nc").exit_code == 0
    refused = call("evaluate", "s", "--obs", "precise.nc", "--n", 4, "--seed", 2, "--json")
    assert json.loads(refused.stdout)["verdict"].startswith("refused: ")
    assert refused.exit_code == 0  # the evaluation itself went well
