"""How long processors have worked for this process and for those that it started."""

from __future__ import annotations

import os
import time
from multiprocessing import active_children
from pathlib import Path

__all__ = ["cpu_seconds"]


def cpu_seconds() -> float:
    """CPU seconds of this process and its workers, those that have ended included.

    Living workers are counted where the system tells of them (Linux).
    """
    ended = os.times()
    living = sum(_of(child.pid) for child in active_children() if child.pid is not None)
    return time.process_time() + ended.children_user + ended.children_system + living


def _of(pid: int) -> float:
    """User and system time of a process; 0 where it cannot be read."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
        fields = text.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return 0.0
