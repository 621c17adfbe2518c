"""A command on a terminal of its own, whose progress and files are watched."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

PATIENCE = 900.0
"""Seconds that any command may take, on a machine that others keep busy too."""
LOOK = 0.002
"""Seconds between two looks."""
TAG = "KILLS_OF_PDEINV"
"""Variable by which the processes of one command are known."""

_STEPS = re.compile(r"(?<!step )\b(\d+)/(\d+)\b")
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


class Watched:
    """A command while it runs: its processes, what it says, and how far it is.

    Args:
        words: the command line.
        folder: where it runs.
    """

    def __init__(self, words: list[str], folder: Path) -> None:
        self.folder, self.tag = folder, uuid.uuid4().hex
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 160, 0, 0))
        os.set_blocking(self._master, False)
        self._said = bytearray()
        env = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        env |= {TAG: self.tag, "TERM": "xterm"}
        self.process = subprocess.Popen(
            words, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=slave,
            start_new_session=True, env={**os.environ, **env},
        )  # fmt: skip
        os.close(slave)

    def __enter__(self) -> Watched:
        """Itself, while the block runs; afterwards nothing of it does."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it if it has not been closed."""
        if self._master >= 0:
            self.close(grace=0.0)

    @property
    def running(self) -> bool:
        """Whether it has not ended; reads what it has said meanwhile."""
        with suppress(OSError):  # nothing there, or its end is closed
            while part := os.read(self._master, 1 << 16):
                self._said += part
        return self.process.poll() is None

    @property
    def said(self) -> str:
        """All of it, without colours and cursor movements."""
        return _CONTROL.sub("", self._said.decode(errors="replace"))

    @property
    def fraction(self) -> float:
        """How much of the work is done by the last bar shown; -1 while none is, or in training."""
        tail = _CONTROL.sub(" ", self._said[-3000:].decode(errors="replace"))
        found = [m for m in _STEPS.finditer(tail) if int(m[2]) > 0]
        return int(found[-1][1]) / int(found[-1][2]) if found else -1.0

    @property
    def shown(self) -> bool:
        """Whether there is a bar."""
        return _STEPS.search(self.said) is not None

    def wait_for(self, condition: Callable[[], bool]) -> bool:
        """Until it holds; False where the command ended before."""
        end = time.monotonic() + PATIENCE
        while self.running:
            if condition():
                return True
            if time.monotonic() > end:
                return False
            time.sleep(LOOK)
        return False

    def listens(self) -> bool:
        """Whether it has handlers of its own: the last of them is that of SIGUSR1."""
        with suppress(OSError):
            for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
                if line.startswith("SigCgt:"):
                    return bool(int(line.split()[1], 16) >> (signal.SIGUSR1 - 1) & 1)
        return False

    def members(self) -> list[int]:
        """Its processes that live, the first one first."""
        return sorted(_tagged(f"{TAG}={self.tag}".encode()))

    def send(self, signum: int, whole: bool) -> None:
        """A signal to the command, or to all of its processes but what launches them."""
        for pid in self._programs() if whole else [self.process.pid]:
            with suppress(ProcessLookupError):
                os.kill(pid, signum)

    def _programs(self) -> list[int]:
        return [p for p in self.members() if b"python" in _read(p, "cmdline").split(b"\0")[0]]

    def ended(self) -> int | None:
        """Its exit code; None where it does not end."""
        end = time.monotonic() + PATIENCE
        while self.running:
            if time.monotonic() > end:
                return None
            time.sleep(LOOK)
        return self.process.returncode

    def close(self, grace: float = 20.0) -> list[str]:
        """End what still lives after so long; returns the command lines of those processes."""
        end = time.monotonic() + grace
        while (left := self.members()) and time.monotonic() < end:
            time.sleep(0.05)
        lines = [_read(pid, "cmdline").replace(b"\0", b" ").decode()[:120] for pid in left]
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        os.close(self._master)
        self._master = -1
        return lines


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def _tagged(mark: bytes) -> Iterator[int]:
    for entry in os.scandir("/proc"):
        if entry.name.isdigit() and mark in _read(int(entry.name), "environ").split(b"\0"):
            yield int(entry.name)
