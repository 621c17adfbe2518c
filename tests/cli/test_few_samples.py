"""Trainings on next to nothing: refused, or told to be no better than a mean."""

import json

import pytest

from pdeinv.jobs.trained_notes import trained_notes

pytestmark = pytest.mark.usefixtures("solves_here")

FORWARD = ("gp", "latent", "deeponet", "ensemble", "multifidelity")


@pytest.fixture(scope="module")
def data(small, call, tmp_path_factory):
    """Data sets by their number of samples."""
    folder = tmp_path_factory.mktemp("few")

    def made(n):
        out = folder / f"{n}.nc"
        words = ("generate", "--obs", small / "obs.nc", "--n", n, "--seed", 5, "--out", out)
        assert call(*words).exit_code == 0
        return out

    return {n: made(n) for n in (4, 5)}


def train(call, name, data, out, *more):
    return call("train-surrogate", name, "--data", data, "--seed", 6, "--out", out, *more)


@pytest.mark.parametrize("name", FORWARD)
def test_four_samples_are_refused_in_one_line(call, data, tmp_path, name):
    found = train(call, name, data[4], tmp_path / "out")
    assert found.exit_code == 2
    assert "expected at least 5 solved samples" in found.stderr
    assert "got 4; generate more (--n)" in found.stderr
    assert "Traceback" not in found.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_better_than_the_mean_is_told(call, data, tmp_path):
    found = train(call, "gp", data[5], tmp_path / "gp", "--json")
    assert found.exit_code == 0, found.stderr
    error = json.loads(found.stdout)["errors"]["relative_l2"]
    assert error > 0.99
    assert "warning: no better than the mean of the training data" in found.stderr
    assert f"{error:.3g}" in found.stderr


def test_a_good_surrogate_has_no_notes():
    assert list(trained_notes({"errors": {"relative_l2": 0.98}})) == []
    assert list(trained_notes({})) == []
    (told,) = trained_notes({"errors": {"relative_l2": float("nan")}})
    assert "no better" in told


def test_an_inverse_says_how_many_samples_calibrated_its_bands(call, data, tmp_path):
    sets = [w for s in ("epochs=1", "members=1") for w in ("--set", f"surrogate.{s}")]
    found = train(call, "inverse-cnn", data[5], tmp_path / "inverse", *sets)
    assert found.exit_code == 0, found.stderr
    assert "1 held-out sample calibrated the bands" in found.stderr
