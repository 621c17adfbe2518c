"""Files from elsewhere: what is no file, too long or too deep is refused before it is parsed."""

import os

import pytest

from pdeinv import foreign
from pdeinv.config import MOST_TOML, parse_toml, read_toml
from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.memory import size_of
from pdeinv.text_table import read_table


def test_pipes_and_devices_are_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    for name, what in (("pipe", "a pipe"), ("zero", "a device")):
        with pytest.raises(foreign.Unreadable, match=f"^is {what}, expected a file; save what"):
            foreign.read_bytes(tmp_path / name)
    with pytest.raises(ConfigError, match=r"^configuration .*pipe is a pipe, .*; expected TOML$"):
        read_toml(tmp_path / "pipe")
    with pytest.raises(DataSchemaError, match=r"zero is a device, .*: export it as CSV UTF-8$"):
        read_table(tmp_path / "zero")


def test_long_files_are_refused_before_they_are_read_on(tmp_path):
    (tmp_path / "long").write_bytes(b"x" * 1001)
    with pytest.raises(foreign.Unreadable, match=r"^is larger than 1 kB, the most"):
        foreign.read_bytes(tmp_path / "long", most=1000)
    assert foreign.read_bytes(tmp_path / "long", most=1001) == b"x" * 1001


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 200 + "1" + "}" * 200])
def test_deep_json_is_refused(text):
    with pytest.raises(foreign.Unreadable, match=r"^is nested deeper than 100$"):
        foreign.parse_json(text)


def test_json_may_be_as_deep_as_is_said():
    assert foreign.parse_json("[" * 100 + "1" + "]" * 100)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = " + "[" * 5000, "nested too deep"),
        ("a." * 200 + "a = 1", "nested deeper than 100"),
        ("a = " + "9" * 5000, "is not valid TOML: Exceeds the limit"),
        ("a = 1 #" + "x" * MOST_TOML, f"at most {MOST_TOML} are read as TOML"),
    ],
)
def test_toml_is_bounded(text, message):
    with pytest.raises(ConfigError, match=f"^run.toml .*{message}"):
        parse_toml(text, "run.toml")


def test_a_cell_that_no_table_has_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n1," + "1" * 200_000 + "\n")
    with pytest.raises(DataSchemaError, match=r"a\.csv, line 2: .*; expected a table$") as caught:
        read_table(tmp_path / "a.csv")
    assert len(str(caught.value)) < 300


def test_sizes_read_well():
    told = {0: "0 bytes", 999: "999 bytes", 14_000: "14 kB", 8 * 10**11: "800 GB"}
    assert {n: size_of(n) for n in told} == told


def test_memory_is_what_is_left_of_a_limit():
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    free = foreign.memory()
    resource.setrlimit(resource.RLIMIT_AS, (1 << 36, before[1]))
    try:
        assert 0 < foreign.memory() <= min(free, 1 << 35)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
