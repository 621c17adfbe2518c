"""The suite sees faults: each of many one-line changes makes the tests that are named fail.

The sources are copied, one line is changed, and the tests of the repository run against the copy.
"""

import os
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Fault:
    """A change of one line and who must see it.

    Attributes:
        room: a folder or file of the sources.
        old: a part of one line there, which stands there once.
        new: what takes its place.
        tests: a test file.
        k: which of its tests, as ``pytest -k`` has it.
    """

    room: str
    old: str
    new: str
    tests: str
    k: str


TABLE = Path(__file__).with_name("planted_faults.toml")
FAULTS = {name: Fault(**row) for name, row in tomllib.loads(TABLE.read_text()).items()}
ROOT = Path(__file__).parents[2]
ROOMS = {"pdeinv": "pdeinv", "problems": "pdeinv/problems", "surrogates": "pdeinv/surrogates"}
ROOMS["cli"] = "pdeinv/cli"
"""Where the folders of the repository lie in the package."""


def files(root: Path, room: str) -> list[Path]:
    """The modules of a room."""
    place = root / room
    return sorted(place.rglob("*.py")) if place.is_dir() else [place]


def found(root: Path, fault: Fault, room: str) -> Path:
    """The one file with the line."""
    texts = {f: f.read_text().count(fault.old) for f in files(root, room)}
    holding = {f: n for f, n in texts.items() if n}
    assert sum(holding.values()) == 1, (
        f"{fault.old!r} stands {sum(holding.values())} times in {room}, expected once: "
        "write the fault anew for the line that took its place"
    )
    return next(iter(holding))


def test_there_are_enough_faults_and_every_line_is_there():
    assert len(FAULTS) >= 40
    assert len({(f.room, f.old, f.new) for f in FAULTS.values()}) == len(FAULTS)
    for fault in FAULTS.values():
        found(ROOT, fault, fault.room)
        assert (ROOT / fault.tests).is_file()


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    """The package as one folder."""
    site = tmp_path_factory.mktemp("site")
    for folder, place in ROOMS.items():
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, site / place, ignore=ignored, dirs_exist_ok=True)
    asked = (
        "import pdeinv.rng as a, pdeinv.surrogates.common.bound as b; print(a.__file__, b.__file__)"
    )
    command = [sys.executable, "-P", "-B", "-c", asked]
    env = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert all(name.startswith(str(site)) for name in done.stdout.split())
    return site


def run(site: Path, tests: str, k: str) -> subprocess.CompletedProcess[str]:
    """Tests of the repository against the package in ``site``."""
    words = ["-q", "-x", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestConfigWarning"]
    command = [sys.executable, "-P", "-B", "-m", "pytest", *words, str(ROOT / tests), "-k", k]
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    env = {**os.environ, **threads, "PYTHONPATH": str(site)}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize(("tests", "k"), sorted({(f.tests, f.k) for f in FAULTS.values()}))
def test_without_a_fault_the_tests_pass(tests, k, copied):
    """Negative control, which also shows that the copy is what they import."""
    done = run(copied, tests, k)
    assert done.returncode == 0, done.stdout[-2000:]


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_the_fault_is_found(name, copied):
    fault = FAULTS[name]
    folder, _, rest = fault.room.partition("/")
    file = found(copied, fault, f"{ROOMS[folder]}/{rest}")
    sound = file.read_text()
    file.write_text(sound.replace(fault.old, fault.new))
    try:
        done = run(copied, fault.tests, fault.k)
    finally:
        file.write_text(sound)
    assert done.returncode == 1, f"survived: {done.stdout[-1500:]}{done.stderr[-500:]}"
    assert "failed" in done.stdout
