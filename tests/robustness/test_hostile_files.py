"""Spoiled files for every reader: accepted or refused in one line, and no other error.

A short run with few inputs; ``benchmarks/fuzz.py`` reads thousands, each in a process with limits.
"""

import random
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from foreign_readers import READERS, attempt, make_examples, spoiled_copy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.filterwarnings("ignore")  # of numbers that no calculation was meant for

QUICK = {
    "formula": 60,
    "sensor table (CSV)": 60,
    "run file (TOML)": 40,
    "EIT frame (CSV)": 30,
    "EIT vector (pyEIT)": 25,
    "EIT MATLAB (KIT4)": 25,
    "EIT MATLAB (KTC)": 15,
    "source file": 30,
    "image (NIfTI)": 60,
    "seismic array (npy)": 40,
    "seismic SEG-Y": 60,
    "observation file": 15,
}
"""Readers that have examples without a solve, and how many inputs each gets."""

SLOW = 100


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    """Files that need no solve."""
    folder = tmp_path_factory.mktemp("examples")
    make_examples(folder, solved=False)
    return folder


def read_spoiled(r, name, examples):
    there = tuple(e for e in READERS[name].examples if (examples / e).exists())
    reader = replace(READERS[name], examples=there or READERS[name].examples)
    with tempfile.TemporaryDirectory() as folder:
        path = spoiled_copy(r, reader, examples, Path(folder))
        assert attempt(reader, path) in ("accepted", "refused")


@pytest.mark.parametrize("name", QUICK)
def test_a_spoiled_file_is_read_or_refused(name, examples):
    @settings(
        max_examples=QUICK[name], deadline=None, derandomize=True, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.randoms(use_true_random=False))
    def check(r):
        read_spoiled(r, name, examples)

    check()


@pytest.fixture(scope="module")
def all_examples(tmp_path_factory, solves_here):
    """Files of every kind."""
    folder = tmp_path_factory.mktemp("examples")
    make_examples(folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(READERS) - {"mesh, plane (MSH)", "mesh, solid (MSH)"}))
def test_many_spoiled_files_are_read_or_refused(name, all_examples):
    for k in range(SLOW):
        read_spoiled(random.Random(f"{name} {k}"), name, all_examples)


@pytest.mark.parametrize("name", READERS)
def test_the_examples_themselves_are_accepted(name, examples):
    """Negative control: what is refused was refused for what was spoiled."""
    whole = [examples / e for e in READERS[name].examples if (examples / e).exists()]
    for path in whole if name != "formula" else ():
        assert attempt(READERS[name], path) == "accepted"
