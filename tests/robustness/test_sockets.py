"""Nobody listens to the network who was not asked to."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    not Path("/proc/net/tcp").exists(), reason="the system does not tell of sockets"
)

WORDS = ("--config", "small.toml", "--seed", "1")
COMMANDS = {
    "one process": ("solve", *WORDS, "--out", "new.nc"),
    "workers": ("generate", *WORDS, "--sensors", "grid:3x3", "--n", "32", "--workers", "2",
                "--out", "new.nc"),
}  # fmt: skip
SMALL = '[problem]\nname = "darcy"\ncells = 8\n'

TOGETHER = """
import socket, sys
from pdeinv.executors.place import Place
from pdeinv.executors.ranks import opened
with opened(Place(int(sys.argv[1]), 2, 0, "127.0.0.1", int(sys.argv[2]))) as ranks:
    assert ranks.total(1.0) == [2.0]
"""


def open_to_others(pid):
    """Addresses other than the loopback's where a process or one that it started listens."""
    inodes = set()
    for one in family(pid):
        for link in Path(f"/proc/{one}/fd").glob("*"):
            try:
                inodes.add(os.readlink(link))
            except OSError:
                continue
    return {place for inode, place in listening() if f"socket:[{inode}]" in inodes}


def family(pid):
    pids = [pid]
    for one in pids:
        try:
            pids += Path(f"/proc/{one}/task/{one}/children").read_text().split()
        except OSError:
            continue
    return pids


def listening():
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            loopback = words[1].startswith(("0100007F:", "00000000000000000000000001000000:"))
            if words[3] == "0A" and not loopback:
                yield words[9], words[1]


def watched(*processes):
    """What they listened to before they ended, all of them well."""
    found = set()
    while any(process.poll() is None for process in processes):
        for process in processes:
            found |= open_to_others(process.pid)
        time.sleep(0.02)
    assert [process.returncode for process in processes] == [0] * len(processes)
    return found


@pytest.mark.parametrize("what", [pytest.param("one process", marks=pytest.mark.slow), "workers"])
def test_a_verb_listens_to_no_network(what, tmp_path):
    (tmp_path / "small.toml").write_text(SMALL)
    words = [sys.executable, "-m", "pdeinv", *COMMANDS[what]]
    env = {k: v for k, v in os.environ.items() if not k.startswith(("UCX_", "FI_"))}
    with subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.DEVNULL, env=env) as process:
        assert watched(process) == set()


def test_processes_of_one_machine_meet_on_the_loopback(free_port):
    started = [
        subprocess.Popen([sys.executable, "-c", TOGETHER, str(k), str(free_port)]) for k in range(2)
    ]
    assert watched(*started) == set()


def test_a_listener_is_seen(tmp_path):
    code = "import socket, time; s = socket.create_server(('0.0.0.0', 0)); time.sleep(1)"
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        assert len(watched(process)) == 1


@pytest.fixture
def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
