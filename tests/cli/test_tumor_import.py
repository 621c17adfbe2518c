"""``pdeinv import tumor nifti``: from images to masks, and from those to a posterior and back."""

import json
import tomllib

import nibabel as nib
import numpy as np
import pytest
import xarray as xr
from heads import affine_of, head, stored, tissue_lines

import pdeinv
from pdeinv.io.observations import NoiseSpec
from pdeinv.plugins.case import read_case
from pdeinv.problems.tumor.contours import effective_share, fitting_softness

TABLES = """
seed = 6
[problem]
name = "tumor"
solver = "finite-differences"
cells = [16, 14, 12]
[problem.time]
steps = 20
stored = 10
[problem.unknown]
diffusivity = {{ median = 0.5, std = 0.2 }}
growth_rate = {{ median = 0.06, std = 0.2 }}
[problem.tissue]
{tissue}
"""
THRESHOLDS = ("--threshold", 0.2, "--threshold", 0.6)


def run(call, *words):
    done = call(*words)
    assert done.exit_code == 0, done.stderr
    return done


@pytest.fixture(scope="module", name="patient")
def _patient(tmp_path_factory, call):
    """Maps, a truth in them, and the segmentations of two scans."""
    folder = tmp_path_factory.mktemp("patient")
    (folder / "c.toml").write_text(TABLES.format(tissue=tissue_lines(folder, codes="LPS")))
    run(call, "solve", "--config", folder / "c.toml", "--out", folder / "truth.nc")
    for name, time in (("first", 75), ("last", 100)):
        words = ("--nifti", folder / name, *THRESHOLDS, "--time", time)
        run(call, "export", folder / "truth.nc", *words)
    return folder


def words_of(folder, *more, labels="brats"):
    maps = ("--white", folder / "white.nii.gz", "--grey", folder / "grey.nii.gz")
    return (*maps, *(() if labels is None else ("--labels", labels)), *more)


def imported(call, folder, out, *more, **how):
    source = folder / "last" / "segmentation.nii.gz"
    return call("import", "tumor", "nifti", source, *words_of(folder, *more, **how), "--out", out)


def columns(path):
    """Values, coordinates and times, one entry for each datum."""
    found = read_case(path, {}, NoiseSpec()).observations
    return found.values, found.coords, found.coords["t"]


def test_masks_are_those_of_the_truth(patient, call, tmp_path):
    run(call, "export", patient / "truth.nc", "--nifti", tmp_path / "density")
    assert imported(call, patient, tmp_path / "obs.nc").exit_code == 0
    mask, at, times = columns(tmp_path / "obs.nc")
    assert set(times) == {100}
    assert set(np.unique(mask)) == {0, 1}
    density = nib.as_closest_canonical(nib.load(tmp_path / "density" / "density.nii.gz"))
    blocks = density.get_fdata().reshape(16, 2, 14, 2, 12, 2)
    place = tuple((at[k] / 4 - 0.5).round().astype(int) for k in "xyz")
    for region, least in ((1, 0.2), (2, 0.6)):
        share = (blocks > least).mean(axis=(1, 3, 5))[place]
        own = at["region"] == region
        assert own.sum() == len(mask) / 2
        np.testing.assert_array_equal(mask[own], share[own] > 0.5)
        assert 3 < mask[own].sum() < own.sum() / 2


def test_they_are_inverted_and_shown_on_the_images_again(patient, call, tmp_path):
    out = tmp_path / "obs.nc"
    assert imported(call, patient, out).exit_code == 0
    run(call, "check", out)
    known = ("problem.masks.whole=0.2", "problem.masks.core=0.6", "problem.time.steps=20")
    words = [w for k in known for w in ("--set", k)]
    run(call, "invert", out, "--engine", "map", "--seed", 3, *words, "--out", tmp_path / "map.nc")
    run(call, "export", tmp_path / "map.nc", "--nifti", tmp_path / "found.nii.gz")
    found, white = nib.load(tmp_path / "found.nii.gz"), nib.load(patient / "white.nii.gz")
    np.testing.assert_allclose(found.affine, white.affine)
    run(call, "export", patient / "truth.nc", "--nifti", tmp_path / "true.nii.gz")
    a, b = (nib.load(tmp_path / f"{n}.nii.gz").get_fdata() > 0.2 for n in ("found", "true"))
    assert 2 * (a & b).sum() / (a.sum() + b.sum()) > 0.9
    words = ("--truth", patient / "truth.nc", "--out", tmp_path / "figure.png")
    run(call, "plot", tmp_path / "map.nc", *words)


def test_pet_stands_beside_the_masks(patient, call, tmp_path):
    density = nib.load(patient / "last" / "density.nii.gz")
    noise = 0.02 * np.random.default_rng(0).standard_normal(density.shape)
    uptake = 3.0 * (0.2 + 0.9 * density.get_fdata() + noise)  # in other units, by any scanner
    nib.save(nib.Nifti1Image(uptake, density.affine), tmp_path / "pet.nii.gz")
    out = tmp_path / "obs.nc"
    assert imported(call, patient, out, "--pet", tmp_path / "pet.nii.gz").exit_code == 0
    values, at, _ = columns(out)
    of_pet = at["region"] == 3
    assert of_pet.sum() == len(values) / 3
    assert set(np.unique(values[~of_pet])) == {0, 1}
    assert 0.1 < values[of_pet].min() < 0.3
    assert 0.8 < values[of_pet].max() < 1.1
    run(call, "check", out)
    known = ("problem.masks.whole=0.2", "problem.masks.core=0.6", "problem.time.steps=20",
             "problem.pet.noise=0.05")  # fmt: skip
    words = [w for k in known for w in ("--set", k)]
    run(call, "invert", out, "--engine", "map", "--seed", 3, *words, "--out", tmp_path / "map.nc")
    found = xr.open_datatree(tmp_path / "map.nc")["posterior"].to_dataset().mean()
    ratio = float(found["pet_gain"] / found["pet_background"])
    assert ratio == pytest.approx(0.9 / 0.2, rel=0.1)
    truth = xr.open_datatree(patient / "truth.nc")["unknown"].to_dataset()
    assert float(found["growth_rate"]) == pytest.approx(float(truth["growth_rate"]), rel=0.15)


def test_a_slice_is_imported_as_a_plane(call, tmp_path):
    tissue = 'kind = "homogeneous"'
    text = TABLES.format(tissue=tissue).replace("cells = [16, 14, 12]", "cells = [24, 20]")
    text = text.replace("[problem.time]", "lengths = [96.0, 80.0]\n[problem.time]")
    (tmp_path / "plane.toml").write_text(text)
    run(call, "solve", "--config", tmp_path / "plane.toml", "--out", tmp_path / "truth.nc")
    run(call, "export", tmp_path / "truth.nc", "--nifti", tmp_path / "out", *THRESHOLDS)
    maps = [w for k in ("white", "grey") for w in (f"--{k}", tmp_path / "out" / f"{k}.nii.gz")]
    source, obs = tmp_path / "out" / "segmentation.nii.gz", tmp_path / "obs.nc"
    run(call, "import", "tumor", "nifti", source, *maps, "--labels", "brats", "--out", obs)
    mask, at, _ = columns(obs)
    assert set(at) == {"x", "y", "t", "region"}
    assert len(mask) == 2 * 24 * 20
    assert mask.sum() > 10
    run(call, "check", obs)


def test_two_scans_are_one_file(patient, call, tmp_path):
    more = ("--scan", patient / "first" / "segmentation.nii.gz", "--time", 100, "--time", 75)
    assert imported(call, patient, tmp_path / "obs.nc", *more).exit_code == 0
    mask, at, times = columns(tmp_path / "obs.nc")
    assert set(times) == {75, 100}
    whole = [mask[(times == t) & (at["region"] == 1)].sum() for t in (75, 100)]
    assert 0 < whole[0] < whole[1]
    attrs = xr.open_dataset(tmp_path / "obs.nc").attrs
    for name in ("white", "grey", "first/segmentation", "last/segmentation"):
        assert f"{name}.nii.gz:sha256=" in attrs["pdeinv_inputs"]
    run(call, "check", tmp_path / "obs.nc")


def test_a_cavity_is_not_observed(patient, call, tmp_path):
    image = nib.load(patient / "last" / "segmentation.nii.gz")
    labels = np.where(image.get_fdata() == 4, 3, image.get_fdata())
    whole = np.argwhere(labels == 3)
    labels[tuple(whole[: len(whole) // 2].T)] = 4
    made = nib.Nifti1Image(labels.astype(np.uint8), image.affine)
    nib.save(made, tmp_path / "post.nii.gz")
    assert imported(call, patient, tmp_path / "all.nc").exit_code == 0
    words = words_of(patient, labels=None)
    run(call, "import", "tumor", "nifti", tmp_path / "post.nii.gz", *words,
        "--out", tmp_path / "post.nc")  # fmt: skip
    before, after = (columns(tmp_path / f"{n}.nc")[0] for n in ("all", "post"))
    assert len(after) < len(before)


def seg(folder, values, codes="LPS", affine=None):
    return stored(folder / "s.nii.gz", values, affine_of((2, 2, 2)) if affine is None else affine,
                  codes, dtype=np.uint8)  # fmt: skip


def corner(value):
    found = np.zeros((32, 28, 24))
    found[:5, :5, :5] = value
    return found


def partly():
    """Oedema that reaches out of the brain."""
    found = np.zeros((32, 28, 24))
    found[:14, 10:20, 10:16] = 2
    return found


def inner():
    """A core with oedema around it, in tissue."""
    found = np.zeros((32, 28, 24))
    found[6:9, 17, 11:13] = 2
    found[7, 17, 11] = 4
    return found


def speck():
    """A core of one voxel, in tissue."""
    found = np.zeros((32, 28, 24))
    found[7, 17, 11] = 4
    return found


REFUSED = {
    "smaller than a voxel": (
        lambda d: seg(d, speck()), (), "the tumor of 100 d fills no data voxel by a half; give a",
    ),
    "outside of the brain": (lambda d: seg(d, corner(2)), (), "100 % of the tumor lies outside"),
    "unknown labels": (lambda d: seg(d, corner(9)), (), "holds the labels 9; brats has 1 necrosis"),
    "other voxels": (lambda d: seg(d, np.ones((16, 14, 12))), (), "has 16 x 14 x 12 voxels"),
    "another place": (
        lambda d: seg(d, inner(), affine=affine_of((2, 2, 2)) + np.eye(4, 4, 3) * 4), (),
        "lies elsewhere than",
    ),
    "several volumes": (
        lambda d: seg(d, np.stack([inner()] * 2, -1)), (), "expected one volume",
    ),
    "fine voxels": (lambda d: seg(d, inner()), ("--voxel", 1), "from that of the image's voxels"),
    "coarse voxels": (lambda d: seg(d, inner()), ("--voxel", 30), "to half of the box, 24 mm"),
    "a scan without a time": (
        lambda d: seg(d, inner()), ("--scan", "x.nii"), "once for each of 2 segmentations, got 0",
    ),
    "two scans of a day": (
        lambda d: seg(d, inner()), ("--scan", "x.nii", "--time", 9, "--time", 9), "the same day",
    ),
    "a missing scan": (
        lambda d: seg(d, inner()), ("--scan", "x.nii", "--time", 9, "--time", 8),
        "no such file: x.nii",
    ),
    "missing": (lambda d: d / "none.nii.gz", (), "no such file"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_data_is_refused(patient, call, tmp_path, name):
    make, more, text = REFUSED[name]
    source, out = make(tmp_path), tmp_path / "obs.nc"
    done = call("import", "tumor", "nifti", source, *words_of(patient, *more), "--out", out)
    assert done.exit_code == 2, done.stderr
    assert text in done.stderr
    assert done.stderr.count("\n") == 1
    assert "PosixPath" not in done.stderr
    assert not out.exists()


def test_flags_that_are_missing_are_named(patient, call, tmp_path):
    done = imported(call, patient, tmp_path / "o.nc", labels=None)
    assert done.exit_code == 2
    assert "fit brats: 1 necrosis, 2 oedema, 4 enhancing; brats2024-post:" in done.stderr
    source = patient / "last" / "segmentation.nii.gz"
    done = call("import", "tumor", "nifti", source, "--out", tmp_path / "o.nc")
    assert done.exit_code == 2
    assert "--white: field required" in done.stderr


@pytest.mark.filterwarnings("default")
def test_a_tumor_partly_outside_is_told(patient, call, tmp_path):
    out = tmp_path / "obs.nc"
    source = seg(tmp_path, partly())
    done = run(call, "import", "tumor", "nifti", source, *words_of(patient), "--out", out)
    assert "% of the tumor lies outside of white and grey matter, where there are no data" in (
        done.stderr
    )
    assert "s.nii.gz holds no core" in done.stderr


def test_other_maps_end_a_run_that_goes_on(patient, call, tmp_path):
    tissue = head(tmp_path)
    words = ("--white", tissue["white"], "--grey", tissue["grey"], "--labels", "brats")
    source, obs = patient / "last" / "segmentation.nii.gz", tmp_path / "obs.nc"
    run(call, "import", "tumor", "nifti", source, *words, "--out", obs)
    words = ("--engine", "pcn", "--seed", 1, "--out", tmp_path / "p.nc",
             "--set", "budget.n_forward=5", "--set", "problem.time.steps=4",
             "--set", "engine.searches=0")  # fmt: skip
    call("invert", obs, *words)
    (tmp_path / "p.nc").unlink(missing_ok=True)
    head(tmp_path, scale=100.0)
    done = call("invert", obs, *words, "--resume")
    assert done.exit_code == 2
    assert "white.nii.gz" in done.stderr
    assert json.loads(call("info", obs, "--json").stdout)["kind"] == "observations"


def test_voxels_count_by_how_far_contours_are_off(patient, call, tmp_path):
    """The share is that of the formula, for the voxels, and plain for contours that are exact."""
    found = {}
    for name, more in {
        "usual": (),
        "coarse": ("--voxel", 6),
        "worse": ("--contour-sd", 3, "--contour-length", 16),
        "exact": ("--contour-sd", 0),
    }.items():
        assert imported(call, patient, tmp_path / f"{name}.nc", *more).exit_code == 0
        config = pdeinv.load(tmp_path / f"{name}.nc").attrs["pdeinv_problem_config"]
        found[name] = tomllib.loads(config)["masks"]
    softness, edge = found["usual"]["softness_mm"]["median"], 4.0
    assert softness == pytest.approx(fitting_softness(1.5), rel=1e-2)
    wanted = effective_share(edge, 1.5, 8.0, 1 / softness)
    assert found["usual"]["share"] == pytest.approx(wanted, rel=1e-2)
    assert found["coarse"]["share"] == pytest.approx(wanted * (6 / edge) ** 3, rel=2e-2)
    assert found["worse"]["share"] == pytest.approx(wanted / 8, rel=2e-2)  # twice as far and long
    assert found["exact"] == {**found["exact"], "share": 1.0, "softness": 0.05}
