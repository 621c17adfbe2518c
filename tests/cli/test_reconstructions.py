"""Images from data by the verbs: pairs, training, judgement, inversion, figure, refusals."""

import json

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

from pdeinv.cli.verbs import app
from pdeinv.jobs.evaluate_images import verdict

pytestmark = pytest.mark.usefixtures("solves_here")

RUN = """
[problem]
name = "darcy"
cells = [8, 8]
unknown = {kind = "log-gaussian", grid = [7, 7], modes = 6}
"""


def call(*words):
    return CliRunner().invoke(app, [str(w) for w in words])


def done(*words):
    result = call(*words)
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A truth, its observations, and two trained members."""
    folder = tmp_path_factory.mktemp("images")
    (folder / "run.toml").write_text(RUN)
    run, truth, obs, data = (folder / n for n in ("run.toml", "truth.nc", "obs.nc", "data.nc"))
    done("solve", "-c", run, "--seed", 1, "--out", truth)
    done("observe", truth, "--sensors", "grid:5x5", "--noise-rel", 0.02, "--seed", 2, "--out", obs)
    done("generate", "--obs", obs, "--n", 80, "--grid", "7x7", "--seed", 3, "--out", data)
    for name in ("linear-image", "average-image"):
        done("train-surrogate", name, "--data", data, "--seed", 4, "--out", folder / name)
    return folder


def inverted(place, out, *more):
    engine = ("--engine", "linear-image", "--surrogate", place / "linear-image")
    return call("invert", place / "obs.nc", *engine, "--seed", 5, "--out", out, *more)


def test_an_image_is_reported_with_its_spread_and_drawn(place, tmp_path):
    out = tmp_path / "image.nc"
    assert inverted(place, out).exit_code == 0
    tree = xr.open_datatree(out)
    learned, found = tree["learned"], tree["estimates"]["conductivity_mean"]
    np.testing.assert_array_equal(learned["conductivity_mean"], found)
    assert float(learned["conductivity_sd"].min()) > 0
    assert tree.attrs["pdeinv_produces"] == "point"
    assert 0 < json.loads(tree.attrs["pdeinv_summary"])["likeness"] <= 1
    assert "learned_start" not in tree.children
    done("plot", out, "--truth", place / "truth.nc", "--out", tmp_path / "image.png")


@pytest.mark.parametrize("polish", ["map", "eki"])
def test_a_polish_fits_the_data(polish, place, tmp_path):
    out = tmp_path / "polished.nc"
    inverted(place, out, "--set", f"engine.polish={polish}")
    tree = xr.open_datatree(out)
    said = json.loads(tree.attrs["pdeinv_summary"])
    assert said["misfit_per_datum"] <= max(0.52, said["estimate_misfit_per_datum"])
    assert tree.attrs["pdeinv_converged"] == 1


def test_images_are_judged_on_fresh_draws(place, tmp_path):
    out = tmp_path / "judged.nc"
    words = ("evaluate", place / "linear-image", "--n", 30, "--seed", 6, "--out", out, "--json")
    said = json.loads(done(*words).stdout)
    assert said["image_l2"] < said["image_l2_of_mean"]
    assert said["image_l1"] < said["image_l1_of_median"] <= said["image_l1_of_mean"]
    assert "the median image" in said["verdict"]
    assert 0 <= said["flagged"] <= 1
    rows = xr.open_dataset(out)
    assert rows["truth"].shape == rows["mean"].shape == (30, 7, 7)
    weak = json.loads(done("evaluate", place / "average-image", "--n", 30, "--json").stdout)
    assert weak["verdict"].startswith("weak")


@pytest.mark.parametrize(
    ("l1", "l2", "covered", "begins"),
    [
        (0.03, 0.06, 0.9, "good: median relative error 0.03 (L1) and 0.06 (L2)"),
        (0.03, 0.06, 0.6, "narrow: bands of 90 % hold 60%"),
        (0.073, 0.06, 0.9, "weak: median relative error"),
        (0.03, 0.14, 0.9, "weak: median relative error"),
        (0.081, 0.151, 0.9, "weak: no better in L1 and L2 than an image that knows no data: med"),
        (0.081, 0.06, 0.9, "weak: no better in L1 than an image that knows no data: median"),
        (0.03, 0.15, 0.9, "weak: no better in L2 than an image that knows no data: median"),
    ],
)
def test_an_estimate_is_held_against_the_better_of_mean_and_median_image(l1, l2, covered, begins):
    constant = {"mean": {"image_l1": 0.09, "image_l2": 0.15},
                "median": {"image_l1": 0.08, "image_l2": 0.16}}  # fmt: skip
    assert verdict({"image_l1": l1, "image_l2": l2}, constant, covered).startswith(begins)


@pytest.mark.parametrize(
    ("engine", "surrogate", "text"),
    [
        ("linear-image", None, "got no surrogate"),
        ("linear-image", "average-image", "got one of kind 'average-image'"),
        ("map", "linear-image", "begins in whitened coordinates"),
        ("eki", "linear-image", "makes no use of a surrogate of role 'inverse'"),
    ],
)
def test_an_engine_without_the_surrogate_that_it_means_is_one_line(
    engine, surrogate, text, place, tmp_path
):
    more = () if surrogate is None else ("--surrogate", place / surrogate)
    result = call("invert", place / "obs.nc", "--engine", engine, *more, "--out", tmp_path / "x.nc")
    assert result.exit_code == 2
    assert text in result.stderr
    assert not (tmp_path / "x.nc").exists()


LOUD = ("--set", "noise.std=50")


@pytest.mark.filterwarnings("always::pdeinv.jobs.untrained.UntrainedNoise")
@pytest.mark.parametrize("polish", ["none", "map"])
def test_noise_that_the_training_never_saw_is_told_before_and_after(polish, place, tmp_path):
    out = tmp_path / "loud.nc"
    said = inverted(place, out, *LOUD, "--set", f"engine.polish={polish}", "--json")
    assert said.exit_code == 0, said.output
    told = "times that of the training, whose noise_range is 0.2 to 5 times"
    assert said.stderr.startswith("warning: the noise of the data (median σ 50) is ")
    assert told in said.stderr
    tree = xr.open_datatree(out)
    assert tree.attrs["pdeinv_converged"] == 0
    assert told in tree.attrs["pdeinv_message"]


def checked(place, obs, *more):
    words = ("--surrogate", place / "linear-image", "--seed", 1, "--json", *more)
    return json.loads(done("check", obs, *words).stdout)["tests"]


def test_check_flags_noise_that_the_training_never_saw(place):
    for more, flag in (((), ""), (LOUD, "outside")):
        tests = checked(place, place / "obs.nc", *more)
        (noise,) = (t for t in tests if t["test"] == "noise / noise of the training")
        assert noise["flag"] == flag
        assert any("with a noise_range that holds it" in str(t["value"]) for t in tests) == bool(
            flag
        )


def test_check_flags_unlike_data_as_invert_does(place, tmp_path):
    truth, odd = tmp_path / "truth.nc", tmp_path / "odd.nc"
    rough = ("--set", "problem.unknown.std=4.0", "--seed", 3)
    done("solve", "-c", place / "run.toml", *rough, "--out", truth)
    done("observe", truth, "--sensors", "grid:5x5", "--noise-std", 0.001, "--out", odd)
    (usual,), (found,) = (
        [
            t
            for t in checked(place, obs, "-c", place / "run.toml")
            if t["test"].startswith("likeness")
        ]
        for obs in (place / "obs.nc", odd)
    )
    assert (usual["flag"], found["flag"]) == ("", "unlike")
    assert found["value"] < 0.05
    told = [
        t["value"] for t in checked(place, odd, "-c", place / "run.toml") if t["test"] == "note"
    ]
    assert any("of the held-out data are as odd as these, or odder" in note for note in told)
    table = done("check", odd, "-c", place / "run.toml", "--surrogate", place / "linear-image")
    assert "unlike" in table.output
