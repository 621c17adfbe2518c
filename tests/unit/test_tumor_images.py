"""Tissue from medical images: one head in any voxels, order and scale is one brain."""

import nibabel as nib
import numpy as np
import pytest
from heads import LENGTHS, affine_of, fractions, head, stored

from pdeinv.config import parse
from pdeinv.errors import DataSchemaError
from pdeinv.problems.tumor import Tumor, TumorConfig
from pdeinv.problems.tumor.grids import voxels
from pdeinv.problems.tumor.maps import averaged
from pdeinv.provenance import files_of


def made(tissue, **table):
    table = {"solver": "finite-differences", "time": {"steps": 4}, **table}
    return Tumor(parse(TumorConfig, {"tissue": tissue, **table}, "problem"))


def test_the_box_and_its_voxels_come_from_the_image(tmp_path):
    problem = made(head(tmp_path))
    assert problem.config.lengths == LENGTHS
    assert problem.config.cells == (16, 14, 12)
    assert problem.axes == ("x", "y", "z")
    assert [p.name for p in files_of(problem.config)] == ["white.nii.gz", "grey.nii.gz"]


@pytest.fixture(scope="module", name="usual")
def _usual(tmp_path_factory):
    problem = made(head(tmp_path_factory.mktemp("usual")))
    return problem.tissue.over(voxels(problem.config, problem.tissue, 0).centres.axes)


ALIKE = {
    "flipped": {"codes": "LPS"},
    "axes swapped": {"codes": "PIR"},
    "in percent": {"scale": 100.0},
    "in bytes": {"scale": 255.0, "dtype": np.uint8},
    "scaled by the header": {"dtype": np.int16, "slope": 0.001},
    "voxels half as large": {"sides": (1.0, 1.0, 1.0)},
    "flat voxels": {"sides": (1.0, 1.0, 4.0), "codes": "SAL"},
}


@pytest.mark.parametrize("name", ALIKE)
def test_one_head_is_one_brain(tmp_path, usual, name):
    problem = made(head(tmp_path, **ALIKE[name]))
    assert problem.config.lengths == LENGTHS
    found = problem.tissue.over(voxels(problem.config, problem.tissue, 0).centres.axes)
    for part, same in zip(found, usual, strict=True):
        np.testing.assert_allclose(part, same, atol=0.04 if "voxels" in name else 0.003)


def test_coarse_voxels_hold_averages_and_fine_ones_lie_between(tmp_path):
    problem = made(head(tmp_path))
    white, _ = fractions((2.0, 2.0, 2.0))
    axes = tuple((np.arange(n / 4) + 0.5) * 4 for n in LENGTHS)
    coarse = problem.tissue.over(axes)[0].reshape([len(a) for a in axes[::-1]]).T
    blocks = white.reshape(16, 2, 14, 2, 12, 2).mean(axis=(1, 3, 5))
    np.testing.assert_allclose(coarse, blocks, atol=1e-6)
    own = (np.array([1.0, 3.0, 5.0]),)
    np.testing.assert_allclose(averaged(np.array([0.0, 1.0, 0.0]), own, own), [0, 1, 0])
    fine = (np.arange(0.5, 6.0),)
    found = averaged(np.array([0.0, 1.0, 0.0]), own, fine)
    np.testing.assert_allclose(found, [0, 0.25, 0.75, 0.75, 0.25, 0])


def test_a_slice_is_a_plane(tmp_path):
    white, grey = fractions((2.0, 2.0, 2.0))
    tissue = {"kind": "nifti"}
    for name, part in (("white", white), ("grey", grey)):
        path = stored(tmp_path / f"{name}.nii", part[:, 14:15], affine_of((2, 2, 2)))
        tissue[name] = str(path)
    problem = made(tissue)
    assert problem.axes == ("x", "y")
    assert problem.config.lengths == (LENGTHS[0], LENGTHS[2])
    inside = problem.mask(np.array([[32.0, 12.0], [1.0, 1.0]]))
    assert inside.tolist() == [True, False]


def test_a_tumor_grows_on_images(tmp_path):
    problem = made(head(tmp_path), cells=[16, 14, 12])
    m = np.array([0.5, 0.06, 32.0, 40.0, 24.0])
    fields = problem.solve(m, 0)
    assert 0.3 < float(fields["c"].max()) <= 1
    assert float((fields["white_matter"] + fields["grey_matter"]).min()) >= 0.5


def maps(folder, white=None, grey=None, **more):
    """Maps with one of them replaced."""
    parts = dict(zip(("white", "grey"), fractions((4.0, 4.0, 4.0)), strict=True))
    parts |= {k: v for k, v in (("white", white), ("grey", grey)) if v is not None}
    table = {"kind": "nifti", **more}
    for name, part in parts.items():
        table[name] = str(stored(folder / f"{name}.nii.gz", part, affine_of((4, 4, 4))))
    return table


ONE = np.ones((16, 14, 12))


def elsewhere(folder):
    table, moved = maps(folder), affine_of((4, 4, 4))
    moved[0, 3] += 3
    stored(folder / "grey.nii.gz", fractions((4.0, 4.0, 4.0))[1], moved)
    return table


BAD = {
    "no white matter": (lambda d: maps(d, 0 * ONE), "white.nii.gz holds no white matter"),
    "labels": (lambda d: maps(d, 3 * ONE), r"largest value is 3, which may be parts of 1, 100 or"),
    "two scales": (lambda d: maps(d, 255 * ONE), r"grey.nii.gz holds .* expected parts of 255"),
    "below zero": (lambda d: maps(d, grey=ONE - 1.5), "holds values from -0.5"),
    "another scale": (lambda d: maps(d, scale=255), "expected parts of 255"),
    "other voxels": (
        lambda d: maps(d, grey=np.ones((16, 14, 11))),
        r"grey.nii.gz has 16 x 14 x 11 voxels, .*white.nii.gz has 16 x 14 x 12; resample it",
    ),
    "another place": (elsewhere, "voxels of the same place are up to 0.75 voxels apart"),
    "two volumes": (lambda d: maps(d, np.stack([ONE, ONE], -1)), "expected one volume"),
    "a line": (lambda d: maps(d, ONE[:, :1, :1], ONE[:, :1, :1]), "is a line of voxels"),
    "missing": (lambda d: {**maps(d), "csf": "no.nii"}, "no such file: no.nii"),
}


@pytest.mark.parametrize("name", BAD)
def test_maps_that_are_none_are_refused(tmp_path, name):
    make, text = BAD[name]
    with pytest.raises(DataSchemaError, match=text) as error:
        _ = made(make(tmp_path)).tissue
    assert "\n" not in str(error.value)


def test_lengths_that_contradict_the_image_are_refused(tmp_path):
    problem = made(head(tmp_path), lengths=[64.0, 56.0, 60.0], cells=12)
    with pytest.raises(DataSchemaError, match="leave lengths out"):
        problem.prepare(0)
    made(head(tmp_path), lengths=LENGTHS, cells=12).prepare(0)


def test_csf_scales_down_what_adds_up_to_more_than_the_whole(tmp_path):
    table = maps(tmp_path, ONE, 0 * ONE)
    table["csf"] = str(stored(tmp_path / "csf.nii", ONE, affine_of((4, 4, 4))))
    white, grey = made(table).tissue(np.array([[32.0, 28.0, 24.0]]))
    assert (white, grey) == (pytest.approx(0.5), 0)


def test_what_is_odd_about_an_image_is_said(tmp_path):
    table = head(tmp_path)
    image = nib.load(table["white"])
    image.set_qform(image.affine + np.eye(4, 4, 3) * 9, 1)
    nib.save(image, tmp_path / "white.nii.gz")
    assert made(table).tissue.notes == ("white.nii.gz: qform and sform differ; the sform is taken",)
