"""The memory that a command of pdeinv is predicted to take, and what it takes."""

import json
import subprocess
import sys

PEAK = """
import resource, subprocess, sys
done = subprocess.run([sys.executable, "-m", "pdeinv", *sys.argv[1:]], capture_output=True)
if done.returncode:
    sys.exit(done.stderr.decode())
scale = 1 if sys.platform == "darwin" else 1024
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * scale)
"""
"""A program of its own: a process counts the peak of the one that started it."""


def pdeinv(*words):
    command = [sys.executable, "-m", "pdeinv", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def predicted_and_measured(*words):
    """Bytes at the peak of a command that knows --dry-run."""
    plan = json.loads(pdeinv(*words, "--dry-run", "--json"))
    command = [sys.executable, "-c", PEAK, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return 1e6 * plan["peak memory per process (MB)"], float(done.stdout)
