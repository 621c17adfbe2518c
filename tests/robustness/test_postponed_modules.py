"""Modules that workers load when they are used."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import importlib.util, sys
from pdeinv.executors.processes import postpone
postpone("xarray")
found = importlib.util.find_spec("xarray")
import xarray
assert found is not None and found.name == "xarray", found
assert "xarray.core" not in sys.modules  # asking has not loaded it
assert xarray.Dataset.__name__ == "Dataset"
"""


def test_a_postponed_module_can_be_asked_for_before_it_is_loaded() -> None:
    call = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(call, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
