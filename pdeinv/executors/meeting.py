"""How processes that train together find one another, while each still hears signals.

torch waits in C++, where no handler of Python runs; so it waits in a thread, and for all to be
there it is asked again and again.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from pdeinv.errors import Preempted, RunFailed
from pdeinv.executors.place import Place
from pdeinv.launchers import environment

__all__ = ["PATIENCE", "kept_local", "met", "on_loopback"]

PATIENCE = timedelta(minutes=20)
"""How long a process waits for the others, which may be writing a checkpoint."""

LOOK = 0.1
"""Seconds between two looks for the others."""

SILENT = {True: 2.0, False: 30.0}
"""Seconds before the first process says that it waits, and before another one does."""

HERE = "pdeinv/here"
"""What the processes that have come are counted by."""


def met(place: Place, say: Callable[[str], None], asked: Callable[[], bool]) -> Any:
    """The store through which the processes of ``place`` talk, when all have come.

    Args:
        place: of this process.
        say: told once, after a while, that this process waits for others.
        asked: whether this process is to stop; a handler of signals may as well raise.

    Raises:
        Preempted: it was asked to.
        RunFailed: they did not come.
    """
    waiting = _Waiting(place, say, asked)
    store = waiting.until(_Work(lambda: _store(place)))
    store.add(HERE, 1)
    while (there := int(store.add(HERE, 0))) < place.size:
        waiting.missing = place.size - there
        waiting.check_patience()
        waiting.look()
    return store


def _store(place: Place) -> Any:
    """A connection to the first process, or the store of torchrun, which has one of its own."""
    import torch.distributed as plain
    from torch.distributed.rendezvous import rendezvous

    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
        host = f"[{place.address}]" if ":" in place.address else place.address
        url = f"tcp://{host}:{place.port}"
        return next(rendezvous(url, place.rank, place.size, timeout=PATIENCE))[0]
    listens = place.rank == 0 and on_loopback(place.address)
    dist: Any = plain  # some names of the module are not declared
    return dist.TCPStore(
        place.address,
        place.port,
        place.size,
        place.rank == 0,
        timeout=PATIENCE,
        wait_for_workers=False,
        # torch by itself would listen to every network
        master_listen_fd=_listener(place) if listens else None,
    )


def _listener(place: Place) -> int:
    family = socket.AF_INET6 if ":" in place.address else socket.AF_INET
    return socket.create_server((place.address, place.port), family=family).detach()


def on_loopback(address: str) -> bool:
    """Whether an address is one that only this machine reaches."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


@contextmanager
def kept_local(place: Place) -> Iterator[None]:
    """Where all processes are on this machine, torch listens to no network in the block."""
    names = [name for _, name in socket.if_nameindex() if name.startswith("lo")]
    if not on_loopback(place.address) or "GLOO_SOCKET_IFNAME" in os.environ or not names:
        yield
        return
    with environment({"GLOO_SOCKET_IFNAME": names[0]}):
        yield


class _Work(threading.Thread):
    """Something that is done in a thread, which the process does not wait for at its end."""

    def __init__(self, work: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self.result: Any = None
        self.error: Exception | None = None

    def run(self) -> None:
        """Do it and keep what comes of it."""
        try:
            self.result = self._work()
        except Exception as error:  # raised again in the thread that waits
            self.error = error


class _Waiting:
    """One process that waits."""

    def __init__(self, place: Place, say: Callable[[str], None], asked: Callable[[], bool]) -> None:
        self._place, self._say, self._asked = place, say, asked
        self._began, self._said = time.monotonic(), False
        self.missing = place.size - 1 if place.rank == 0 else 1

    def look(self) -> None:
        """Wait a little.

        Raises:
            Preempted: the process was asked to stop.
        """
        if self._asked():
            raise Preempted("stopped while it waited for other processes; run the command again")
        if not self._said and self._passed > SILENT[self._place.rank == 0]:
            self._said = True
            minutes = PATIENCE.total_seconds() / 60
            self._say(f"waiting for {self._others} (up to {minutes:.0f} minutes)")
        time.sleep(LOOK)

    def check_patience(self) -> None:
        """Give up after a while.

        Raises:
            RunFailed: it has waited for too long.
        """
        if self._passed > PATIENCE.total_seconds():
            raise RunFailed(f"{self._others} did not come; start all of them, or fewer")

    @property
    def _passed(self) -> float:
        return time.monotonic() - self._began

    @property
    def _others(self) -> str:
        place, n = self._place, self.missing
        return f"{n} more process{'es' * (n > 1)} at {place.address}:{place.port}"

    def until(self, work: _Work) -> Any:
        """What ``work`` gives."""
        work.start()
        while work.is_alive():
            self.look()
        if work.error is not None:
            raise work.error
        return work.result
