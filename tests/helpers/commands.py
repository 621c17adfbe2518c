"""Commands in processes of their own, to be stopped and killed."""

import os
import subprocess
import sys
import time

PATIENCE = 120
"""Seconds that anything may take."""


def start(*words):
    """The command in a process (and process group) of its own, in the current folder."""
    return subprocess.Popen(
        [sys.executable, "-m", "pdeinv", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def wait_for(condition, process, pause=0.02):
    """Until ``condition`` holds; the process must not end before."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "waited in vain"
        time.sleep(pause)
