"""A signal at any moment of a verb gives its exit code and one line, and nothing half done."""

import json
import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest
import typer
from commands import PATIENCE, start

from pdeinv.cli import signals
from pdeinv.cli.main import main
from pdeinv.cli.verbs import app
from pdeinv.errors import MissingDependency

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="asks /proc what a process listens to"
)

SHORT = ("--config", "small.toml", "--seed", 1)
VERBS = {
    "invert": ("invert", "obs.nc", "--engine", "pcn", *SHORT, "--draws", 10**6, "--out", "r.nc"),
    "generate": ("generate", "--obs", "obs.nc", "--n", 2000, "--seed", 1, "--out", "d.nc"),
    "solve": ("solve", *SHORT, "--out", "t.nc"),
    "observe": ("observe", "truth.nc", "--sensors", "all", "--noise-rel", 0.1, "--out", "o.nc"),
    "check": ("check", "obs.nc", "--seed", 1),
    "info": ("info", "obs.nc"),
    "plot": ("plot", "obs.nc", "--out", "o.png"),
    "list": ("list",),
}
CODES = {signal.SIGINT: (130, 130), signal.SIGTERM: (75, 1), signal.SIGUSR1: (75, 1)}
"""Of a verb that can resume, and of any other."""


def test_the_verbs_that_can_resume_are_known():
    commands = typer.main.get_command(app).commands
    found = [n for n, c in commands.items() if any("--resume" in p.opts for p in c.params)]
    assert set(found) == set(signals.RESUMABLE)


def listens(process):
    """Whether the process has handlers of its own: the last of them is that of SIGUSR1."""
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("SigCgt:"):
            return bool(int(line.split()[1], 16) >> (signal.SIGUSR1 - 1) & 1)
    return False


def ended(words, signum, seconds):
    """Exit code, stdout and stderr of the command, signalled so long after it began to listen."""
    process = start(*words)
    while process.poll() is None and not listens(process):
        time.sleep(0.002)
    time.sleep(seconds)
    process.send_signal(signum)
    stdout, stderr = process.communicate(timeout=PATIENCE)
    return process.returncode, stdout, stderr


@pytest.mark.parametrize("signum", CODES)
@pytest.mark.parametrize("verb", ["invert", "observe"])
def test_a_signal_while_all_is_loaded_is_one_line(verb, signum, work):
    before = {p.name for p in work.iterdir()}
    code, stdout, stderr = ended((*VERBS[verb], "--json"), signum, 0.0)
    assert code == CODES[signum][verb not in signals.RESUMABLE]
    assert stderr.startswith(f"error: stopped by {signum.name}; run the same command again")
    assert len(stderr.splitlines()) == 1
    error = json.loads(stdout)["error"]
    assert (error["exit_code"], f"error: {error['message']}\n") == (code, stderr)
    assert {p.name for p in work.iterdir()} == before


def tried(verb, signum, seconds, work):
    """The verb ends by its code, or had already done its work; its output is whole or absent."""
    before = {p.name for p in work.iterdir()}
    code, _, stderr = ended(VERBS[verb], signum, seconds)
    expected = CODES[signum][verb not in signals.RESUMABLE]
    assert code in (expected, 0), (verb, signum, seconds, code, stderr)
    left = {p.name for p in work.iterdir()} - before
    assert not [name for name in left if name.startswith(".")]
    assert code == 0 or stderr.count("error: ") == 1
    return code


@pytest.mark.parametrize("verb", ["solve", "plot"])
def test_a_stop_that_a_module_turns_into_its_own_error_is_a_stop(verb, work, monkeypatch, capfd):
    """An extension that is being loaded makes an ImportError of it."""
    words = [str(w) for w in VERBS[verb]]

    def loaded(*_args, **_kwargs):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except signals.Stopped:
            raise MissingDependency("initialization failed") from None

    monkeypatch.setattr("sys.argv", ["pdeinv", *words])
    monkeypatch.setattr("pdeinv.cli.options.Output.check", loaded)
    monkeypatch.setattr("pdeinv.jobs.observe.choose_unknown", loaded)
    monkeypatch.setattr(signals, "_asked", [])
    before = {s: signal.getsignal(s) for s in signals.SIGNALS}
    try:
        with pytest.raises(SystemExit) as end:
            main()
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
    assert end.value.code == CODES[signal.SIGTERM][verb not in signals.RESUMABLE]
    assert capfd.readouterr().err.startswith("error: stopped by SIGTERM; run the same command")


@pytest.mark.parametrize("verb", ["invert", "plot"])
def test_a_signal_at_an_early_moment_never_ends_a_verb_otherwise(verb, work):
    moment = random.Random(verb).uniform(0.2, 1.2)
    tried(verb, signal.SIGTERM, moment, work)


@pytest.mark.slow
@pytest.mark.parametrize("signum", CODES)
@pytest.mark.parametrize("verb", VERBS)
def test_a_signal_at_any_moment_never_ends_a_verb_otherwise(verb, signum, work):
    moments = random.Random(f"{verb}{signum}")
    for _ in range(6):
        tried(verb, signum, moments.uniform(0.0, 2.5), work)
        for name in ("r.nc", "d.nc", "t.nc", "o.nc", "o.png"):
            (work / name).unlink(missing_ok=True)
        for name in ("r.nc.run", "d.nc.run"):
            shutil.rmtree(work / name, ignore_errors=True)
