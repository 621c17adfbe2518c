"""``pdeinv import``: from a foreign file to a reconstruction, by the command itself."""

import json
import warnings

import numpy as np
import pytest
import xarray as xr

from pdeinv.jobs import import_data

COARSE = """
[problem]
name = "eit"
cells = 10

[problem.electrodes]
cells = 2

[problem.unknown]
kind = "log-gaussian"
length = 0.5
std = 0.5
modes = 6
grid = [9, 9]
"""
FLAGS = (
    *("--electrodes", 16, "--first-number", 1, "--amplitude", 0.001),
    *("--radius", 1, "--electrode-width", 0.1963495),
    *("--first-angle", 0, "--direction", "ccw"),
)


def done(result):
    assert result.exit_code == 0, result.stderr
    return result


def written(dataset, path, shift=0):
    """The voltages of an observation file as a table, measurement electrodes shifted."""
    lines = ["drive_plus,drive_minus,meas_plus,meas_minus,value"]
    drives, pattern = dataset["current"].values, dataset["measurement_pattern"].values
    for i, m in zip(*np.nonzero(np.isfinite(dataset["voltage"].values)), strict=True):
        ends = [drives[i].argmax(), drives[i].argmin()]
        ends += [(e + shift) % 16 for e in (pattern[m].argmax(), pattern[m].argmin())]
        value = float(dataset["voltage"].values[i, m])
        lines.append(",".join([*(str(e + 1) for e in ends), repr(value)]))
    path.write_text("\n".join(lines))


@pytest.fixture(scope="module")
def tank(tmp_path_factory, call):
    """Our own solver's data as CSV files, with the truth and the coarse configuration."""
    folder = tmp_path_factory.mktemp("tank")
    config, truth, obs = (folder / n for n in ("coarse.toml", "truth.nc", "own.nc"))
    config.write_text(COARSE)
    done(call("solve", "--config", config, "--seed", 4, "--out", truth))
    words = ("observe", truth, "--sensors", "all", "--noise-rel", 0.001, "--seed", 5)
    done(call(*words, "--out", obs))
    with xr.open_dataset(obs) as dataset:
        written(dataset, folder / "frame.csv")
        written(dataset, folder / "shifted.csv", shift=3)
    return folder


def test_a_csv_file_is_imported_checked_inverted_and_scored(tank, call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ("import", "eit", "csv", tank / "frame.csv", *FLAGS, "--noise-rel", 0.001)
    found = json.loads(done(call(*words, "--out", "obs.nc", "--json")).stdout)
    assert (found["injection"], found["measurement"], found["electrode"]) == (16, 16, 16)
    with xr.open_dataset("obs.nc") as ours, xr.open_dataset(tank / "own.nc") as own:
        np.testing.assert_array_equal(ours["voltage"], own["voltage"])
        for name in ("current", "measurement_pattern", "electrode_x", "electrode_width"):
            np.testing.assert_allclose(ours[name], own[name], atol=1e-6)
        assert ours.attrs["pdeinv_inputs"].startswith("frame.csv:sha256=")
        assert "pdeinv_seed" not in ours.attrs
    config = ("--config", tank / "coarse.toml")
    done(call("check", "obs.nc", *config))
    done(call("invert", "obs.nc", *config, "--engine", "map", "--seed", 1, "--out", "map.nc"))
    scores = ("score", "map.nc", "--truth", tank / "truth.nc", "--threshold", 1.0, "--json")
    found = json.loads(done(call(*scores)).stdout)["scores"]
    assert found["rel-l2"] < 0.05
    assert found["dice"] > 0.9
    with xr.open_datatree("map.nc") as tree:
        assert set(np.unique(tree["estimates"]["conductivity_inside"])) == {0, 1}
        assert tree["constant_data"]["electrode_x"].sizes == {"electrode": 16}
    done(call("plot", "map.nc", "--truth", tank / "truth.nc", "--out", "map.png"))


def test_missing_noise_is_asked_for_by_invert(tank, call, tmp_path):
    out = tmp_path / "obs.nc"
    done(call("import", "eit", "csv", tank / "frame.csv", *FLAGS, "--out", out))
    refused = call("invert", out, "--engine", "map", "--out", tmp_path / "map.nc")
    assert refused.exit_code == 2
    assert "no noise given for 'voltage'" in refused.stderr


def test_a_frame_in_the_wrong_order_is_named_on_stderr(tank, call, tmp_path):
    out = tmp_path / "obs.nc"
    words = ("import", "eit", "csv", tank / "shifted.csv", *FLAGS, "--noise-rel", 0.001)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        found = done(call(*words, "--out", out))
    text = "rotated against those of drives (numbers 3 too high)"
    assert "warning: shifted.csv: reciprocity fails" in found.stderr
    assert text in found.stderr
    checked = call("check", out, "--config", tank / "coarse.toml", "--json")
    assert any(text in str(t["value"]) for t in json.loads(checked.stdout)["tests"])


def test_nothing_is_written_by_a_dry_run_or_over_a_file(tank, call, tmp_path):
    out = tmp_path / "obs.nc"
    words = ("import", "eit", "csv", tank / "frame.csv", *FLAGS, "--out", out)
    assert "injection: 16" in done(call(*words, "--dry-run")).stdout
    assert not out.exists()
    done(call(*words))
    refused = call(*words)
    assert refused.exit_code == 2
    assert "already exists" in refused.stderr


BAD = {
    "missing file": (("eit", "csv", "none.csv", *FLAGS), "no such file: none.csv"),
    "missing flag": (("eit", "csv", "a.csv", "--radius", 1), "--electrodes: field required"),
    "wrong value": (
        ("eit", "csv", "a.csv", "--electrodes", 16, "--first-number", 2),
        "--first-number: input should be 0 or 1 (got 2)",
    ),
    "unknown format": (("eit", "kit5", "a.mat"), "Did you mean 'kit4'?"),
    "unknown problem": (("eot", "csv", "a.csv"), "unknown problem 'eot'; did you mean 'eit'?"),
    "unknown flag": (("eit", "csv", "a.csv", "--radios", 1), "No such option: --radios"),
    "missing reference": (
        ("eit", "kit4", "a.csv", "--reference", "b.mat"),
        "no such file: b.mat",
    ),
    "not a MAT file": (("eit", "kit4", "a.csv"), "a.csv is no MATLAB file, or is damaged"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name, call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    words, text = BAD[name]
    result = call("import", *words, "--out", "obs.nc")
    assert result.exit_code == 2
    assert text in result.stderr
    assert result.stderr.startswith("error: ")
    assert not (tmp_path / "obs.nc").exists()


def test_help_tells_formats_and_flags(call):
    assert "eit" in done(call("import", "--help")).stdout
    profiles = done(call("import", "flame", "csv", "--help")).stdout
    assert "x [mm], T [degC]" in profiles
    assert "\\[" not in profiles
    formats = done(call("import", "eit", "--help")).stdout
    assert all(name in formats for name in ("csv", "pyeit", "kit4", "ktc2023"))
    flags = done(call("import", "eit", "ktc2023", "--help")).stdout
    assert "--level" in flags
    assert "--reference" in flags
    flags = done(call("import", "tumor", "nifti", "--help")).stdout
    assert all(flag in flags for flag in ("--white", "--labels", "--scan", "--pet"))


def test_importers_are_found_through_the_problems():
    assert {"eit", "flame", "tumor"} <= set(import_data.problems())
    assert import_data.importers("darcy") == {}


def test_a_refusal_is_all_that_is_said(tank, call, tmp_path):
    """What was taken for granted on the way to it matters no more."""
    short = tmp_path / "reference.csv"
    short.write_text("".join((tank / "frame.csv").read_text().splitlines(keepends=True)[:9]))
    flags = FLAGS[: FLAGS.index("--electrode-width")] + FLAGS[FLAGS.index("--first-angle") :]
    words = ("import", "eit", "csv", tank / "frame.csv", *flags, "--out", tmp_path / "obs.nc")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        refused = call(*words, "--reference", short)
        assert refused.exit_code == 2
        assert [line[:7] for line in refused.stderr.splitlines()] == ["error: "]
        assert "electrode width not given" in done(call(*words)).stderr
