"""The processes that train one network together, through plain ``torch.distributed``.

Every process holds the whole network and a share of each minibatch; gradients are summed over the
processes once per step. That is what DistributedDataParallel does, but its hooks neither allow a
loss that differentiates the network itself nor a share of no samples, so the sum is taken here.
Numbers for decisions travel over gloo, gradients on GPUs over nccl.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NoReturn

from pdeinv.errors import PdeinvError, RunFailed
from pdeinv.executors.line import Line
from pdeinv.executors.meeting import PATIENCE, kept_local, met
from pdeinv.executors.place import Place

__all__ = ["ALONE", "FirstFailed", "Ranks", "leave", "opened"]

LINGER = 1.0
"""Seconds for which connections stay open after the last message."""


class FirstFailed(PdeinvError):
    """The first process failed and has said why."""


@dataclass(frozen=True)
class Ranks:
    """The processes as one of them sees them; alone, every operation is the identity.

    Attributes:
        rank: number of this process, from 0.
        size: how many there are.
        local: number of this process on its machine.
        line: on which it waits for the others; None alone.
    """

    rank: int = 0
    size: int = 1
    local: int = 0
    line: Line | None = field(default=None, compare=False, repr=False)

    @property
    def first(self) -> bool:
        """Whether this process writes, logs and prints."""
        return self.rank == 0

    def listening(self, asked: Callable[[], bool]) -> None:
        """Leave others that do not answer once ``asked`` says that this process is to stop."""
        if self.line is not None:
            self.line.asked = asked

    def worst(self, code: int) -> int:
        """The largest code over all processes."""
        return int(self._reduced([code], "MAX")[0])

    def total(self, *values: float) -> list[float]:
        """Sums over all processes, the same bits everywhere."""
        return self._reduced(values, "SUM")

    def wait(self) -> None:
        """Until all processes are here."""
        self.worst(0)

    def _reduced(self, values: Sequence[float], how: str) -> list[float]:
        if self.size == 1:
            return [float(v) for v in values]
        import torch
        import torch.distributed as dist

        tensor = torch.tensor(values, dtype=torch.float64)
        operation = getattr(dist.ReduceOp, how)
        self._meet(lambda wait: dist.all_reduce(tensor, operation, async_op=wait))
        return [float(v) for v in tensor]

    def _meet(self, begin: Callable[[bool], Any], waits: bool = True) -> None:
        """Carry out a collective operation, and hear signals while others are awaited.

        Args:
            begin: begins it, and gives the work to wait for where that is asked for.
            waits: whether it is to be waited for; what a GPU does is not.
        """
        with _lost_contact(self.line):
            work = begin(waits and self.line is not None)
            if self.line is not None and work is not None:
                self.line.until(work)

    def sum_gradients(self, parameters: Sequence[Any]) -> None:
        """Replace the gradients of ``parameters`` by their sums, in one message a precision."""
        if self.size > 1:
            import torch.distributed as dist

            self._in_one([p.grad for p in parameters], dist.all_reduce)

    def copy_first(self, tensors: Sequence[Any]) -> None:
        """Replace ``tensors`` by those of the first process."""
        if self.size > 1:
            import torch.distributed as dist

            self._in_one(tensors, lambda flat, **how: dist.broadcast(flat, 0, **how))

    def _in_one(self, tensors: Sequence[Any], operation: Callable[..., Any]) -> None:
        """Apply ``operation`` to all tensors, joined; complex ones as pairs of reals."""
        import torch

        plain = [torch.view_as_real(t) if t.is_complex() else t for t in tensors]
        for kind in sorted({t.dtype for t in plain}, key=str):
            group = [t for t in plain if t.dtype == kind]
            flat = torch.cat([t.reshape(-1) for t in group])
            self._meet(partial(_begun, operation, flat), waits=not flat.is_cuda)
            parts = torch.split(flat, [t.numel() for t in group])
            with torch.no_grad():
                for tensor, part in zip(group, parts, strict=True):
                    tensor.copy_(part.view_as(tensor))

    def by_first(self, function: Callable[[], Any]) -> Any:
        """What ``function`` (JSON data) returns in the first process, which alone runs it.

        Raises:
            FirstFailed: it raised a :class:`PdeinvError` there; the first process raises that.
        """
        if self.size == 1:
            return function()
        failure: PdeinvError | None = None
        answer: dict[str, Any] = {}
        if self.first:
            try:
                answer = {"value": function()}
            except PdeinvError as error:
                failure, answer = error, {"code": error.exit_code, "text": str(error)}
        answer = json.loads(self._told(json.dumps(answer)))
        if failure is not None:
            raise failure
        if "code" in answer:
            other = FirstFailed(answer["text"])
            other.exit_code = answer["code"]
            raise other
        return answer["value"]

    def _told(self, text: str) -> str:
        """The first process's text."""
        import torch
        import torch.distributed as dist

        raw = torch.frombuffer(bytearray(text.encode() or b" "), dtype=torch.uint8)
        size = torch.tensor([len(raw)])
        self._meet(lambda wait: dist.broadcast(size, 0, async_op=wait))
        message = raw if self.first else torch.empty(int(size), dtype=torch.uint8)
        self._meet(lambda wait: dist.broadcast(message, 0, async_op=wait))
        return bytes(message.tolist()).decode()


ALONE = Ranks()
"""One process."""


def _begun(operation: Callable[..., Any], tensor: Any, wait: bool) -> Any:
    return operation(tensor, async_op=wait)


@contextmanager
def _lost_contact(line: Line | None) -> Iterator[None]:
    """Turn a broken connection into one line."""
    try:
        yield
    except RuntimeError as error:
        if line is not None:
            line.broken()
        raise RunFailed(
            "lost contact with another training process, which has ended or hangs "
            f"({str(error).splitlines()[0][:120]}); see its message; what was saved is kept, "
            "continue with --resume"
        ) from error


def _never() -> bool:
    return False


def _nothing(_: str) -> None:
    """Say nothing."""


@contextmanager
def opened(
    place: Place | None,
    device: str = "cpu",
    ends: bool = False,
    say: Callable[[str], None] = _nothing,
    asked: Callable[[], bool] = _never,
) -> Iterator[Ranks]:
    """The processes of ``place`` connected while the block runs, each on its ``device``.

    Where the process ``ends`` afterwards, connections are left to the operating system, see
    :func:`leave`. What it does while others are missing is told in :func:`.meeting.met`.

    Raises:
        Preempted: it was asked to stop while it waited for others.
        RunFailed: they do not find one another.
    """
    if place is None:
        yield ALONE
        return
    import torch
    import torch.distributed as dist

    cuda = device.startswith("cuda")
    if cuda:
        torch.cuda.set_device(device)
    try:
        # meeting is a step of its own: torch numbers the groups of a process, those that failed
        # too, and processes that count differently wait for each other for ever
        store = met(place, say, asked)
        with kept_local(place):
            dist.init_process_group(
                "cpu:gloo,cuda:nccl" if cuda else "gloo",
                store=store,
                rank=place.rank,
                world_size=place.size,
                timeout=PATIENCE,
            )
    except (RuntimeError, ValueError, OSError) as error:
        raise RunFailed(
            f"process {place.rank} of {place.size} found no meeting place at "
            f"{place.address}:{place.port} ({str(error).splitlines()[0][:120]}); set MASTER_ADDR "
            "and MASTER_PORT"
        ) from error
    line = Line(store, place, asked)
    try:
        with line.parting():
            yield Ranks(place.rank, place.size, place.local, line)
    finally:
        # a peer that closes its connections while the last message is under way aborts this one
        time.sleep(LINGER)
        if not ends and not line.abandoned:
            dist.destroy_process_group()


def leave(code: int) -> NoReturn:
    """End this process at once.

    While peers leave too, torch now and then aborts a process that takes its connections down
    ("terminate called without an active exception"), which would hide the exit code.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)
