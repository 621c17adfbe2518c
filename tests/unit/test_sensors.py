"""One grammar of sensors for intervals, rectangles and boxes."""

import numpy as np
import pytest

from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.model.sensors import (
    check_inside,
    check_times,
    grid_nodes,
    outside,
    parse_places,
    parse_timed,
    points_of,
)

BOX = ((0.0, 1.0), (2.0, 4.0), (-1.0, 1.0))


def nodes(d):
    return np.arange(2.0 * d).reshape(2, d)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_places_are_read_in_any_dimension(d, tmp_path):
    extent = BOX[:d]
    row = ",".join(["0.5", "3", "0"][:d])
    path = tmp_path / "places.csv"
    path.write_text(f"{','.join('xyz'[:d])}\n{row}\n")
    listed = parse_places(f"list:{row};{row}", extent, lambda: nodes(d))
    np.testing.assert_array_equal(listed, [[0.5, 3.0, 0.0][:d]] * 2)
    np.testing.assert_array_equal(parse_places(str(path), extent, lambda: nodes(d)), listed[:1])
    np.testing.assert_array_equal(parse_places("all", extent, lambda: nodes(d)), nodes(d))
    grid = parse_places("grid:3", extent, lambda: nodes(d))
    np.testing.assert_array_equal(
        grid, parse_places("grid:" + "x".join("3" * d), extent, lambda: nodes(d))
    )
    assert grid.shape == (3**d, d)
    assert len(outside(grid, extent)) == 0
    np.testing.assert_allclose(grid[:3, 0], [0.25, 0.5, 0.75])


def test_an_interval_has_twenty_sensors_and_a_grid_of_one_axis():
    found = parse_places("grid:20", ((0.0, 2.0),), lambda: nodes(1))
    np.testing.assert_allclose(found[:, 0], 2 * np.arange(1, 21) / 21)
    grid = grid_nodes(((0.0, 2.0),), (5,))
    assert list(grid) == ["x"]
    np.testing.assert_allclose(grid["x"], [0, 0.5, 1, 1.5, 2])


def test_the_first_axis_of_a_grid_is_the_slowest():
    grid = grid_nodes(BOX, (2, 3, 4))
    assert list(grid) == ["x", "y", "z"]
    np.testing.assert_array_equal(grid["z"].reshape(2, 3, 4)[:, 0, 0], [-1, 1])
    np.testing.assert_array_equal(points_of(grid, ("x",))[:2, 0], grid["x"][:2])


@pytest.mark.parametrize(
    ("spec", "d", "message"),
    [
        ("grid:1000000000", 1, "expected at most 9999 places along a side; take fewer$"),
        ("grid:3x10000", 2, "expected at most 9999 places along a side; take fewer$"),
        ("grid:3x3", 1, "expected grid:K such as grid:9$"),
        ("grid:0", 2, "expected grid:KxL such as grid:9x9$"),
        ("grid:3x3", 3, "expected grid:KxLxM such as grid:9x9x9$"),
        ("list:0.1,0.2", 1, "expected rows of finite numbers x$"),
        ("list:0.1;nan", 1, "expected rows of finite numbers x$"),
        ("here", 1, "no such file; expected grid:K, all, list:x;x or a CSV file with header x$"),
        ("here", 3, "expected grid:KxLxM, all, list:x,y,z;x,y,z or a CSV file with header x,y,z$"),
    ],
)
def test_what_is_not_understood_is_one_line_that_says_what_is(spec, d, message):
    with pytest.raises(ConfigError, match=message):
        parse_places(spec, BOX[:d], lambda: nodes(d))


def test_times_repeat_every_place():
    found = parse_timed("list:0.2;0.4@0.5:1:2", ((0.0, 1.0),), lambda: nodes(1), 1.0)
    np.testing.assert_array_equal(found["x"], [0.2, 0.2, 0.4, 0.4])
    np.testing.assert_array_equal(found["t"], [0.5, 1.0, 0.5, 1.0])
    with pytest.raises(ConfigError, match="times 'late' not understood; expected PLACES"):
        parse_timed("grid:3@late", ((0.0, 1.0),), lambda: nodes(1), 1.0)
    with pytest.raises(ConfigError, match="expected at most 10000000 times, got 1000000000"):
        parse_timed("grid:3@0.1:1:1000000000", ((0.0, 1.0),), lambda: nodes(1), 1.0)


def test_places_and_times_outside_are_named():
    with pytest.raises(ConfigError, match=r"sensor 1 at \(x\) = \(1.5\) lies outside .* \[0, 1\];"):
        check_inside({"x": np.array([0.5, 1.5])}, ((0.0, 1.0),))
    check_inside({"x": np.array([1.0 + 1e-12])}, ((0.0, 1.0),))
    with pytest.raises(DataSchemaError, match=r"sensor 0 at t = 2 lies outside the run \[0, 1\]"):
        check_times(np.array([2.0]), 1.0)


@pytest.mark.parametrize("shape", [(3,), (3, 1), (2, 2, 2)])
def test_a_grid_has_as_many_numbers_as_axes(shape):
    with pytest.raises(ConfigError, match="grid shape: expected 2 numbers of at least 2"):
        grid_nodes(BOX[:2], shape)


WRITTEN = {
    "plain": b"x,y\n0.25,3\n0.5,2.5\n",
    "excel utf-8": b"\xef\xbb\xbfx,y\r\n0.25,3\r\n0.5,2.5\r\n",
    "excel german": b"\xef\xbb\xbfx;y\r\n0,25;3\r\n0,5;2,5\r\n",
    "excel sep": b"sep=;\r\nx;y\r\n0.25;3\r\n0.5;2.5\r\n",
    "tabs": b"x\ty\n0.25\t3\n0.5\t2.5\n",
    "tabs and decimal commas": b"x\ty\n0,25\t3\n0,5\t2,5\n",
    "quoted": b'"x","y"\n"0.25","3"\n"0.5","2.5"\n',
    "pandas with its index": b",x,y\n0,0.25,3.0\n1,0.5,2.5\n",
    "R": b'"","x","y"\n"1",0.25,3\n"2",0.5,2.5\n',
    "R csv2": b'"";"x";"y"\n"1";0,25;3\n"2";0,5;2,5\n',
    "capitals and blanks": b" X , Y \n 0.25 , 3 \n 0.5 , 2.5 \n",
    "y first": b"y,x\n3,0.25\n2.5,0.5\n",
    "comments and empty lines": b"# wells\n\nx,y\n0.25,3\n\n0.5,2.5\n\n",
    "empty columns behind": b"x,y,,\n0.25,3,,\n0.5,2.5,,\n",
    "old macintosh": b"x,y\r0.25,3\r0.5,2.5\r",
    "exponents": b"x,y\n2.5e-1,3E0\n5e-1,2.5\n",
}

UNREADABLE = {
    "no header": (b"0.25,3\n0.5,2.5\n", "expected a CSV file with header x,y, got 0.25,3$"),
    "other names": (b"lon,lat\n0.25,3\n", "with header x,y, got lon,lat$"),
    "one column too many": (b"x,y,head\n0.25,3,1\n", "with header x,y, got x,y,head$"),
    "one name twice": (b"x,x,y\n0.25,3,1\n", "with header x,y, got x,x,y$"),
    "decimal commas between commas": (
        b"x,y\n0,25,3,0\n", "4 cells under 2 column names; decimal commas need semicolons",
    ),
    "both marks": (
        b"x;y\n0,25;3\n0.5;2.5\n", "decimal commas in line 2 and decimal points in line 3",
    ),
    "thousands": (b'x,y\n"1,234",3\n', "expected rows of finite numbers x,y$"),
    "a missing place": (b"x,y\nNA,3\n", "expected rows of finite numbers x,y$"),
    "utf-16": ("x,y\n0.25,3\n".encode("utf-16"), "is not UTF-8 text; .* export it as CSV UTF-8$"),
    "nothing": (b"", "is empty; expected a table with a header$"),
    "a number without a name": (b"x,y,\n0.25,3,7\n", "line 2: '7' stands in a column without"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRITTEN)
def test_tables_of_places_are_read_as_programs_write_them(name, tmp_path):
    path = tmp_path / "places.csv"
    path.write_bytes(WRITTEN[name])
    found = parse_places(str(path), BOX[:2], lambda: nodes(2))
    np.testing.assert_array_equal(found, [[0.25, 3.0], [0.5, 2.5]])


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_table_of_places_that_may_be_misread_is_refused_in_one_line(name, tmp_path):
    content, message = UNREADABLE[name]
    path = tmp_path / "places.csv"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message) as caught:
        parse_places(str(path), BOX[:2], lambda: nodes(2))
    assert "\n" not in str(caught.value)
    assert "places.csv" in str(caught.value)


def test_times_beside_places_may_stand_in_any_column(tmp_path):
    path = tmp_path / "timed.csv"
    path.write_text("t;x\n0,5;0,25\n")
    found = parse_timed(str(path), ((0.0, 1.0),), lambda: nodes(1), 1.0)
    assert (found["x"], found["t"]) == (0.25, 0.5)


def test_a_list_of_places_may_be_longer_than_the_name_of_a_file():
    places = "list:" + ";".join(f"0.{k:03d}" for k in range(1, 100))
    assert len(parse_timed(f"{places}@0.5,1", ((0.0, 1.0),), lambda: nodes(1), 1.0)["t"]) == 198
    with pytest.raises(ConfigError, match="not understood, and no such file"):
        parse_places("x" * 5000, ((0.0, 1.0),), lambda: nodes(1))
