"""Which process of how many this is, as torchrun and Slurm tell it."""

import os
import signal
import socket
import threading
from datetime import timedelta

import pytest

from pdeinv.errors import ConfigError, Preempted, RunFailed
from pdeinv.executors import meeting
from pdeinv.executors.place import Place, first_host, place_of
from pdeinv.executors.ranks import ALONE, opened

SLURM = {
    "SLURM_PROCID": "5",
    "SLURM_NTASKS": "8",
    "SLURM_LOCALID": "1",
    "SLURM_STEP_ID": "0",
    "SLURM_JOB_ID": "1234",
    "SLURM_JOB_NODELIST": "gpu[003-004]",
}


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("gpu[003-007,9],login1", "gpu003"),
        ("node7", "node7"),
        ("a1,b2", "a1"),
        ("rack[2,5-6]-node", "rack2-node"),
        ("n[08]", "n08"),
    ],
)
def test_the_first_machine_of_a_node_list(nodes, first):
    assert first_host(nodes) == first


def test_srun_tells_rank_size_and_first_machine():
    port = 20000 + (1234 * 16) % 20000
    assert place_of(SLURM) == Place(5, 8, 1, "gpu003", port)
    step = {**SLURM, "SLURM_STEP_NUM_TASKS": "6", "SLURM_STEP_NODELIST": "gpu004"}
    assert place_of({**step, "SLURM_STEP_ID": "1"}) == Place(5, 6, 1, "gpu004", port + 1)
    told = {"MASTER_ADDR": "10.0.0.7", "MASTER_PORT": "4000"}
    assert place_of({**SLURM, **told}) == Place(5, 8, 1, "10.0.0.7", 4000)


def test_torchrun_goes_before_slurm():
    environ = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "MASTER_ADDR": "h",
               "MASTER_PORT": "9"}  # fmt: skip
    assert place_of({**SLURM, **environ}) == Place(1, 2, 0, "h", 9)


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"RANK": "0", "WORLD_SIZE": "1"},
        {**SLURM, "SLURM_NTASKS": "1"},
        # the batch script itself, outside srun, is one process whatever was asked for
        {k: v for k, v in SLURM.items() if k != "SLURM_STEP_ID"},
    ],
)
def test_one_process_is_alone(environ):
    assert place_of(environ) is None


@pytest.mark.parametrize("wrong", [{"SLURM_PROCID": "x"}, {"SLURM_NTASKS": ""}])
def test_malformed_variables_are_one_line(wrong):
    with pytest.raises(ConfigError, match=r"launcher's variable .* is missing or malformed"):
        place_of({**SLURM, **wrong})


def test_alone_every_operation_is_the_identity():
    assert ALONE.first
    assert ALONE.worst(3) == 3
    assert ALONE.total(0.5, 2) == [0.5, 2.0]
    assert ALONE.by_first(lambda: 7) == 7
    with opened(None) as ranks:
        assert ranks is ALONE


def test_no_meeting_place_is_one_line(monkeypatch):
    monkeypatch.setattr("pdeinv.executors.meeting.PATIENCE", timedelta(seconds=1))
    with (
        pytest.raises(RunFailed, match=r"process 1 of 2 found no meeting place at 127\.0\.0\.1:1"),
        opened(Place(1, 2, 1, "127.0.0.1", 1)),
    ):
        pass


@pytest.fixture
def alone_at_the_meeting():
    """The first of two processes, the other of which never comes."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return Place(0, 2, 0, "127.0.0.1", port)


def test_a_process_that_waits_says_so_once_and_leaves_when_asked(alone_at_the_meeting, monkeypatch):
    monkeypatch.setitem(meeting.SILENT, True, 0.0)
    said, looks = [], iter(range(30))
    with (
        pytest.raises(Preempted, match="stopped while it waited"),
        opened(alone_at_the_meeting, say=said.append, asked=lambda: next(looks) > 20),
    ):
        pass
    port = alone_at_the_meeting.port
    assert said == [f"waiting for 1 more process at 127.0.0.1:{port} (up to 20 minutes)"]


def test_a_handler_of_signals_ends_the_wait(alone_at_the_meeting):
    def left(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, left)
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGUSR1))
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt), opened(alone_at_the_meeting):
            pass
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, before)


def test_others_that_do_not_come_in_time_are_told(alone_at_the_meeting, monkeypatch):
    monkeypatch.setattr("pdeinv.executors.meeting.PATIENCE", timedelta(seconds=0.5))
    with (
        pytest.raises(RunFailed, match=r"1 more process at 127\.0\.0\.1:\d+ did not come"),
        opened(alone_at_the_meeting),
    ):
        pass


@pytest.mark.parametrize(
    ("address", "local"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("10.0.0.7", False), ("gpu3", False)],
)
def test_addresses_of_this_machine_alone(address, local):
    assert meeting.on_loopback(address) is local
