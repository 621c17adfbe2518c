"""Tables of impedance measurements: what is read, and one clear line for each bad input."""

import numpy as np
import pytest
from eit_frames import CIRCLE, carried, dipoles, read, voltages

from pdeinv.errors import ConfigError, DataSchemaError

HEADER = "drive_plus,drive_minus,meas_plus,meas_minus,value"
N = 8
ADJACENT = [(k, (k + 1) % N) for k in range(N)]


def csv_lines(first=1, turn=(), size=2e-3):
    """Adjacent drives and measurements off the driven electrodes, numbered from ``first``."""
    table = voltages(dipoles(ADJACENT, N, size), dipoles(ADJACENT, N))
    lines = []
    for i, (a, b) in enumerate(ADJACENT):
        for m, (p, q) in enumerate(ADJACENT):
            if {a, b} & {p, q}:
                continue
            pair, value = ((q, p), -table[i, m]) if (i, m) in turn else ((p, q), table[i, m])
            numbers = ",".join(str(e + first) for e in (a, b, *pair))
            lines.append(f"{numbers},{float(value)!r}")
    return lines


def csv_file(folder, lines, header=HEADER):
    path = folder / "frame.csv"
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


OPTIONS = {"electrodes": N, "first_number": 1, "amplitude": 2e-3, **CIRCLE}


def expected():
    table = voltages(dipoles(ADJACENT, N, 2e-3), dipoles(ADJACENT, N))
    near = np.abs(dipoles(ADJACENT, N)) @ np.abs(dipoles(ADJACENT, N)).T
    return np.where(near > 0, np.nan, table)


def in_order(dataset, name="voltage"):
    """The voltages by adjacent pair, whatever order the file had them in."""
    rows = [int(np.argmax(row)) for row in dataset["current"].values]
    columns = [int(np.argmax(row)) for row in dataset["measurement_pattern"].values]
    out = np.full((N, N), np.nan, dtype=dataset[name].dtype)
    out[np.ix_(rows, columns)] = dataset[name].values
    return out


@pytest.mark.parametrize("first", [0, 1])
def test_csv_lines_become_a_matrix(tmp_path, first):
    path = csv_file(tmp_path, csv_lines(first))
    found = read("csv", path, **{**OPTIONS, "first_number": first})
    np.testing.assert_array_equal(in_order(found), expected())
    assert np.abs(found["current"]).max() == 2e-3
    assert found["voltage"].dims == ("injection", "measurement")
    assert found["current"].dims == ("injection", "electrode")
    assert found["measurement_pattern"].dims == ("measurement", "electrode")
    assert "voltage_sigma" not in found
    assert carried(found)["domain"] == {"kind": "disc", "radius": 0.1}
    assert carried(found)["drive"]["current"] == 2e-3


def test_csv_pairs_may_be_turned_and_lines_in_any_order(tmp_path):
    lines = csv_lines(turn={(2, 5), (0, 3)})[::-1]
    found = read("csv", csv_file(tmp_path, lines), **OPTIONS)
    assert found.sizes["measurement"] == N
    signs = np.sign(found["measurement_pattern"].values @ dipoles(ADJACENT, N).T)
    assert (np.abs(signs).sum() > 0).all()
    table = found["voltage"].values @ found["measurement_pattern"].values
    right = np.nan_to_num(expected()) @ dipoles(ADJACENT, N)
    rows = [int(np.argmax(row)) for row in found["current"].values]
    np.testing.assert_allclose(
        np.nan_to_num(found["voltage"].values) @ found["measurement_pattern"].values, right[rows]
    )
    assert table.shape == (N, N)


def test_csv_units_semicolons_and_comments(tmp_path):
    table = [line.split(",") for line in csv_lines()]
    lines = ["# a comment", *(";".join([*row[:4], str(1e3 * float(row[4]))]) for row in table)]
    path = csv_file(tmp_path, lines, HEADER.replace(",", ";").upper())
    found = read(
        "csv", path, **OPTIONS | {"amplitude": 2.0, "current_unit": "mA"}, voltage_unit="mV"
    )
    np.testing.assert_allclose(in_order(found), expected(), rtol=1e-14)
    assert np.abs(found["current"]).max() == 2e-3


def test_csv_columns_of_noise_and_current(tmp_path):
    lines = [f"{line},0.5,0.003" for line in csv_lines(size=3e-3)]
    path = csv_file(tmp_path, lines, HEADER + ",sigma,current")
    found = read("csv", path, electrodes=N, first_number=1, **CIRCLE)
    np.testing.assert_allclose(found["voltage_sigma"].values[np.isfinite(found["voltage"])], 0.5)
    assert np.abs(found["current"]).max() == 3e-3
    assert found["voltage"].attrs["ancillary_variables"] == "voltage_sigma"


@pytest.mark.parametrize("cell", ["nan", "NaN", "NA", ""])
def test_a_voltage_that_is_no_number_was_not_measured(tmp_path, cell):
    path = csv_file(tmp_path, _cell(2, 4, cell)(csv_lines()))
    with pytest.warns(UserWarning, match=r"frame.csv: 1 of 40 voltages are NaN and count as not"):
        found = read("csv", path, **OPTIONS)
    without = csv_lines()
    del without[2]
    expected = read("csv", csv_file(tmp_path, without), **OPTIONS)
    np.testing.assert_array_equal(in_order(found), in_order(expected))


def test_numbers_with_decimal_commas_between_semicolons(tmp_path):
    lines = [line.replace(",", ";").replace(".", ",") for line in csv_lines()]
    path = csv_file(tmp_path, lines, HEADER.replace(",", ";"))
    np.testing.assert_array_equal(in_order(read("csv", path, **OPTIONS)), expected())
    path = csv_file(tmp_path, [lines[0].replace(",", "."), *lines[1:]], HEADER.replace(",", ";"))
    with pytest.raises(
        DataSchemaError, match="decimal commas in line 3 and decimal points in line 2"
    ):
        read("csv", path, **OPTIONS)


def complex_file(folder, name, phase):
    """Voltages of a body whose phase is the same everywhere."""
    table = [line.rsplit(",", 1) for line in csv_lines()]
    rows = []
    for electrodes, text in table:
        value = float(text) * np.exp(1j * phase)
        pair = (value.real, value.imag) if name == "imag" else (float(text), np.rad2deg(phase))
        rows.append(f"{electrodes},{float(pair[0])!r},{float(pair[1])!r}")
    return csv_file(folder, rows, f"{HEADER},{name}")


@pytest.mark.parametrize("name", ["imag", "phase"])
def test_csv_complex_voltages(tmp_path, name):
    path = complex_file(tmp_path, name, -0.2)
    with pytest.raises(ConfigError, match="complex voltages; pass --frequency"):
        read("csv", path, **OPTIONS)
    found = read("csv", path, **OPTIONS, frequency=1e3)
    assert found["voltage"].dims == ("injection", "measurement", "component")
    real, imag = (in_order(found.isel(component=k)) for k in (0, 1))
    np.testing.assert_allclose(real + 1j * imag, expected() * np.exp(-0.2j), rtol=1e-12)
    np.testing.assert_array_equal(np.isnan(imag), np.isnan(expected()))
    assert carried(found)["frequency"] == 1e3


def test_a_phase_of_the_wrong_sign_is_told(tmp_path):
    path = complex_file(tmp_path, "phase", 0.2)
    with pytest.warns(UserWarning, match=r"frame.csv: imaginary part: .* the sign of the phase"):
        read("csv", path, **OPTIONS, frequency=1e3)


def test_noise_flags_write_sigma(tmp_path):
    path = csv_file(tmp_path, csv_lines())
    good = np.isfinite(read("csv", path, **OPTIONS)["voltage"].values)
    absolute = read("csv", path, **OPTIONS, noise_std=1e-5)["voltage_sigma"].values
    relative = read("csv", path, **OPTIONS, noise_rel=0.01)
    peak = np.nanmax(np.abs(relative["voltage"]))
    assert (absolute[good] == 1e-5).all()
    np.testing.assert_allclose(relative["voltage_sigma"].values[good], 0.01 * peak)


def _cell(line, column, text):
    def change(lines):
        cells = lines[line].split(",")
        cells[column] = text
        return [*lines[:line], ",".join(cells), *lines[line + 1 :]]

    return change


BAD_CSV = {
    "electrode out of range": (
        _cell(3, 2, "9"),
        {},
        "line 5: meas_plus 9 is no electrode; there are 8, numbered from 1 to 8",
    ),
    "electrode 0": (lambda _: csv_lines(0), {}, "0 is no electrode; there are 8, numbered from 1"),
    "electrode no number": (_cell(0, 0, "A1"), {}, "line 2: drive_plus is 'A1', expected a whole"),
    "one electrode twice": (_cell(0, 1, "1"), {}, "line 2: drive_plus and _minus are the same"),
    "inf": (_cell(2, 4, "inf"), {}, "line 4: value is 'inf', expected a finite number"),
    "text": (_cell(2, 4, "1,5"), {}, "line 4: 6 cells under 5 column names"),
    "repeated": (lambda x: [*x, x[4]], {}, "line 42: repeats the measurement of line 6; average"),
    "no amplitude": (lambda x: x, {"amplitude": None}, "has no column 'current'; pass --amplitude"),
    "no place": (lambda x: x, {"radius": None}, "pass --radius (m) for a circle, or --places FILE"),
    "wide electrodes": (
        lambda x: x,
        {"electrode_width": 0.1},
        "--electrode-width: electrodes of 0.1 m overlap, their centres are 0.0765 m apart",
    ),
    "noise twice": (
        lambda x: x,
        {"noise_std": 1e-5, "noise_rel": 0.01},
        "give the noise once, as --noise-std or --noise-rel",
    ),
    "no lines": (lambda _: [], {}, "holds no voltage; expected at least one"),
}


@pytest.mark.parametrize("name", BAD_CSV)
def test_bad_csv(tmp_path, name):
    change, options, text = BAD_CSV[name]
    path = csv_file(tmp_path, change(csv_lines()))
    given = {k: v for k, v in {**OPTIONS, **options}.items() if v is not None}
    with pytest.raises((ConfigError, DataSchemaError)) as error:
        read("csv", path, **given)
    assert text in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("header", "text"),
    [
        (HEADER.replace("meas_minus", "n"), "column 'meas_minus' is missing; expected drive_plus"),
        (HEADER + ",frame", "unknown column 'frame'; expected"),
        (HEADER + ",imag,phase", "give 'imag' or 'phase', not both"),
        (HEADER + ",value", "a column name occurs twice"),
    ],
)
def test_bad_csv_headers(tmp_path, header, text):
    with pytest.raises(DataSchemaError) as error:
        read("csv", csv_file(tmp_path, [], header), **OPTIONS)
    assert text in str(error.value)


def test_a_csv_file_that_is_no_text(tmp_path):
    path = tmp_path / "frame.csv"
    path.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(DataSchemaError, match="is not UTF-8 text"):
        read("csv", path, **OPTIONS)
    path.write_text("# nothing\n")
    with pytest.raises(DataSchemaError, match="is empty; expected a table with a header"):
        read("csv", path, **OPTIONS)


# --- geometry --------------------------------------------------------------------------------


def test_electrodes_on_a_circle_by_angle_and_direction(tmp_path):
    path = csv_file(tmp_path, csv_lines())
    turned = {**OPTIONS, "first_angle": 90.0, "direction": "cw", "contact_impedance": 0.02}
    found = read("csv", path, **turned)
    x, y = found["electrode_x"].values, found["electrode_y"].values
    np.testing.assert_allclose(np.hypot(x, y), 0.1)
    angle = np.rad2deg(np.unwrap(np.arctan2(y, x)))
    np.testing.assert_allclose(angle, 90 - 45 * np.arange(N), atol=1e-9)
    assert (found["contact_impedance"] == 0.02).all()
    assert (found["electrode_width"] == 0.01).all()


@pytest.mark.parametrize("lost", ["first_angle", "direction"])
def test_an_order_that_is_taken_for_granted_is_told(tmp_path, lost):
    given = {k: v for k, v in OPTIONS.items() if k != lost}
    path = csv_file(tmp_path, csv_lines())
    with pytest.warns(UserWarning, match=r"electrode 1 at 0 degrees .* ccw are taken"):
        found = read("csv", path, **given)
    np.testing.assert_array_equal(found["electrode_y"], read("csv", path, **OPTIONS)["electrode_y"])


def test_both_polarities_under_one_drive_are_two_readings(tmp_path):
    rows = [line.rsplit(",", 1) for line in csv_lines()]
    back = [
        [",".join([*a.split(",")[:2], *a.split(",")[:1:-1]]), -1.01 * float(v)] for a, v in rows
    ]
    lines = [f"{a},{float(v)!r}" for a, v in [*rows, *back]]
    found = read("csv", csv_file(tmp_path, lines), **OPTIONS)
    assert found.sizes["measurement"] == 2 * N
    assert np.isfinite(found["voltage"]).sum() == 2 * len(rows)
    sums = np.nansum(found["voltage"], axis=1)
    one_way = np.nansum(np.abs(expected()), axis=1)
    there_and_back = np.nansum(np.abs(found["voltage"]), axis=1)
    np.testing.assert_allclose(np.sort(there_and_back), np.sort(2.01 * one_way))
    assert (sums != 0).all()
    repeated = [*lines, lines[-1]]
    with pytest.raises(DataSchemaError, match="repeats the measurement of line"):
        read("csv", csv_file(tmp_path, repeated), **OPTIONS)


def test_electrodes_at_given_places(tmp_path):
    path, places = csv_file(tmp_path, csv_lines()), tmp_path / "places.csv"
    angle = np.linspace(0, 2 * np.pi, N, endpoint=False) + 0.05 * np.arange(N)
    table = np.stack([0.2 * np.cos(angle), 0.1 * np.sin(angle), 0.01 + 0 * angle], axis=1)
    places.write_text("x,y,width\n" + "\n".join(",".join(map(repr, map(float, r))) for r in table))
    given = {k: v for k, v in OPTIONS.items() if k not in CIRCLE}
    found = read("csv", path, **given, places=places)
    np.testing.assert_array_equal(found["electrode_y"], table[:, 1])
    np.testing.assert_array_equal(found["electrode_width"], table[:, 2])
    with pytest.raises(ConfigError, match="give the electrodes once, by --places or --radius"):
        read("csv", path, **OPTIONS, places=places)
    places.write_text("x,y\n0,1\n1,0\n")
    with pytest.raises(DataSchemaError, match="places of 2 electrodes, the data have 8"):
        read("csv", path, **given, places=places)
    places.write_text("a,b\n0,1\n")
    with pytest.raises(DataSchemaError, match="expected columns x,y or x,y,width, got a,b"):
        read("csv", path, **given, places=places)


def test_an_unknown_width_is_guessed_aloud(tmp_path):
    path = csv_file(tmp_path, csv_lines())
    given = {k: v for k, v in OPTIONS.items() if k != "electrode_width"}
    with pytest.warns(
        UserWarning, match=r"electrode width not given, 0\.5 of the spacing \(0\.0383 m\)"
    ):
        found = read("csv", path, **given)
    np.testing.assert_allclose(found["electrode_width"], 0.1 * np.sin(np.pi / N))


# --- order and reference ---------------------------------------------------------------------


def test_a_frame_in_the_wrong_order_gives_a_warning_that_names_it(tmp_path):
    lines = [line.split(",") for line in csv_lines()]
    shifted = [
        ",".join([*row[:2], *(str(int(e) % N + 1) for e in row[2:4]), row[4]]) for row in lines
    ]
    with pytest.warns(UserWarning, match=r"frame.csv: .*rotated.*numbers 1 too high"):
        read("csv", csv_file(tmp_path, shifted), **OPTIONS)
    turned = [",".join([row[1], row[0], *row[2:]]) for row in lines]
    with pytest.warns(UserWarning, match="sign of all voltages, or of all drives, is reversed"):
        read("csv", csv_file(tmp_path, turned), **OPTIONS)


def test_a_reference_frame_is_stored_beside_the_frame(tmp_path):
    base, path = tmp_path / "base.csv", csv_file(tmp_path, csv_lines())
    rows = [line.rsplit(",", 1) for line in csv_lines()[::-1]]
    base.write_text("\n".join([HEADER, *(f"{a},{0.5 * float(b)!r}" for a, b in rows)]))
    found = read("csv", path, **OPTIONS, reference=base, reference_conductivity=2.0)
    np.testing.assert_allclose(in_order(found, "voltage_reference"), 0.5 * expected())
    np.testing.assert_allclose(in_order(found), 0.5 * expected())
    assert carried(found)["difference"] is True
    assert carried(found)["reference"] == 2.0
    with pytest.warns(UserWarning, match="1 S m-1 is taken; pass --reference-conductivity"):
        read("csv", path, **OPTIONS, reference=base)
    base.write_text("\n".join([HEADER, *csv_lines()[:-1]]))
    with pytest.raises(DataSchemaError, match=r"base\.csv: the reference has no voltage"):
        read("csv", path, **OPTIONS, reference=base)
    base.write_text("\n".join([HEADER, *csv_lines()[:-5]]))
    with pytest.raises(DataSchemaError, match="lacks the injection between electrodes 1 and 8"):
        read("csv", path, **OPTIONS, reference=base)
