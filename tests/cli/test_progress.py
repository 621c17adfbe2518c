"""Progress for people, for logs, and for nobody."""

import io
import signal
import sys
import warnings

import pytest

from pdeinv.cli.progress import Heartbeat, chain_progress
from pdeinv.cli.stop import StopRequest, stoppable
from pdeinv.cli.terminal import Terminal
from pdeinv.errors import Preempted


class Screen(io.StringIO):
    """A stream that claims to be a terminal."""

    def isatty(self):
        return True


def clock(monkeypatch, *times):
    moments = iter(times)
    monkeypatch.setattr("pdeinv.cli.progress.time.monotonic", lambda: next(moments))


def test_a_log_gets_one_line_a_minute_with_all_chains(monkeypatch):
    said = []
    clock(monkeypatch, 0.0, 1.0, 59.0, 61.0, 70.0, 3722.0)
    beat = Heartbeat(said.append, "invert")
    beat(-1, 1, 8, "training round")
    beat(0, 10, 100, "misfit 3")
    beat(1, 20, 100, "misfit 4")
    beat(0, 50, 100, "misfit 2")
    beat(1, 99, 100, "")
    assert said == [
        "invert 0:01:01: chain 0 10/100 misfit 3; chain 1 20/100 misfit 4",
        "invert 1:02:02: chain 0 50/100 misfit 2; chain 1 99/100",
    ]


def test_a_terminal_shows_bars_on_stderr_only():
    out, err = io.StringIO(), Screen()
    with chain_progress(Terminal(stdout=out, stderr=err), "invert") as report:
        for step in range(1, 6):
            report(0, step, 5, "misfit 1")
    assert "chain 0" in err.getvalue()
    assert out.getvalue() == ""


def test_quiet_shows_nothing():
    err = Screen()
    with chain_progress(Terminal(quiet=True, stderr=err), "invert") as report:
        report(0, 1, 5, "")
    assert err.getvalue() == ""


def test_stray_prints_and_warnings_go_to_stderr():
    out, err = io.StringIO(), io.StringIO()
    terminal = Terminal(stdout=out, stderr=err)
    with warnings.catch_warnings(), terminal.opened():
        warnings.simplefilter("always")
        sys.stdout.write("a library talks\n")
        warnings.warn("outside its range\nand more", UserWarning, stacklevel=1)
        terminal.result({}, "the result")
    assert out.getvalue() == "the result\n"
    assert err.getvalue() == "a library talks\nwarning: outside its range\n"


def test_json_has_no_numbers_that_json_does_not_know():
    import json

    import numpy as np

    out = io.StringIO()
    data = {"nan": np.nan, "array": np.array([1.0, np.inf]), "n": np.int64(3), "s": {"b", "a"}}
    Terminal(json=True, stdout=out).result(data)
    assert json.loads(out.getvalue()) == {
        "schema": 1, "nan": None, "array": [1.0, None], "n": 3, "s": ["a", "b"],
    }  # fmt: skip


def test_markup_in_data_is_shown_as_it_is():
    out = io.StringIO()
    terminal = Terminal(stdout=out)
    terminal.result({}, terminal.table("t", ("a",), [("[red]not markup[/red]",)]))
    assert "[red]not markup[/red]" in out.getvalue()


def test_a_first_signal_asks_and_a_second_one_leaves(tmp_path):
    stop = StopRequest(tmp_path, "stopped")
    stop.watching(lambda *_: None)(0, 1, 10, "")
    stop(signal.SIGTERM, None)
    assert stop.requested()
    assert (tmp_path / "STOP").exists()
    with pytest.raises(Preempted, match="stopped") as caught:
        stop(signal.SIGINT, None)
    assert caught.value.exit_code == 130


def test_before_anything_reports_a_signal_leaves_at_once(tmp_path):
    stop = StopRequest(tmp_path, "stopped")
    with pytest.raises(Preempted):
        stop(signal.SIGUSR1, None)
    assert not (tmp_path / "STOP").exists()


@pytest.mark.parametrize("chain", [-1, 0])
def test_trainings_and_chains_stop_by_themselves(tmp_path, chain):
    stop = StopRequest(tmp_path, "stopped")
    stop.watching(lambda *_: None)(chain, 1, 10, "on its way")
    stop(signal.SIGUSR1, None)
    assert (tmp_path / "STOP").exists()


def test_where_nothing_was_saved_nobody_is_told_to_resume(tmp_path):
    stop = StopRequest(tmp_path / "run", "stopped; continue with --resume")
    assert str(stop.error()) == "stopped before anything was saved; run the same command again"
    (tmp_path / "run").mkdir()
    assert str(stop.error()) == "stopped; continue with --resume"


def test_a_signal_in_the_last_write_asks_the_next_run_for_nothing(tmp_path):
    with stoppable(tmp_path, "stopped") as stop:
        stop.graceful = True
        stop(signal.SIGUSR1, None)
        assert (tmp_path / "STOP").exists()
    assert not (tmp_path / "STOP").exists()
