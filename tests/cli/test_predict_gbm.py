"""``pdeinv invert --predict-gbm``: folders of patients in, one density for each out."""

import json
import shutil

import nibabel as nib
import numpy as np
import pytest
from heads import affine_of, head, stored

QUICK = ("--set", "problem.time.steps=8", "--set", "engine.max_iterations=5",
         "--set", "problem.masks.share=0.1", "--seed", 1)  # fmt: skip


def patient(folder, number, codes="LPS"):
    """One whose tumor is a ball of oedema with a core in it."""
    home = folder / f"Patient-{number}"
    home.mkdir(parents=True)
    head(home, codes=codes)
    for name, short in (("white", "wm"), ("grey", "gm")):
        shutil.move(home / f"{name}.nii.gz", home / f"{number}-{short}.nii.gz")
    axes = [2.0 * (np.arange(n) + 0.5) for n in (32, 28, 24)]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    away = np.sqrt((x - 24) ** 2 + (y - 38) ** 2 + (z - 24) ** 2)
    labels = np.where(away < 4, 3, np.where(away < 8, 2, 0))
    stored(home / f"{number}-tumorseg.nii.gz", labels, affine_of((2, 2, 2)), codes, np.uint8)
    return home


@pytest.fixture(scope="module", name="cohort")
def _cohort(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cohort") / "in"
    for number, codes in (("00000", "LPS"), ("00007", "SAR")):
        patient(folder, number, codes)
    return folder


@pytest.mark.filterwarnings("default")
def test_each_patient_gets_a_density_on_its_own_voxels(cohort, call, tmp_path):
    out = tmp_path / "out"
    words = ("invert", "--predict-gbm", cohort, "--out", out, *QUICK)
    done = call(*words, "--json")
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)["patients"]
    assert [row["patient"] for row in told] == ["00000", "00007"]
    assert sorted(p.name for p in out.iterdir() if p.suffix == ".gz") == [
        "00000.nii.gz", "00007.nii.gz"
    ]  # fmt: skip
    for number in ("00000", "00007"):
        density = nib.load(out / f"{number}.nii.gz")
        home = cohort / f"Patient-{number}"
        white, seg = (nib.load(home / f"{number}-{n}.nii.gz") for n in ("wm", "tumorseg"))
        assert density.shape == white.shape
        np.testing.assert_allclose(density.affine, white.affine)
        c, whole = density.get_fdata(), seg.get_fdata() > 0
        assert c[whole].mean() > 10 * c[~whole].mean()
    (out / "00007.nii.gz").unlink()  # as if it had been stopped before
    held = (out / "00000.nii.gz").read_bytes()
    again = call(*words, "--json")
    assert [row["patient"] for row in json.loads(again.stdout)["patients"]] == ["00007"]
    assert "1 densities are there and stay as they are" in again.stderr
    assert (out / "00000.nii.gz").read_bytes() == held
    done = call(*words, "--overwrite", "--dry-run", "--json")
    assert json.loads(done.stdout)["patients"] == "00000, 00007"
    done = call(*words, "--overwrite", "--fail-unconverged")
    assert done.exit_code == 3


def whole(folder):
    """Nothing is missing."""


def without(folder, name):
    next(folder.rglob(f"*{name}*")).unlink()


def other_labels(folder):
    path = next(folder.rglob("*tumorseg*"))
    image = nib.load(path)
    values = np.round(np.asarray(image.dataobj)).astype(np.uint8)
    nib.save(nib.Nifti1Image(np.where(values == 3, 4, values), image.affine), path)


REFUSED = {
    "labels of another convention": (
        other_labels, (), "'pdeinv import tumor nifti', by which this patient"
    ),
    "no patient": (lambda d: shutil.rmtree(d / "Patient-00000"), (), "holds no patient"),
    "no folder": (shutil.rmtree, (), "is not there; expected a folder of patients"),
    "no white matter": (lambda d: without(d, "wm"), (), "no such file"),
    "no PET": (whole, ("--set", "problem.pet.noise=0.2"), "no such file"),
    "a file besides": (whole, ("obs.nc",), "reads its own data; leave out the file"),
    "to resume": (whole, ("--resume",), "reads its own data"),
    "an output that is a file": (
        lambda d: (d.parent / "out").write_text("x"), (), "expected a folder, which need not exist"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_set_of_patients_is_refused(call, tmp_path, name):
    spoil, more, text = REFUSED[name]
    source = tmp_path / "in"
    patient(source, "00000")
    spoil(source)
    done = call("invert", *more, "--predict-gbm", source, "--out", tmp_path / "out", *QUICK)
    assert done.exit_code == 2
    assert text in done.stderr
    assert not (tmp_path / "out").is_dir()


@pytest.mark.filterwarnings("default")
def test_a_set_with_a_fault_is_refused_as_a_whole(call, tmp_path):
    source = tmp_path / "in"
    patient(source, "00000")
    home = patient(source, "00001")
    stored(home / "00001-gm.nii.gz", np.ones((32, 28, 20)), affine_of((2, 2, 2)))
    done = call("invert", "--predict-gbm", source, "--out", tmp_path / "out", *QUICK)
    assert done.exit_code == 2
    assert "00001-gm.nii.gz has 32 x 28 x 20 voxels" in done.stderr
    assert not (tmp_path / "out").exists()
