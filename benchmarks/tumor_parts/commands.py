"""Commands of pdeinv on masks of 48³ voxels, and the time that they take."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path

__all__ = ["PDEINV", "TABLE", "timed"]

PDEINV = str(Path(sys.executable).parent / "pdeinv")

TABLE = """
[problem]
name = "tumor"
solver = "finite-differences"
lengths = [192.0, 192.0, 192.0]
cells = 48
voxel = 4.0
[problem.time]
stored = 100
[problem.masks]
[problem.tissue]
kind = "phantom"
"""
"""A run file."""


def timed(*command: str, where: Path) -> dict[str, float]:
    """Wall and CPU seconds of a command of pdeinv."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([PDEINV, *command], cwd=where, check=True, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall": wall, "cpu": cpu}
