"""Work on a file that may end the process which does it, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

from pdeinv.errors import RunFailed

__all__ = ["Ended", "in_own_process"]

Ended = subprocess.CompletedProcess[str]
"""How a process ended, and what it said."""


def in_own_process(module: str, *words: str, what: str) -> Ended:
    """Run a module of pdeinv until it ends, however that is.

    Nothing is read from the input, and nothing in the working folder is imported.

    Args:
        module: its full name.
        words: its arguments.
        what: it is to do, for the error.

    Raises:
        RunFailed: the process cannot be started.
    """
    found = os.pathsep.join(p for p in sys.path if p)
    try:
        return subprocess.run(
            [sys.executable, "-P", "-m", module, *words], stdin=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": found}, capture_output=True, text=True,
            errors="replace", check=False,
        )  # fmt: skip
    except OSError as error:
        raise RunFailed(f"cannot start {sys.executable} to {what}: {error.strerror}") from None
