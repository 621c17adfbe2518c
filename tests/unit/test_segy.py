"""SEG-Y: numbers, places, shots and times out of headers, and every way in which they are wrong."""

import numpy as np
import pytest
from segy_files import line, segy

from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.io.segy import read_segy
from pdeinv.jobs.import_data import import_file

pytest.importorskip("segyio")
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
"""Of notes that other tests are about."""


@pytest.fixture
def imported(tmp_path):
    """The observation file of some bytes."""

    def read(data, **options):
        path = tmp_path / "line.segy"
        path.write_bytes(data)
        return import_file("seismic", "segy", path, options)

    return read


def changed(traces, k, **header):
    """With another header of trace ``k``."""
    return [({**h, **header} if i == k else h, v) for i, (h, v) in enumerate(traces)]


@pytest.mark.parametrize("code", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("order", [">", "<"])
def test_samples_are_read_in_every_format_and_order_of_bytes(code, order, tmp_path):
    traces = line()
    (tmp_path / "line.segy").write_bytes(segy(traces, code=code, order=order))
    if code == 1 and order == "<":  # IBM's own order alone
        return
    found = read_segy(tmp_path / "line.segy")
    assert np.array_equal(found.values, [v for _, v in traces])
    assert (found.interval, found.units) == (2000, "m")


def test_fractions_of_ibm_floats_are_exact_to_their_bits(tmp_path):
    values = np.array([0.1, -2.5, 1e-3, 123456.789, -1e5])
    (tmp_path / "line.segy").write_bytes(segy([({}, values)], code=1))
    assert read_segy(tmp_path / "line.segy").values[0] == pytest.approx(values, rel=1e-6)


def test_places_times_and_shots(imported):
    traces = line(delay=4)
    found = imported(segy(traces))
    assert found["source_x"].values.tolist() == [0, 100]
    assert found["source_y"].values.tolist() == [5, 5]
    assert found["receiver_x"].values.tolist() == [0, 50, 100]
    assert found["receiver_y"].values.tolist() == [8, 8, 8]
    assert found["time"].values == pytest.approx(0.004 + 0.002 * np.arange(20))
    assert np.array_equal(found["u"].values.reshape(6, 20), [v for _, v in traces])
    assert found["u"].dims == ("shot", "receiver", "time")


@pytest.mark.parametrize(("header", "units", "system"), [
    ({}, "m", 0), ({"coordinate_scalar": 100, "elevation_scalar": 1}, "m", 1), ({}, "ft", 2),
])  # fmt: skip
def test_scalars_and_units_of_places(header, units, system, imported):
    found = imported(segy(line(**header), system=system))
    factor = {"m": 1.0, "ft": 0.3048}[units]
    scale = 100.0 / (1 / 100) if header else 1.0
    assert found["source_x"].values[1] == pytest.approx(100 * factor * scale)
    assert imported(segy(line(), system=1), units="ft")["receiver_y"].values[0] == (
        pytest.approx(8 * 0.3048)
    )


def test_a_file_that_does_not_name_its_units_is_told(imported):
    with pytest.warns(UserWarning, match="metres or feet; metres are taken"):
        imported(segy(line(), system=0))


def test_lines_along_y_and_in_between(imported):
    y = [({**h, "source_y": h["source_x"], "receiver_y": h["receiver_x"]}, v) for h, v in line()]
    with pytest.raises(DataSchemaError, match="give --axis y or line"):
        imported(segy(y))
    assert np.diff(imported(segy(y), axis="line")["source_x"])[0] == pytest.approx(100 * 2**0.5)
    turned = [({**h, "source_x": 0, "receiver_x": 0}, v) for h, v in y]
    assert imported(segy(turned), axis="y")["source_x"].values.tolist() == [0, 100]


def test_land_lies_below_a_datum(imported):
    land = line(source_elevation=85000, receiver_elevation=84900)
    with pytest.raises(DataSchemaError, match=r"its source lies 845 m above the datum 0 m; give "
                       r"--datum 845, or turn the sign if elevations are depths"):  # fmt: skip
        imported(segy(land))
    found = imported(segy(land), datum=850.0)
    assert (found["source_y"][0], found["receiver_y"][0]) == (5, 1)


def test_spreads_that_move_leave_the_rest_unmeasured(imported):
    moving = [({**h, "receiver_x": h["receiver_x"] + h["source_x"]}, v) for h, v in line()]
    with pytest.warns(UserWarning, match="60% of 2 shots x 5 receivers were recorded"):
        found = imported(segy(moving))
    measured = ~np.isnan(found["u"].values).any(axis=2)
    assert measured.tolist() == [[True, True, True, False, False], [False, False, True, True, True]]


def test_shots_without_numbers_are_told_by_their_places(imported):
    assert imported(segy(line(record=0))).sizes["shot"] == 2


def test_dead_traces_are_not_measured(imported):
    traces = changed(line(), 1, kind=2)
    traces[4] = (traces[4][0], np.zeros(20))
    with pytest.warns(UserWarning, match=r"2 of 6 traces are dead \(1 marked so, the others zero"):
        found = imported(segy(traces), noise_rms=0.1)
    dead = np.isnan(found["u"].values).all(axis=2)
    assert dead.tolist() == [[False, True, False], [False, True, False]]
    assert np.array_equal(np.isnan(found["u_sigma"]), np.isnan(found["u"]))


def test_clocks_and_sweeps_are_left_out(imported):
    with pytest.warns(UserWarning, match="1 traces of other kinds than waves"):
        assert imported(segy(changed(line(), 5, kind=6))).sizes["shot"] == 2


def test_samples_before_the_shot_are_left_out(imported):
    with pytest.warns(UserWarning, match=r"2 samples before t = 0 are left out"):
        found = imported(segy(line(delay=-4)))
    assert found["time"].values[0] == 0
    assert imported(segy(line(delay=-4)), delay=0.0).sizes["time"] == 20


def test_a_delay_in_another_unit_is_told(imported):
    with pytest.warns(UserWarning, match="is at 100 s, and a trace lasts 0.04 s; .* --delay 0.1$"):
        assert imported(segy(line()), delay=100.0)["time"].values[0] == 100


def test_feet_are_told(imported):
    with pytest.warns(UserWarning, match=r"places are in feet \(byte 3255\) and become metres"):
        imported(segy(line(), system=2))


def test_delays_in_parts_of_milliseconds(imported):
    found = imported(segy(line(delay=25, time_scalar=-10, interval=500), interval=500))
    assert found["time"].values[:2] == pytest.approx([0.0025, 0.003])


def test_projected_coordinates_need_an_origin(imported):
    far = [({**h, **{k: h[k] + 45_123_000 for k in ("source_x", "receiver_x")}}, v)
           for h, v in line()]  # fmt: skip
    with pytest.raises(DataSchemaError, match=r"go from 451230 to 451330 m and x = 0 is at 0 m; "
                       r"give --origin, .* at most 451230 and less than 100 before"):  # fmt: skip
        imported(segy(far))
    assert imported(segy(far), origin=451200.0)["source_x"].values.tolist() == [30, 130]


WRONG = {
    "no segy": (lambda: b"no such file" * 400, "no SEG-Y file: its binary header names the format"),
    "short": (lambda: b"x" * 100, "100 bytes are no SEG-Y file, whose headers alone have 3840"),
    "format": (lambda: segy(line(), code=4), r"samples of format 4 are not read; expected IBM"),
    "huge": (
        lambda: segy([(line()[0][0], np.ones(12))], samples=65535),
        "headers announce traces of 65535 samples, more than the 288 bytes behind them hold",
    ),
    "mixed": (
        lambda: segy([*line(), (line()[0][0], np.ones(12))]),
        "trace 6 has 12 samples and the binary header says 20; traces of several lengths",
    ),
    "cut": (lambda: segy(line())[:-7], "313 bytes follow 5 traces of 20 samples.* is cut short"),
    "no samples": (lambda: segy([({}, [])] * 2), "neither binary header nor trace 0 says how many"),
    "no geometry": (
        lambda: segy(line(source_x=0, receiver_x=0)),
        "missing geometry: all sources and receivers have the same coordinates in bytes 73 to 88",
    ),
    "coordinates in other units": (
        lambda: segy(line(coordinate_scalar=1000)),
        r"spread over 1e\+07 m, expected at most 1e\+06 m; correct the scalar of coordinates",
    ),
    "angles": (lambda: segy(line(coordinate_units=2)), "coordinates are angles .*; project them"),
    "depth upwards": (lambda: segy(line(source_depth=-500)), "depth of the source -5 m in byte 49"),
    "elevation of depth": (
        lambda: segy(line(receiver_elevation=800)),
        "its receiver lies 8 m above the datum 0 m; give --datum 8, or turn the sign",
    ),
    "source moves": (
        lambda: segy(changed(line(), 1, source_x=7000)),
        "field record 1: its source is at x = 0 m in trace 0 and at 70 m in trace 1",
    ),
    "twice": (
        lambda: segy(changed(line(), 1, receiver_x=0)),
        "traces 0 and 1 are both of shot 0 and the receiver at x = 0 m; keep or stack one",
    ),
    "intervals": (
        lambda: segy(changed(line(), 3, interval=4000)),
        "traces 0 and 3 have samples every 2000 and 4000 microseconds",
    ),
    "no interval": (lambda: segy(line(interval=0), interval=0), "no header says the time between"),
    "intervals of file and traces": (
        lambda: segy(line(), interval=4000),
        r"every 2000 microseconds \(byte 117\) and the file every 4000 \(byte 3217\); give",
    ),
    "milliseconds": (
        lambda: segy(line(interval=2), interval=0),
        "samples are 2 microseconds apart; were",
    ),
    "delays": (lambda: segy(changed(line(), 2, delay=8)), "0 s in trace 0 and at 0.008 s in"),
    "delay between samples": (lambda: segy(line(delay=1)), "no multiple of the 0.002 s"),
    "dead": (lambda: segy([(h, 0 * v) for h, v in line()]), "all traces are zero or marked"),
    "no waves": (lambda: segy(line(kind=4)), "no trace is of waves, by their kinds in byte 29"),
    "not finite": (
        lambda: segy([(h, np.where(v > 50, np.nan, v)) for h, v in line()]),
        "6 traces hold values that are not finite, the first is number 0",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_wrong_files_are_refused_in_one_line(case, imported):
    made, message = WRONG[case]
    with pytest.raises(DataSchemaError, match=message) as found:
        imported(made())
    assert "\n" not in str(found.value)
    assert "line.segy" in str(found.value)


def test_wrong_flags_are_refused(imported):
    with pytest.raises(ConfigError, match="--axis: "):
        imported(segy(line()), axis="z")
    with pytest.raises(ConfigError, match="--factor: must not be 0"):
        imported(segy(line()), factor=0.0)
    with pytest.raises(DataSchemaError, match="all 20 samples are before t = 0"):
        imported(segy(line()), delay=-10.0)
