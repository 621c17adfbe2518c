"""Published MATLAB files: the tests write some of their shape, and bad ones."""

import numpy as np
import pytest
from eit_frames import carried, dipoles, read, voltages
from scipy import sparse
from scipy.io import savemat

from pdeinv.errors import DataSchemaError
from pdeinv.problems.eit.setup.presets import ktc_drives, ktc_measurements


def kit4_fields():
    """16 electrodes, adjacent and all-against-one drives, adjacent measurements, as published."""
    pairs = [(k, (k + 1) % 16) for k in range(16)]
    against = [(k, 0) for k in range(1, 16)]
    drives, pattern = dipoles(pairs + against, 16, 2.0), dipoles(pairs, 16)
    return {
        "CurrentPattern": drives.T,
        "MeasPattern": pattern.T,
        "Uel": voltages(drives, pattern).T,
    }


def ktc_fields():
    drives = dipoles(ktc_drives(), 32)
    pattern = dipoles(ktc_measurements(), 32)
    voltage = voltages(drives, pattern)
    return {"Inj": drives.T, "Mpat": pattern.T, "Uel": voltage.reshape(-1, 1)}


def test_kit4_files(tmp_path):
    path = tmp_path / "datamat_1_0.mat"
    savemat(path, kit4_fields())
    found = read("kit4", path, current_unit="mA", thickness=0.07)
    np.testing.assert_array_equal(found["voltage"], kit4_fields()["Uel"].T)
    assert np.abs(found["current"]).max() == 2e-3
    assert found["electrode_x"].values[0] == pytest.approx(0, abs=1e-12)
    assert found["electrode_y"].values[0] == pytest.approx(0.14)
    assert found["electrode_x"].values[1] > 0
    assert found["electrode_width"].values[0] == 0.025
    assert carried(found)["thickness"] == 0.07


def test_ktc_files_with_their_reference(tmp_path):
    data, ref = tmp_path / "data1.mat", tmp_path / "ref.mat"
    fields = ktc_fields()
    savemat(data, {"Uel": 1.1 * fields["Uel"]})
    savemat(ref, {"Injref": fields["Inj"], "Mpat": fields["Mpat"], "Uelref": fields["Uel"]})
    found = read("ktc2023", data, reference=ref, reference_conductivity=1.0)
    assert dict(found.sizes) == {"injection": 76, "measurement": 31, "electrode": 32}
    np.testing.assert_allclose(found["voltage"], 0.1 * found["voltage_reference"])
    np.testing.assert_array_equal(found["voltage_reference"].values.reshape(-1, 1), fields["Uel"])
    with pytest.raises(DataSchemaError, match="field 'Inj' or 'Injref' is missing; the file has"):
        read("ktc2023", data)
    empty = read("ktc2023", ref)
    np.testing.assert_array_equal(empty["voltage"], found["voltage_reference"])


@pytest.mark.parametrize(("level", "shape"), [(1, (76, 31)), (2, (56, 29)), (7, (27, 19))])
def test_ktc_levels_leave_electrodes_out(tmp_path, level, shape):
    path = tmp_path / "data.mat"
    fields = ktc_fields()
    savemat(path, fields)
    found = read("ktc2023", path, level=level)
    assert found.sizes["electrode"] == 32
    assert found["voltage"].shape == shape
    assert shape == (len(ktc_drives(level)), len(ktc_measurements(level)))
    lost = slice(0, 2 * (level - 1))
    assert (found["current"].values[:, lost] == 0).all()
    assert (found["measurement_pattern"].values[:, lost] == 0).all()
    short = {**fields, "Uel": found["voltage"].values.reshape(-1, 1)}
    savemat(path, short)
    np.testing.assert_array_equal(read("ktc2023", path, level=level)["voltage"], found["voltage"])


def test_a_ktc_level_whose_file_holds_nan_for_the_rest(tmp_path):
    path, fields = tmp_path / "data.mat", ktc_fields()
    table = fields["Uel"].reshape(76, 31).copy()
    table[:, :4] = np.nan
    table[(fields["Inj"].T[:, :4] != 0).any(axis=1)] = np.nan
    savemat(path, {**fields, "Uel": table.reshape(-1, 1)})
    assert read("ktc2023", path, level=3).sizes["measurement"] == 27
    with pytest.warns(UserWarning, match=r"data.mat: \d+ of \d+ voltages are NaN and count as not"):
        found = read("ktc2023", path, level=2)
    assert np.isfinite(found["voltage"]).sum() == np.isfinite(table).sum()


def _without(name):
    return lambda f: {k: v for k, v in f.items() if k != name}


BAD_MATLAB = {
    "no Uel": (_without("Uel"), "field 'Uel' is missing; the file has CurrentPattern, MeasPattern"),
    "no patterns": (_without("CurrentPattern"), "field 'CurrentPattern' is missing"),
    "text": (lambda f: {**f, "Uel": "abc"}, "field 'Uel' must be a matrix of numbers"),
    "fewer voltages": (
        lambda f: {**f, "Uel": f["Uel"][:, :-1]},
        "16 x 30 voltages for 31 injections of 16 measurements; expected 16 x 31, or a column",
    ),
    "electrodes differ": (
        lambda f: {**f, "MeasPattern": f["MeasPattern"][:-1]},
        "currents for 16 electrodes, but measurements for 15",
    ),
    "inf": (
        lambda f: {**f, "Uel": np.where(np.arange(31) == 2, np.inf, f["Uel"])},
        "16 voltages are not finite, the first at measurement 1 of injection 3",
    ),
    "currents": (
        lambda f: {**f, "CurrentPattern": np.abs(f["CurrentPattern"])},
        "the currents of injection 1 sum to 4; expected them to sum to zero",
    ),
    "no current": (
        lambda f: {**f, "CurrentPattern": 0 * f["CurrentPattern"]},
        "the currents of injection 1 are all zero",
    ),
}


@pytest.mark.parametrize("name", BAD_MATLAB)
def test_bad_matlab(tmp_path, name):
    change, text = BAD_MATLAB[name]
    path = tmp_path / "bad.mat"
    savemat(path, change(kit4_fields()))
    with pytest.raises(DataSchemaError) as error:
        read("kit4", path)
    assert text in str(error.value)


def test_files_that_are_not_matlab(tmp_path):
    path = tmp_path / "bad.mat"
    savemat(path, kit4_fields())
    whole = path.read_bytes()
    hdf = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM" + bytes(512)
    damaged = "is no MATLAB file, or is damaged"
    cases = {b"": damaged, b"hello" * 50: damaged, whole[:700]: damaged, hdf: "7.3 file; save it"}
    for content, text in cases.items():
        path.write_bytes(content)
        with pytest.raises(DataSchemaError) as error:
            read("kit4", path)
        assert text in str(error.value)
    with pytest.raises(DataSchemaError, match="no such file"):
        read("kit4", tmp_path / "none.mat")


def test_a_field_that_declares_more_than_its_file_can_hold(tmp_path):
    """A sparse matrix without entries takes no room in a file, and any in memory."""
    path = tmp_path / "bomb.mat"
    fields = kit4_fields()
    savemat(path, {**fields, "Uel": sparse.csc_array((10**5, 10**6))})
    with pytest.raises(DataSchemaError, match=r"field 'Uel' declares 800 GB, which a file of"):
        read("kit4", path)


def test_patterns_of_the_challenge_that_do_not_fit(tmp_path):
    path, fields = tmp_path / "bad.mat", ktc_fields()
    savemat(path, {**fields, "Inj": fields["Inj"][:1]})
    with pytest.raises(DataSchemaError, match="currents for 1 electrodes, but measurements for 32"):
        read("ktc2023", path)
    savemat(path, {**fields, "Inj": fields["Inj"][:4], "Mpat": fields["Mpat"][:4]})
    with pytest.raises(DataSchemaError, match="4 electrodes, fewer than level 7 leaves out"):
        read("ktc2023", path, level=7)
