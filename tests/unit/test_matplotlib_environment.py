"""What an environment says about matplotlib does not keep a figure from its file."""

import os
import subprocess
import sys

import pytest

from pdeinv.errors import RunFailed
from pdeinv.jobs.plot import figure

DRAW = """
from pathlib import Path
from pdeinv.jobs.plot.figure import draw
draw([lambda ax: ax.set_title("a_b")], Path("a.png"), 50)
"""


def test_backends_of_notebooks_and_desktops_are_not_loaded(tmp_path):
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\n")  # without a latex
    environ = {"MPLBACKEND": "module://matplotlib_inline.backend_inline", "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", DRAW], check=False, capture_output=True, text=True, cwd=tmp_path,
        env={**os.environ, **environ},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.png").stat().st_size > 0


def test_the_variable_is_left_as_it_was(monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "agg")
    figure._matplotlib()
    assert os.environ["MPLBACKEND"] == "agg"


def test_a_matplotlib_that_cannot_be_loaded_is_told_in_one_line(monkeypatch):
    def broken(name):
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")

    monkeypatch.setattr(figure, "import_module", broken)
    with pytest.raises(RunFailed, match=r"matplotlib cannot be loaded \(.*matplotlibrc"):
        figure._matplotlib()
