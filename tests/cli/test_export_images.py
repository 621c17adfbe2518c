"""Truths and results as NIfTI images: in the place and order of the tissue's images."""

import json

import nibabel as nib
import numpy as np
import pytest
import xarray as xr
from heads import fractions, head, tissue_lines

import pdeinv
from pdeinv.errors import ConfigError, OutputExists

pytestmark = pytest.mark.filterwarnings("always::pdeinv.jobs.export.Unconverged")

TABLES = """
seed = 6
[problem]
name = "tumor"
solver = "finite-differences"
{box}
[problem.time]
steps = 16
stored = 16
[problem.unknown]
diffusivity = {{ median = 0.6, std = 0.3 }}
growth_rate = {{ median = 0.07, std = 0.2 }}
[problem.tissue]
{tissue}
"""
PLANE = TABLES.format(box="lengths = [96.0, 80.0]\ncells = [24, 20]", tissue='kind = "homogeneous"')
IMAGES = {"density", "white", "grey", "segmentation"}


def run(call, *words):
    done = call(*words)
    assert done.exit_code == 0, done.stderr
    return done


def solved(folder, call, text):
    """A truth, data of it and what they say, for the configuration ``text``."""
    (folder / "c.toml").write_text(text)
    run(call, "solve", "--config", folder / "c.toml", "--out", folder / "truth.nc")
    words = ("--sensors", "grid:7", "--noise-std", 0.05, "--seed", 2)
    run(call, "observe", folder / "truth.nc", *words, "--out", folder / "obs.nc")
    for engine in ("laplace", "map"):
        words = ("--engine", engine, "--seed", 3, "--out", folder / f"{engine}.nc")
        run(call, "invert", folder / "obs.nc", *words)
    return folder


@pytest.fixture(scope="module", name="brain")
def _brain(tmp_path_factory, call):
    """A brain whose maps are stored from left to right and back to front, in voxels of 2 mm."""
    folder = tmp_path_factory.mktemp("brain")
    tissue = tissue_lines(folder, codes="LPS")
    return solved(folder, call, TABLES.format(box="cells = [16, 14, 12]", tissue=tissue))


@pytest.fixture(scope="module", name="plane")
def _plane(tmp_path_factory, call):
    return solved(tmp_path_factory.mktemp("plane"), call, PLANE)


def of(folder, name):
    return nib.load(folder / f"{name}.nii.gz")


def test_a_truth_lies_where_its_tissue_lies(brain, call, tmp_path):
    words = ("--threshold", 0.2, "--threshold", 0.6)
    run(call, "export", brain / "truth.nc", "--nifti", tmp_path / "out", *words)
    white = of(brain, "white")
    assert {p.name.removesuffix(".nii.gz") for p in (tmp_path / "out").glob("*.gz")} == IMAGES
    for name in IMAGES:
        found = of(tmp_path / "out", name)
        np.testing.assert_allclose(found.affine, white.affine)
        assert found.shape == white.shape
    density, labels = (of(tmp_path / "out", n).get_fdata() for n in ("density", "segmentation"))
    assert set(np.unique(labels)) == {0, 2, 4}
    assert (density[labels == 4] > 0.6).all()
    assert (density[labels == 0] <= 0.2).all()
    truth = xr.open_datatree(brain / "truth.nc")["unknown"]
    seed = [float(truth[f"seed_{a}"]) for a in "xyz"]
    matrix = json.loads((tmp_path / "out" / "pdeinv.json").read_text())["box_to_world"]
    place = np.linalg.inv(white.affine) @ matrix @ np.array([*seed, 1.0])
    assert density[tuple(place[:3].round().astype(int))] > 0.9 * density.max()


def test_tissue_written_and_read_again_is_the_same(brain, call, tmp_path):
    run(call, "export", brain / "truth.nc", "--nifti", tmp_path / "out")
    for name, part in zip(("white", "grey"), fractions((2.0, 2.0, 2.0)), strict=True):
        stored = nib.as_closest_canonical(of(tmp_path / "out", name))
        np.testing.assert_allclose(stored.get_fdata(), part, atol=1e-6)


def test_a_posterior_is_five_images(brain, call, tmp_path):
    done = run(call, "export", brain / "laplace.nc", "--nifti", tmp_path / "out", "--json")
    told = json.loads(done.stdout)
    assert told["draws"] + told["failed"] == 100
    names = ("density_mean", "density_sd", "density_q025", "density_q500", "density_q975")
    assert sorted(told["images"]) == sorted(names)
    mean, sd, low, median, high = (of(tmp_path / "out", n).get_fdata() for n in names)
    assert (low <= median).all()
    assert (median <= high).all()
    assert 0 < sd.max() < 0.5
    truth = tmp_path / "truth.nii.gz"
    run(call, "export", brain / "truth.nc", "--nifti", truth)
    assert np.abs(mean - nib.load(truth).get_fdata()).max() < 0.3
    run(call, "export", brain / "laplace.nc", "--nifti", tmp_path / "mean.nii.gz")
    np.testing.assert_array_equal(nib.load(tmp_path / "mean.nii.gz").get_fdata(), mean)
    matrix = xr.open_datatree(brain / "laplace.nc")["constant_data"]["box_to_world"].values
    assert json.loads((tmp_path / "out" / "pdeinv.json").read_text())["box_to_world"] == (
        matrix.tolist()
    )


def test_a_point_is_one_image_and_planes_are_slices(plane, call, tmp_path):
    run(call, "export", plane / "map.nc", "--nifti", tmp_path / "out")
    (path,) = (tmp_path / "out").glob("*.gz")
    assert path.name == "density_estimate.nii.gz"
    found = nib.load(path)
    assert found.shape == (24, 20, 1)
    np.testing.assert_allclose(np.diag(found.affine), [4, 4, 1, 1])
    run(call, "export", plane / "truth.nc", "--nifti", tmp_path / "t.nii", "--time", 50)
    assert nib.load(tmp_path / "t.nii").shape == (48, 40, 1)  # truths are of level 1


REFUSED = {
    "no output": ("truth.nc", (), "give one output"),
    "two outputs": ("truth.nc", ("--vtk", "a.vtkhdf", "--nifti", "b.nii"), "give one output"),
    "a variable": ("laplace.nc", ("--nifti", "b.nii", "--variable", "c"), "goes with --vtk"),
    "thresholds of VTK": ("truth.nc", ("--vtk", "a.vtkhdf", "--threshold", 0.2), "with --nifti"),
    "thresholds of draws": ("laplace.nc", ("--nifti", "b", "--threshold", 0.2), "are for truths"),
    "falling": ("truth.nc", ("--nifti", "b", "--threshold", 0.6, "--threshold", 0.2), "a higher"),
    "no such time": ("truth.nc", ("--nifti", "b", "--time", 70), "the nearest is 50"),
    "data": ("obs.nc", ("--nifti", "b"), "expected the output of"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused(plane, call, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    file, words, text = REFUSED[name]
    done = call("export", plane / file, *words)
    assert done.exit_code == 2
    assert text in done.stderr
    assert not [p for p in tmp_path.iterdir() if not p.name.startswith(".")]


def test_a_folder_of_images_says_what_it_is(plane, call, tmp_path):
    run(call, "export", plane / "map.nc", "--nifti", tmp_path / "out")
    told = json.loads(run(call, "info", tmp_path / "out", "--json").stdout)
    assert told["kind"] == "images"
    assert told["attributes"]["images"] == ["density_estimate"]
    assert told["attributes"]["draws"] == 1
    assert told["attributes"]["source"][0] == "map.nc"


def test_python_writes_the_same_images(plane, call, tmp_path):
    run(call, "export", plane / "truth.nc", "--nifti", tmp_path / "a", "--threshold", 0.3)
    out = pdeinv.export(plane / "truth.nc", nifti=tmp_path / "b", threshold=(0.3,))
    assert out == tmp_path / "b"
    for path in (tmp_path / "a").glob("*.gz"):
        assert (out / path.name).read_bytes() == path.read_bytes()
    with pytest.raises(ConfigError, match="give one output: vtk, nifti, segy or csv"):
        pdeinv.export(plane / "truth.nc")


def test_other_problems_have_no_medical_images(small, call, tmp_path):
    done = call("export", small / "truth.nc", "--nifti", tmp_path / "b")
    assert done.exit_code == 2
    assert "problem darcy has no medical images; take --vtk" in done.stderr


def test_only_images_of_pdeinv_are_replaced(plane, call, tmp_path):
    words = ("export", plane / "map.nc", "--nifti", tmp_path / "out")
    run(call, *words)
    assert call(*words).exit_code == 2
    run(call, *words, "--overwrite")
    (tmp_path / "own").mkdir()
    done = call("export", plane / "map.nc", "--nifti", tmp_path / "own", "--overwrite")
    assert done.exit_code == 2
    assert "carries no mark of pdeinv" in done.stderr


OTHERS = {
    "flipped and swapped": {"codes": "AIR"},
    "in percent": {"scale": 100.0},
    "scaled by the header": {"dtype": np.int16, "slope": 0.001},
    "voxels of half the size": {"sides": (1.0, 1.0, 1.0)},
    "flat voxels": {"sides": (1.0, 2.0, 4.0), "codes": "SPL"},
}


@pytest.mark.parametrize("name", OTHERS)
def test_one_head_inverts_alike_however_it_is_stored(brain, call, tmp_path, name):
    """The same data with the same head in another file; voxels of another size blur its edges."""
    tissue = head(tmp_path, **OTHERS[name])
    words = [w for k in ("white", "grey")
             for w in ("--set", f'problem.tissue.{k}="{tissue[k]}"')]  # fmt: skip
    out = tmp_path / "map.nc"
    run(call, "invert", brain / "obs.nc", "--engine", "map", "--seed", 3, *words, "--out", out)
    one, other = (
        xr.open_datatree(file)["posterior"].to_dataset().mean() for file in (brain / "map.nc", out)
    )
    sd = xr.open_datatree(brain / "laplace.nc")["posterior"].to_dataset().std()
    close = 0.5 if "voxels" in name else 0.02
    for key in one:
        assert abs(float(one[key] - other[key])) < close * float(sd[key]), key


def test_what_a_result_goes_on_needing_is_not_replaced(brain, call):
    before = sorted(p.name for p in brain.iterdir())
    for out in (brain, brain / "white.nii.gz"):
        done = call("export", brain / "map.nc", "--nifti", out, "--overwrite")
        assert done.exit_code == 2
        assert "which is read; choose another --nifti" in done.stderr
        with pytest.raises(OutputExists, match="which is read; choose another nifti"):
            pdeinv.export(brain / "map.nc", nifti=out, overwrite=True)
    assert sorted(p.name for p in brain.iterdir()) == before


@pytest.mark.parametrize("threshold", ["nan", "2", "0", "-1"])
def test_thresholds_that_are_no_concentrations_are_refused(threshold, brain, call, tmp_path):
    words = ("--nifti", tmp_path / "images", "--threshold", threshold)
    done = call("export", brain / "truth.nc", *words)
    assert done.exit_code == 2
    assert "between 0 and 1" in done.stderr
    assert not (tmp_path / "images").exists()
