"""What files say is shown without what steers a terminal: in results, errors and figures."""

import logging
import os
import warnings

import netCDF4
import pytest

from pdeinv.cli.terminal import Terminal
from pdeinv.foreign import visible

ESCAPES = "\x1b]0;WAS_RUN\x07\x1b[2J"

pytestmark = pytest.mark.usefixtures("work")


def say(path, title, units=None):
    with netCDF4.Dataset(path, "a") as file:
        file.title = title
        file.history = "[red]x[/red] :smile: [link=http://a]b[/link]"
        if units is not None:
            file["u"].units = units


def steers(text):
    return [c for c in text if (ord(c) < 32 and c not in "\n\t") or 0x7F <= ord(c) < 0xA0]


def test_a_table_shows_escapes_and_reads_no_markup(call):
    say("obs.nc", ESCAPES)
    shown = call("info", "obs.nc").stdout
    assert not steers(shown)
    assert r"\x1b]0;WAS_RUN\x07\x1b[2J" in shown
    assert "[red]x[/red] :smile: [link=http://a]b[/link]" in shown


def test_a_title_of_a_table_reads_no_markup(call):
    with netCDF4.Dataset("obs.nc", "a") as file:
        file.createGroup("g[red]x").createVariable("v", "f8", ())
    assert "group /g[red]x" in call("info", "obs.nc").stdout


def test_an_error_shows_escapes_on_one_line(call):
    say("obs.nc", "", "\x1b[31mm\nerror: it is another line")
    result = call("check", "obs.nc")
    assert result.exit_code == 2
    assert not steers(result.stderr)
    assert len(result.stderr.splitlines()) == 1
    assert r"'u' has units '\x1b[31mm\nerror: it is another line'" in result.stderr
    assert "convert the file" in result.stderr


def test_warnings_and_log_records_show_escapes(capsys):
    terminal = Terminal()
    with terminal.opened():
        warnings.showwarning(UserWarning(f"a{ESCAPES}"), UserWarning, "", 0)
        logging.getLogger("pdeinv.x").warning("b%s", ESCAPES)
        terminal.note(f"c{ESCAPES}")
    told = capsys.readouterr().err
    assert not steers(told)
    assert told.count("WAS_RUN") == 3


def test_a_name_that_is_no_text_can_be_shown(call):
    result = call("info", os.fsdecode(b"no\xff.nc"))
    assert result.exit_code == 2
    assert r"no\udcff.nc" in result.stderr


def test_letters_of_all_languages_are_left_alone():
    assert visible("σ² ä 電位 👍") == "σ² ä 電位 👍"
    assert visible("a\u202eb\u2066\x85") == r"a\u202eb\u2066\x85"


def test_a_figure_reads_no_formula_from_a_file(call):
    with netCDF4.Dataset("obs.nc", "a") as file:
        file["u"].long_name = "$\\frac{ \x1b[31m head"
    assert call("plot", "obs.nc", "--out", "a.svg").exit_code == 0


def test_memory_that_is_not_there_is_one_line(call, monkeypatch):
    def greedy(_):
        raise MemoryError("Unable to allocate 7 TiB")

    monkeypatch.setattr("pdeinv.jobs.info.describe", greedy)
    result = call("info", "obs.nc")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: out of memory (Unable to allocate 7 TiB); this process")
