"""A signal to one of two processes that train together ends both with 75, wherever they wait."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest
from safetensors.numpy import load_file
from small_darcy import SMALL
from typer.testing import CliRunner

from pdeinv.cli.verbs import app

RUN = (
    SMALL
    + """
[surrogate]
name = "latent"
epochs = {epochs}
patience = 1000000
widths = [16]
"""
)
COMMAND = (
    "import sys, pdeinv.executors.line as line; line.GRACE = 1.0; "
    "from pdeinv.cli.main import main; sys.argv[0] = 'pdeinv'; main()"
)
WORDS = ("train-surrogate", "--config", "run.toml", "--data", "data.nc", "--seed", "1",
         "--out", "net")  # fmt: skip
# that one of two stops both, test_training_together.py shows by the way
pytestmark = [pytest.mark.usefixtures("solves_here"), pytest.mark.slow]


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A folder with a data set."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.toml").write_text(RUN.format(epochs=1000000))
    words = ["generate", "--config", "run.toml", "--sensors", "grid:3x3", "--n", "40",
             "--seed", "1", "--out", "data.nc"]  # fmt: skip
    made = CliRunner().invoke(app, words)
    assert made.exit_code == 0, made.stderr
    return tmp_path


def start(folder, *more):
    """Two processes as torchrun starts them."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    common = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port,
              "OMP_NUM_THREADS": "1"}  # fmt: skip
    return [
        subprocess.Popen(
            [sys.executable, "-c", COMMAND, *WORDS, *more], cwd=folder, text=True,
            stderr=subprocess.PIPE, env={**os.environ, **common, "RANK": str(k)},
        )
        for k in range(2)
    ]  # fmt: skip


def trains(folder):
    """Wait until epochs are logged that were not there before."""
    log, end = folder / "net.run" / "log.jsonl", time.monotonic() + 120
    before = time.time()
    while not (log.exists() and log.stat().st_mtime > before and log.read_text().count("\n") > 3):
        assert time.monotonic() < end
        time.sleep(0.05)


def ended(processes):
    said = [p.communicate(timeout=90)[1] for p in processes]
    assert not any("Traceback" in text for text in said), said
    return [p.returncode for p in processes], said


@pytest.mark.parametrize("rank", [0, 1])
def test_one_that_is_told_to_stop_stops_both(data, rank):
    both = start(data)
    trains(data)
    both[rank].send_signal(signal.SIGTERM)
    codes, said = ended(both)
    assert codes == [75, 75], said
    assert "continue with --resume" in said[0]


@pytest.mark.parametrize(("hangs", "told"), [(0, 1), (1, 0)])
def test_one_that_waits_for_another_that_hangs_hears_a_signal(data, hangs, told):
    both = start(data)
    trains(data)
    both[hangs].send_signal(signal.SIGSTOP)
    time.sleep(0.5)
    both[told].send_signal(signal.SIGUSR1)
    try:
        assert both[told].wait(60) == 75
    finally:
        both[hangs].send_signal(signal.SIGCONT)
    codes, said = ended(both)
    assert codes[told] == 75, said
    assert codes[hangs] in ((75,) if hangs == 0 else (75, 1)), said


def test_the_second_signal_is_heard_at_once_and_the_rest_is_as_if_nothing_had_been(data):
    (data / "run.toml").write_text(RUN.format(epochs=300))
    both = start(data)
    trains(data)
    both[0].send_signal(signal.SIGSTOP)
    time.sleep(0.5)
    for _ in range(2):
        both[1].send_signal(signal.SIGTERM)
        time.sleep(0.3)
    try:
        assert both[1].wait(30) == 75
    finally:
        both[0].send_signal(signal.SIGCONT)
    codes, said = ended(both)
    assert codes == [75, 75], said
    codes, said = ended(start(data, "--resume"))
    assert codes == [0, 0], said
    found = load_file(data / "net" / "weights.safetensors")
    (data / "net").rename(data / "stopped")
    codes, said = ended(start(data, "--overwrite"))
    assert codes == [0, 0], said
    whole = load_file(data / "net" / "weights.safetensors")
    assert all((found[k] == whole[k]).all() for k in whole)
    assert json.loads((data / "net" / "metadata.json").read_text())["surrogate"] == "latent"
