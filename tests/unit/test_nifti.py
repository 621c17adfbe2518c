"""NIfTI images: any order of axes is read alike and written as it was; what is none is refused."""

import gzip

import nibabel as nib
import numpy as np
import pytest

from pdeinv.errors import DataSchemaError
from pdeinv.io.marks import written_by_pdeinv
from pdeinv.io.nifti import read_grid, read_volume, write_volume
from pdeinv.io.voxel_grid import VoxelGrid

VALUES = np.random.default_rng(0).random((4, 5, 6)).astype(np.float32)
AFFINE = np.array([[1.0, 0, 0, -7], [0, 2, 0, -3], [0, 0, 3, 5], [0, 0, 0, 1]])
OBLIQUE = nib.affines.from_matvec(
    nib.eulerangles.euler2mat(0.3, 0.2, -0.4) @ np.diag([1.0, 2.0, 3.0]), [4, 5, 6]
)


PLACE = {
    "dim": (40, "<i2"),
    "datatype": (70, "<i2"),
    "pixdim": (80, "<f4"),
    "codes": (252, "<i2"),
    "srow": (280, "<f4"),
}
"""Where numbers stand in the header."""


def image(path, values=VALUES, affine=AFFINE, **header):
    """An image, with numbers in its header that nibabel would not write."""
    nib.Nifti1Image(values, affine).to_filename(path)
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rb") as file:
        data = file.read()
    for key, numbers in header.items():
        at, kind = PLACE[key]
        put = np.array(numbers, kind).tobytes()
        data = data[:at] + put + data[at + len(put) :]
    with opened(path, "wb") as file:
        file.write(data)
    return path


def turned(path, codes, affine=AFFINE):
    """The same voxels stored in another order."""
    base, ornt = nib.Nifti1Image(VALUES, affine), nib.orientations
    turn = ornt.ornt_transform(nib.io_orientation(affine), ornt.axcodes2ornt(codes))
    nib.save(base.as_reoriented(turn), path)
    return path


@pytest.mark.parametrize("affine", [AFFINE, OBLIQUE], ids=["straight", "oblique"])
@pytest.mark.parametrize("codes", ["RAS", "LPS", "PIR", "SAL", "IRP"])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_any_order_is_read_alike_and_written_as_it_was(tmp_path, codes, suffix, affine):
    path = turned(tmp_path / f"stored{suffix}", codes, affine)
    found = read_volume(path)
    np.testing.assert_array_equal(found.values, VALUES)
    np.testing.assert_allclose(found.grid.canonical, affine, atol=1e-6)
    np.testing.assert_allclose(found.grid.sides, (1, 2, 3), atol=1e-6)
    assert found.note == ""
    write_volume(tmp_path / f"again{suffix}", found.values, found.grid)
    stored, again = nib.load(path), nib.load(tmp_path / f"again{suffix}")
    np.testing.assert_array_equal(again.get_fdata(), stored.get_fdata())
    np.testing.assert_allclose(again.affine, stored.affine, atol=1e-6)
    for name in ("qform_code", "sform_code"):
        assert again.header[name] == stored.header[name], name
    np.testing.assert_allclose(again.header.get_zooms(), stored.header.get_zooms())
    assert written_by_pdeinv(tmp_path / f"again{suffix}")
    assert not written_by_pdeinv(path)


def test_the_box_begins_at_the_outer_corner_of_the_first_voxel(tmp_path):
    grid = read_grid(image(tmp_path / "a.nii"))
    np.testing.assert_allclose(grid.box_to_world @ [0, 0, 0, 1], [-7.5, -4, 3.5, 1])
    np.testing.assert_allclose(grid.box_to_world @ [0.5, 1, 1.5, 1], [-7, -3, 5, 1])


@pytest.mark.parametrize(("unit", "scale"), [("meter", 1e-3), ("micron", 1e3), ("unknown", 1.0)])
def test_units_of_the_header_are_honoured_and_kept(tmp_path, unit, scale):
    made = nib.Nifti1Image(VALUES, np.diag([scale, scale, scale, 1]) @ AFFINE)
    made.header.set_xyzt_units(unit)
    nib.save(made, tmp_path / "a.nii")
    found = read_volume(tmp_path / "a.nii")
    np.testing.assert_allclose(found.grid.sides, (1, 2, 3), rtol=1e-6)
    write_volume(tmp_path / "b.nii", found.values, found.grid)
    again = nib.load(tmp_path / "b.nii")
    np.testing.assert_allclose(again.affine, made.affine, rtol=1e-6)
    assert again.header.get_xyzt_units()[0] == unit


def test_slope_and_intercept_are_applied(tmp_path):
    header = nib.Nifti1Header()
    header.set_data_dtype(np.int16)
    made = nib.Nifti1Image((100 * VALUES).astype(np.int16), AFFINE, header)
    made.header.set_slope_inter(0.01, 0.5)
    nib.save(made, tmp_path / "a.nii")
    np.testing.assert_allclose(
        read_volume(tmp_path / "a.nii").values, nib.load(tmp_path / "a.nii").get_fdata()
    )
    assert read_volume(tmp_path / "a.nii").values.min() >= 0.5


@pytest.mark.parametrize("order", [">", "<"])
def test_either_order_of_bytes_is_read(tmp_path, order):
    header = nib.Nifti1Header(endianness=order)
    header.set_data_dtype(np.float32)
    nib.Nifti1Image(VALUES, AFFINE, header).to_filename(tmp_path / "a.nii")
    np.testing.assert_array_equal(read_volume(tmp_path / "a.nii").values, VALUES)


def test_nifti_2_is_read(tmp_path):
    nib.Nifti2Image(VALUES, AFFINE).to_filename(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(read_volume(tmp_path / "a.nii.gz").values, VALUES)


def test_a_slice_has_two_axes_and_a_volume_of_one_time_is_a_volume(tmp_path):
    assert read_grid(image(tmp_path / "a.nii", VALUES[:, :, :1])).axes == (0, 1)
    assert read_grid(image(tmp_path / "b.nii", VALUES[:1])).axes == (1, 2)
    found = read_volume(image(tmp_path / "c.nii", VALUES[..., None]))
    assert found.values.shape == (4, 5, 6)


def placed(path, qform, sform, codes=(1, 4)):
    made = nib.Nifti1Image(VALUES, sform)
    made.set_qform(qform, codes[0])
    made.set_sform(sform, codes[1])
    nib.save(made, path)
    return path


def test_the_sform_is_taken_where_the_qform_differs_and_both_are_kept(tmp_path):
    moved = AFFINE + np.outer([1, 0, 0, 0], [0, 0, 0, 20])
    found = read_volume(placed(tmp_path / "a.nii", AFFINE, moved))
    np.testing.assert_allclose(found.grid.affine, moved)
    assert found.note == "a.nii: qform and sform differ; the sform is taken"
    write_volume(tmp_path / "b.nii", found.values, found.grid)
    again = nib.load(tmp_path / "b.nii")
    np.testing.assert_allclose(again.get_qform(), AFFINE)
    assert [int(again.header[k]) for k in ("qform_code", "sform_code")] == [1, 4]
    same = read_volume(placed(tmp_path / "c.nii", AFFINE, AFFINE))
    assert same.note == ""


@pytest.mark.parametrize("codes", [(1, 0), (0, 1), (2, 4)])
@pytest.mark.parametrize("flip", [1, -1])
def test_one_form_is_enough_and_may_turn_left_and_right(tmp_path, codes, flip):
    affine = np.diag([flip, 1.0, 1, 1]) @ AFFINE
    found = read_volume(placed(tmp_path / "a.nii", affine, affine, codes))
    np.testing.assert_array_equal(found.values, VALUES[::flip])
    np.testing.assert_allclose(found.grid.affine, affine, atol=1e-6)
    assert found.note == ""


def test_an_image_without_a_place_is_read_with_a_note(tmp_path):
    found = read_volume(image(tmp_path / "a.nii", codes=[0, 0]))
    assert found.note.startswith("a.nii does not say how it lies in the world")


def test_a_template_is_no_head(tmp_path):
    wide = np.diag([1.2, 1.2, 1.2, 1]) @ AFFINE
    path = placed(tmp_path / "a.nii", AFFINE, wide)
    with pytest.raises(DataSchemaError, match=r"makes voxels of 1.2 x 2.4 x 3.6 mm.*1 x 2 x 3 mm"):
        read_volume(path)
    sheared = AFFINE + np.outer([1, 0, 0, 0], [0, 0.4, 0, 0])
    with pytest.raises(DataSchemaError, match="shears the head"):
        read_volume(placed(tmp_path / "b.nii", AFFINE, sheared))


def cut(path, end):
    path.write_bytes(path.read_bytes()[:end])
    return path


BAD = {
    "missing": (lambda d: d / "no.nii", "no such file"),
    "a folder": (lambda d: d, "is a folder"),
    "text": (lambda d: (d / "a.nii").write_text("hello" * 200) and d / "a.nii", "is no NIfTI"),
    "empty": (lambda d: cut(image(d / "a.nii"), 0), "is no NIfTI"),
    "gzip of text": (
        lambda d: (d / "a.nii.gz").write_bytes(gzip.compress(b"x" * 999)) and d / "a.nii.gz",
        "is no NIfTI",
    ),
    "gzip cut short": (lambda d: cut(image(d / "a.nii.gz"), -40), "is cut short or damaged"),
    "checksum cut off": (lambda d: cut(image(d / "a.nii.gz"), -3), "is cut short or damaged"),
    "cut short": (lambda d: cut(image(d / "a.nii"), -40), "it may be cut short"),
    "several volumes": (
        lambda d: image(d / "a.nii", np.stack([VALUES, VALUES], -1)),
        "holds 4 dimensions, 4 x 5 x 6 x 2; expected one volume",
    ),
    "NaN": (lambda d: image(d / "a.nii", np.where(VALUES > 0.5, np.nan, VALUES)), "are NaN"),
    "complex": (
        lambda d: image(d / "a.nii", VALUES.astype(np.complex64)), "holds complex64 numbers",
    ),
    "colours": (
        lambda d: image(d / "a.nii", np.zeros((4, 5, 6), [(c, "u1") for c in "RGB"])),
        "holds RGB colours",
    ),
    "too large": (
        lambda d: image(d / "a.nii.gz", dim=[3, 30000, 30000, 30000, 1, 1, 1, 1]),
        "declares 108 TB, which a file of",
    ),
    "no voxels": (
        lambda d: image(d / "a.nii", dim=[3, 0, 5, 6, 1, 1, 1, 1]), "declares no voxels",
    ),
    "flat voxels": (
        lambda d: image(d / "a.nii", srow=[0, 0, 0, 0]), "has voxels without volume",
    ),
    "voxels of no size": (
        lambda d: image(d / "a.nii", pixdim=[np.nan, 0, 3]), "its header .pixdim. says nan x 0 x 3",
    ),
    "no such type": (lambda d: image(d / "a.nii", datatype=[7]), "cannot be read as a NIfTI image"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_image_is_refused_in_one_line(tmp_path, name):
    make, text = BAD[name]
    with pytest.raises(DataSchemaError, match=text) as error:
        read_volume(make(tmp_path))
    assert "\n" not in str(error.value)


def test_phantoms_have_plain_voxels(tmp_path):
    grid = VoxelGrid.plain((4, 5, 6), (1.0, 2.0, 3.0))
    write_volume(tmp_path / "a.nii.gz", VALUES > 0.5, grid)
    found = nib.load(tmp_path / "a.nii.gz")
    np.testing.assert_allclose(np.diag(found.affine), [1, 2, 3, 1])
    np.testing.assert_allclose(found.affine[:3, 3], [0.5, 1, 1.5])
    assert found.get_data_dtype() == np.uint8
    np.testing.assert_allclose(grid.box_to_world, np.eye(4), atol=1e-12)
