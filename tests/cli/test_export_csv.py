"""Tables of fields that ``export --csv`` writes; importers read those of profiles."""

import numpy as np
import pytest
import xarray as xr

CONFIG = """
[problem]
name = "flame"
equivalence_ratio = 0.42
cells = 60
[problem.unknown]
conductivity = { kind = "log-normal", median = 0.026, std = 0.1 }
"""


def done(result):
    assert result.exit_code == 0, result.stderr


@pytest.fixture(scope="module", name="folder")
def _folder(tmp_path_factory, call):
    folder = tmp_path_factory.mktemp("flame")
    config, truth, obs = (folder / name for name in ("flame.toml", "truth.nc", "obs.nc"))
    config.write_text(CONFIG)
    done(call("solve", "--config", config, "--seed", 1, "--out", truth))
    words = ("--sensors", "grid:8@T,u", "--noise-rel", 0.02, "--seed", 2)
    done(call("observe", truth, *words, "--out", obs))
    done(call("invert", obs, "--engine", "laplace", "--seed", 3, "--out", folder / "posterior.nc"))
    done(call("invert", obs, "--engine", "map", "--seed", 3, "--out", folder / "point.nc"))
    return folder


def table(path):
    lines = path.read_text().splitlines()
    assert lines[0].startswith("# written by pdeinv")
    head, *rows = (line.split(",") for line in lines if not line.startswith("#"))
    return dict(zip(head, np.array(rows, dtype=float).T, strict=True))


def test_a_truth_gives_its_fields_with_units(folder, call):
    done(call("export", folder / "truth.nc", "--csv", folder / "truth.csv"))
    found, fields = table(folder / "truth.csv"), xr.open_datatree(folder / "truth.nc")
    assert list(found)[:3] == ["x [m]", "T [K]", "u [m s-1]"]
    np.testing.assert_array_equal(found["x [m]"], fields["x"])
    np.testing.assert_array_equal(found["T [K]"], fields["T"])
    again = call("export", folder / "truth.nc", "--csv", folder / "truth.csv")
    assert "already exists" in again.stderr
    done(call("export", folder / "truth.nc", "--csv", folder / "truth.csv", "--overwrite"))


def test_an_importer_reads_it(folder, call):
    done(call("export", folder / "truth.nc", "--csv", folder / "again.csv"))
    lines = (folder / "again.csv").read_text().splitlines()
    short = [",".join(line.split(",")[:3]) for line in lines[1:]]
    (folder / "profile.csv").write_text("\n".join(short) + "\n")
    given = ("--p", 101325, "--t-in", 298, "--phi", 0.42, "--rel", 0.02)
    done(call("import", "flame", "csv", folder / "profile.csv", *given,
              "--out", folder / "profile.nc"))  # fmt: skip
    np.testing.assert_array_equal(xr.open_datatree(folder / "profile.nc")["T"],
                                  xr.open_datatree(folder / "truth.nc")["T"])  # fmt: skip


def test_a_result_gives_statistics_of_its_profiles(folder, call):
    done(call("export", folder / "posterior.nc", "--csv", folder / "posterior.csv"))
    found = table(folder / "posterior.csv")
    draws = xr.open_datatree(folder / "posterior.nc")["derived"]["T"]
    np.testing.assert_allclose(found["T_mean [K]"], draws.mean(("chain", "draw")), rtol=1e-14)
    np.testing.assert_allclose(found["T_q975 [K]"], draws.quantile(0.975, ("chain", "draw")))
    assert (found["T_q025 [K]"] <= found["T_q500 [K]"]).all()
    done(call("export", folder / "point.nc", "--csv", folder / "point.csv"))
    assert "T [K]" in table(folder / "point.csv")


def test_profiles_of_numbers_are_what_csv_is_for(folder, call, tmp_path):
    refused = call("export", folder / "posterior.nc", "--vtk", tmp_path / "r.vtkhdf")
    assert refused.exit_code == 2
    assert "no field over space; --csv writes T, u" in refused.stderr


@pytest.mark.filterwarnings("always::pdeinv.jobs.export.Unconverged")
@pytest.mark.parametrize("form", ["csv", "vtk"])
def test_what_is_not_converged_is_said_beside_the_file(folder, call, form, tmp_path):
    out = tmp_path / {"csv": "r.csv", "vtk": "r.vtkhdf"}[form]
    obs, result = tmp_path / "obs.nc", tmp_path / "r.nc"
    done(call("solve", "darcy", "--set", "problem.cells=8", "--out", tmp_path / "t.nc"))
    done(call("observe", tmp_path / "t.nc", "--sensors", "grid:3x3", "--noise-rel", 0.02,
              "--out", obs))  # fmt: skip
    cut = ("--set", "engine.max_iterations=1")
    done(call("invert", obs, "--engine", "map", *cut, "--seed", 3, "--out", result))
    said = call("export", result, f"--{form}", out)
    done(said)
    assert said.stderr.startswith(f"warning: {result} is not converged: ")
    assert said.stderr.count("\n") == 1
    message = xr.open_datatree(result).attrs["pdeinv_message"]
    assert ";" in message
    assert message in said.stderr  # whole, with what to do
    if form == "csv":
        assert out.read_text().splitlines()[1] == f"# not converged: {message}"
    done(call("invert", obs, "--engine", "map", "--seed", 3, "--out", result, "--overwrite"))
    assert not call("export", result, f"--{form}", out, "--overwrite").stderr
    if form == "csv":
        assert out.read_text().splitlines()[1].startswith("# converged: ")


def test_a_table_of_a_truth_has_no_verdict_and_that_of_a_result_is_read_again(folder, call):
    from pdeinv.text_table import read_table

    done(call("export", folder / "truth.nc", "--csv", folder / "plain.csv"))
    assert (folder / "plain.csv").read_text().count("#") == 1
    done(call("export", folder / "posterior.nc", "--csv", folder / "again-posterior.csv"))
    assert (folder / "again-posterior.csv").read_text().count("\n# ") == 1
    header, rows = read_table(folder / "again-posterior.csv")
    assert header[0] == "x [m]"
    assert len(rows) == len(table(folder / "again-posterior.csv")["x [m]"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("truth.nc", "--csv", "out.txt"), "expected a name that ends in .csv"),
        (("truth.nc", "--csv", "o.csv", "--vtk", "o.vtkhdf"), "give one output"),
        (("truth.nc", "--csv", "o.csv", "--variable", "T"), "--variable goes with --vtk"),
        (("obs.nc", "--csv", "o.csv"), "expected a result or a truth"),
    ],
)
def test_what_makes_no_table_is_refused(folder, call, words, said, monkeypatch):
    monkeypatch.chdir(folder)
    result = call("export", *words)
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_field_of_a_plane_has_a_row_for_each_node(work, call):
    done(call("export", "truth.nc", "--csv", "truth.csv"))
    found, fields = table(work / "truth.csv"), xr.open_datatree("truth.nc").to_dataset()
    assert list(found)[:3] == ["x [m]", "y [m]", "u [m]"]
    for head in ("x [m]", "y [m]", "u [m]"):
        np.testing.assert_array_equal(found[head], fields[head.partition(" ")[0]])
    done(call("invert", "obs.nc", "--engine", "laplace", "--draws", 20, "--out", "r.nc"))
    done(call("export", "r.nc", "--csv", "r.csv"))
    found, mean = table(work / "r.csv"), xr.open_datatree("r.nc")["estimates"]["conductivity_mean"]
    rows = mean.stack(place=("y", "x"))
    for head, column in {"x [m]": rows["x"], "y [m]": rows["y"],
                         "conductivity_mean [m s-1]": rows}.items():  # fmt: skip
        np.testing.assert_array_equal(found[head], column)
    assert (found["conductivity_q025 [m s-1]"] <= found["conductivity_q975 [m s-1]"]).all()


def test_an_image_of_a_disc_has_a_row_for_each_node_inside(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done(call("solve", "eit", "--set", "problem.cells=8", "--seed", 1, "--out", "truth.nc"))
    done(call("observe", "truth.nc", "--sensors", "all", "--noise-rel", 0.01, "--seed", 1,
              "--out", "obs.nc"))  # fmt: skip
    done(call("invert", "obs.nc", "--engine", "gauss-newton", "--seed", 1, "--out", "r.nc"))
    done(call("export", "r.nc", "--csv", "r.csv"))
    found, estimates = table(tmp_path / "r.csv"), xr.open_datatree("r.nc")["estimates"].to_dataset()
    inside = estimates["conductivity_inside"].values == 1
    assert list(found) == ["x [m]", "y [m]", "conductivity_estimate [S m-1]"]
    np.testing.assert_array_equal(
        found["conductivity_estimate [S m-1]"], estimates["conductivity_mean"].values[inside]
    )
    assert 1 < np.hypot(found["x [m]"], found["y [m]"]).max() < 1.1  # and beside the outline


def test_a_field_over_time_has_a_column_for_each_time(call, tmp_path):
    """A rod of tissue; its unknown is a list of numbers, which no table holds."""
    truth, obs, result = (tmp_path / f"{name}.nc" for name in ("truth", "obs", "result"))
    rod = ("problem.lengths=[100.0]", "problem.cells=20", "problem.tissue={kind='homogeneous'}")
    keys = [word for key in rod for word in ("--set", key)]
    done(call("solve", "tumor", *keys, "--seed", 1, "--out", truth))
    done(call("export", truth, "--csv", tmp_path / "truth.csv"))
    found, fields = table(tmp_path / "truth.csv"), xr.open_datatree(truth).to_dataset()
    last = float(fields["time"][-1])
    (head,) = (name for name in found if name.startswith(f"c [1] at time = {last:g} "))
    np.testing.assert_array_equal(found[head], fields["c"][-1])
    assert sum(name.startswith("c [1] at time") for name in found) == fields.sizes["time"]
    done(call("observe", truth, "--sensors", "grid:8", "--noise-rel", 0.02, "--out", obs))
    done(call("invert", obs, "--engine", "map", "--seed", 3, "--out", result))
    scored = call("score", result, "--truth", truth)
    done(scored)
    assert "rel-l2" in scored.stdout
    for words, said in (
        (("--csv", tmp_path / "r.csv"), "a list of numbers, from which no profile follows; "),
        (("--vtk", tmp_path / "r.vtkhdf"), "a list of numbers, no field over space; "),
    ):
        refused = call("export", result, *words)
        assert refused.exit_code == 2
        assert f"{said}'pdeinv info' lists its numbers" in refused.stderr
        assert "--vtk" not in refused.stderr  # neither sends to the other
        assert "--csv" not in refused.stderr
        assert refused.stderr.count("\n") == 1
