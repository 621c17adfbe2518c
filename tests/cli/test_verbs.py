"""Each verb does its job: the files that it writes and the result that it prints."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from pdeinv.plugins import registry

pytestmark = pytest.mark.usefixtures("solves_here")


def done(result):
    assert result.exit_code == 0, result.stderr
    return result


def answer(result):
    found = json.loads(done(result).stdout)
    assert found["schema"] == 1
    return found


@pytest.fixture(scope="module")
def posterior(small, call, tmp_path_factory):
    """A short run of pcn."""
    out = tmp_path_factory.mktemp("posterior") / "pcn.nc"
    words = ("invert", small / "obs.nc", "--engine", "pcn", "--draws", 200, "--seed", 1)
    done(call(*words, "--set", "engine.warmup=100", "--chains", 2, "--out", out))
    return out


def test_list_names_every_plugin_with_what_it_needs(call):
    found = answer(call("list", "--json"))
    for kind in ("problems", "surrogates", "engines"):
        assert [p["name"] for p in found[kind]] == registry.names(kind)
    engines = {e["name"]: e for e in found["engines"]}
    assert engines["map"]["requires"] == ["jvp", "vjp"]
    assert engines["map"]["produces"] == "point"
    assert found["problems"][0]["equation"]
    assert all(p["available"] for kind in ("problems", "engines") for p in found[kind])


def test_list_prints_one_table_per_kind(call):
    text = done(call("list", "engines")).stdout
    assert "two-level" in text
    assert "darcy" not in text


def test_solve_draws_its_truth_from_the_prior_by_seed(call, work):
    for out, seed in (("a.nc", 1), ("b.nc", 1), ("c.nc", 2)):
        done(call("solve", "--config", "small.toml", "--seed", seed, "--out", out))
    a, b, c = (xr.open_dataset(f)["u"].values for f in ("a.nc", "b.nc", "c.nc"))
    np.testing.assert_array_equal(a, b)
    assert np.abs(a - c).max() > 0


def test_solve_reports_what_it_wrote(call, work):
    found = answer(call("solve", "darcy", "--seed", 3, "--out", "t.nc", "--level", 0, "--json"))
    assert found == {
        "schema": 1, "out": "t.nc", "problem": "darcy", "level": 0, "seed": 3, "dofs": 33 * 33,
    }  # fmt: skip
    assert xr.open_dataset("t.nc").attrs["pdeinv_seed"] == 3


def test_solve_takes_its_unknown_from_a_file(call, work):
    done(call("solve", "--config", "small.toml", "--m", "truth.nc", "--out", "again.nc"))
    with xr.open_dataset("again.nc") as again, xr.open_dataset("truth.nc") as truth:
        np.testing.assert_array_equal(again["u"], truth["u"])


def test_solve_of_the_mean_needs_no_chance(call, work):
    for out, seed in (("a.nc", 1), ("b.nc", 2)):
        words = ("--config", "small.toml", "--m", "mean", "--seed", seed)
        done(call("solve", *words, "--out", out))
    np.testing.assert_array_equal(xr.open_dataset("a.nc")["u"], xr.open_dataset("b.nc")["u"])


def test_stdout_is_the_path_alone(call, work):
    result = done(call("solve", "darcy", "--out", "t.nc", "--level", 0))
    assert result.stdout == "t.nc\n"
    assert "seed" in result.stderr
    assert done(call("solve", "darcy", "--out", "q.nc", "--level", 0, "-q")).stderr == ""


def test_vtkhdf_holds_the_mesh_and_the_fields(call, work):
    import h5py

    done(call("solve", "--config", "small.toml", "--out", "t.nc", "--vtk", "t.vtkhdf"))
    with h5py.File("t.vtkhdf") as file, xr.open_dataset("t.nc") as truth:
        root = file["VTKHDF"]
        assert root.attrs["Type"] == b"UnstructuredGrid"
        np.testing.assert_array_equal(root["PointData/u"], truth["u"])
        np.testing.assert_array_equal(root["Points"][:, 0], truth["x"])
        corners = np.asarray(root["Connectivity"]).reshape(-1, 3)
        np.testing.assert_array_equal(corners, truth["face_node_connectivity"])


def test_observe_tells_of_a_run_file_that_a_truth_differs_from(call, work):
    words = ("observe", "truth.nc", "--sensors", "all", "--noise-rel", 0.1, "--dry-run")
    words = (*words, "--config", "small.toml", "--out")
    assert "observed as solved" not in call(*words, "same.nc").stderr
    told = call(*words, "other.nc", "--set", "problem.cells=64")
    assert told.exit_code == 0
    assert "observed as solved, with problem.cells = 8, and [problem] asks for 64" in told.stderr


def test_observe_adds_noise_of_the_stated_size(call, work):
    words = ("observe", "truth.nc", "--sensors", "all", "--seed", 1)
    done(call(*words, "--noise-std", 1e-9, "--out", "clean.nc"))
    done(call(*words, "--noise-std", 0.01, "--out", "noisy.nc"))
    with xr.open_dataset("clean.nc") as clean, xr.open_dataset("noisy.nc") as noisy:
        z = (noisy["u"] - clean["u"]).values / 0.01
        assert 0.7 < z.std() < 1.3
        assert (noisy["u_sigma"] == 0.01).all()
        assert noisy.attrs["featureType"] == "point"
        assert noisy.attrs["pdeinv_level"] == 1


def test_generate_takes_problem_and_sensors_from_observations(call, work):
    words = ("generate", "--obs", "obs.nc", "--n", 5, "--seed", 1, "--grid", "5x7")
    found = answer(call(*words, "--out", "data.nc", "--json"))
    assert (found["n"], found["failed"]) == (5, 0)
    with xr.open_dataset("data.nc") as data, xr.open_dataset("obs.nc") as obs:
        assert data.sizes["sample"] == 5
        assert data["u_grid"].shape == (5, 5, 7)
        np.testing.assert_array_equal(data["x"], obs["x"])


def test_generate_draws_around_a_result(call, work, posterior):
    words = ("generate", "--obs", "obs.nc", "--n", 40, "--seed", 1)
    done(call(*words, "--around", posterior, "--inflation", 0.1, "--out", "near.nc"))
    done(call(*words, "--out", "far.nc"))
    spread = {
        f: float(xr.open_dataset(f)["xi"].std("sample").mean()) for f in ("near.nc", "far.nc")
    }
    assert spread["near.nc"] < 0.5 * spread["far.nc"]


def test_train_surrogate_reports_held_out_errors(call, work):
    done(call("generate", "--obs", "obs.nc", "--n", 30, "--seed", 1, "--out", "data.nc"))
    words = ("train-surrogate", "multifidelity", "--data", "data.nc", "--seed", 1)
    found = answer(call(*words, "--out", "ckpt", "--json"))
    assert found["samples"] == 30
    assert found["errors"]["rms_over_sigma"] > 0
    assert json.loads((work / "ckpt" / "metadata.json").read_text())["surrogate"] == "multifidelity"
    assert answer(call("info", "ckpt", "--json"))["kind"] == "surrogate"
    words = (
        "invert",
        "obs.nc",
        "--engine",
        "map",
        "--surrogate",
        "ckpt",
        "--dry-run",
        "--out",
        "m.nc",
    )
    left = "leaves ckpt alone; add --model surrogate"
    assert left in done(call(*words)).stderr
    assert left not in done(call(*words, "--model", "surrogate")).stderr


def test_invert_writes_result_and_the_configuration_that_repeats_it(call, work):
    words = ("invert", "obs.nc", "--engine", "eki", "--set", "engine.ensemble_size=40")
    first = answer(call(*words, "--seed", 4, "--out", "a.nc", "--json"))
    assert first["engine"] == "eki"
    assert first["n_forward"] > 0
    done(call("invert", "obs.nc", "--config", "a.nc.toml", "--out", "b.nc"))
    a, b = (xr.open_datatree(f)["posterior"].to_dataset() for f in ("a.nc", "b.nc"))
    xr.testing.assert_identical(a, b)


def test_invert_shows_a_table_and_the_path(call, work):
    result = done(call("invert", "obs.nc", "--engine", "map", "--out", "map.nc", "--seed", 1))
    assert "n_forward" in result.stdout
    assert result.stdout.splitlines()[-1] == "map.nc"


def test_missing_data_are_dropped_and_counted_on_stderr(call, work):
    with xr.open_dataset("obs.nc") as dataset:
        gappy = dataset.load()
    gappy["u"][2] = np.nan
    gappy.to_netcdf("gappy.nc")
    result = done(call("invert", "gappy.nc", "--engine", "map", "--out", "map.nc"))
    assert "1 missing or flagged data dropped" in result.stderr


def test_dry_run_tells_sizes_and_writes_nothing(call, work):
    before = set(work.iterdir())
    words = ("invert", "obs.nc", "--engine", "pcn", "--out", "o.nc", "--dry-run", "--json")
    found = answer(call(*words))
    assert (found["unknowns"], found["data"], found["dofs"]) == (4, 9, 81)
    assert found["produces"] == "posterior"
    for words in (
        ("solve", "darcy", "--out", "o.nc", "-n"),
        ("generate", "--obs", "obs.nc", "--n", 4, "--out", "o.nc", "-n"),
        ("observe", "truth.nc", "--sensors", "all", "--noise-rel", 1, "--out", "o.nc", "-n"),
        ("plot", "obs.nc", "--out", "o.png", "-n"),
    ):
        done(call(*words))
    assert set(work.iterdir()) == before


def test_fail_unconverged_exits_3_and_keeps_the_result(call, work):
    words = ("invert", "obs.nc", "--engine", "pcn", "--draws", 20, "--seed", 1)
    words = (*words, "--set", "engine.warmup=5", "--set", "engine.thin=1", "--out", "o.nc")
    result = call(*words, "--fail-unconverged")
    assert result.exit_code == 3
    assert "not converged" in result.stderr
    assert (work / "o.nc").exists()


def test_check_passes_on_a_problem_and_on_observations(call, work):
    found = answer(call("check", "darcy", "--seed", 1, "--json"))
    tests = {t["test"]: t for t in found["tests"]}
    assert tests["dot product"]["value"] < 1e-10
    assert tests["Taylor slope"]["value"] > 1.9
    found = answer(call("check", "obs.nc", "--json"))
    assert {"data", "dropped data"} <= {t["test"] for t in found["tests"]}


def test_check_exits_1_on_a_wrong_gradient(call, work, monkeypatch):
    from pdeinv.problems.darcy.model import DarcyModel

    honest = DarcyModel.linearize

    def wrong(self, m):
        at = honest(self, m)
        return type(at)(at.value, lambda dm: 1.01 * at.jvp(dm), at.vjp)

    monkeypatch.setattr(DarcyModel, "linearize", wrong)
    result = call("check", "darcy", "--seed", 1)
    assert result.exit_code == 1
    assert "FAILED" in result.stdout
    assert "dot product" in result.stderr


@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
def test_plot_writes_every_format(suffix, call, work):
    done(call("plot", "obs.nc", "--out", f"o.{suffix}"))
    start = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}[suffix]
    assert (work / f"o.{suffix}").read_bytes().startswith(start)


def test_plot_draws_results_and_truths(call, work, posterior):
    done(call("plot", posterior, "--truth", "truth.nc", "--out", "r.png"))
    done(call("plot", "truth.nc", "--out", "t.png"))
    assert (work / "r.png").stat().st_size > 20_000


def test_info_tells_kind_engine_and_summary(call, work, posterior):
    found = answer(call("info", posterior, "--json"))
    assert found["kind"] == "result"
    assert found["attributes"]["pdeinv_engine"] == "pcn"
    assert "r_hat" in found["summary"]
    assert found["groups"]["/unconstrained_posterior"]["xi"]["dims"]["chain"] == 2
    assert answer(call("info", "truth.nc", "--json"))["kind"] == "truth"
    text = done(call("info", "obs.nc")).stdout
    assert "hydraulic head" in text
    assert 'name = "darcy"' in text


def test_info_reads_the_folder_of_a_run(call, posterior):
    found = answer(call("info", f"{posterior}.run", "--json"))
    assert found["kind"] == "run"
    assert found["engine"] == "pcn"
    assert [c["step"] for c in found["chains"]] == [300, 300]
    assert not [name for name in found if "train" in name]


def test_doctor_finds_this_machine_fit(call):
    found = answer(call("doctor", "--json"))
    pieces = {f["name"]: f["status"] for f in found["findings"]}
    assert pieces["python"] == pieces["C compiler"] == pieces["dolfinx"] == "ok"
    assert pieces["compiled kernels"] == "ok"


def test_doctor_exits_1_where_a_piece_is_broken(call, monkeypatch):
    monkeypatch.setattr(
        "pdeinv.jobs.doctor._probed", lambda *_: []
    )  # fit, as the test above has seen
    monkeypatch.setenv("CC", "no-such-compiler")
    result = call("doctor")
    assert result.exit_code == 1
    assert "no-such-compiler" in result.stdout
    assert "broken: C compiler" in result.stderr


def test_two_ranks_write_one_truth_and_the_same_one(work):
    launcher = Path(sys.executable).parent / "mpiexec"
    if not launcher.exists():
        pytest.skip("no mpiexec beside this Python")
    words = ("-m", "pdeinv", "solve", "--config", "small.toml", "--seed", "1", "--out", "two.nc")
    finished = subprocess.run(
        [launcher, "-n", "2", sys.executable, *words], capture_output=True, text=True, check=True
    )
    assert finished.stdout == "two.nc\n"
    with xr.open_dataset("two.nc") as two, xr.open_dataset("truth.nc") as one:
        np.testing.assert_allclose(two["u"], one["u"], rtol=0, atol=1e-12)


def test_files_open_where_pdeinv_is_not_installed(work, posterior):
    code = f"""
import sys
sys.modules["pdeinv"] = None
import arviz as az
import xarray as xr
print(xr.open_dataset("obs.nc")["u"].attrs["units"], xr.open_dataset("truth.nc")["u"].size > 0)
found = az.from_netcdf({str(posterior)!r})
print(dict(found["posterior"].sizes)["chain"], sorted(found["observed_data"].data_vars))
"""
    finished = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert finished.stdout.split() == ["m", "True", "2", "['u']"]
