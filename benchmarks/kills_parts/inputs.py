"""The small problems that the verbs work on, made once by the commands themselves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SMALL = """
[problem]
name = "darcy"
cells = 8
[problem.unknown]
kind = "log-gaussian"
length = 0.4
modes = 4
grid = [9, 9]
"""
LARGE = SMALL.replace("cells = 8", "cells = 40").replace("modes = 4", "modes = 60")
"""For engines that need a few solves only."""

MADE = (
    "solve --config small.toml --seed 1 --out truth.nc",
    "observe truth.nc --sensors grid:5x5 --noise-rel 0.02 --seed 2 --out obs.nc",
    "solve --config large.toml --seed 1 --out fine.nc",
    "observe fine.nc --sensors grid:9x9 --noise-rel 0.02 --seed 2 --out many.nc",
    "invert obs.nc --engine laplace --seed 3 --out lap.nc",
    "generate --obs obs.nc --around lap.nc --inflation 3 --n 400 --grid 9x9 --seed 4 --out data.nc",
    "train-surrogate latent --data data.nc --seed 5 --set surrogate.epochs=60 --out S",
)
KEPT = ("small.toml", "truth.nc", "obs.nc", "fine.nc", "many.nc", "lap.nc", "data.nc", "S")
"""What a trial finds in its folder."""


def command(*words: str) -> list[str]:
    """The command line of pdeinv by this Python."""
    return [sys.executable, "-m", "pdeinv", *words]


def prepared(folder: Path) -> Path:
    """The folder of inputs, made if need be."""
    inputs = folder / "inputs"
    inputs.mkdir(parents=True, exist_ok=True)
    (inputs / "small.toml").write_text(SMALL)
    (inputs / "large.toml").write_text(LARGE)
    for line in MADE:
        words = line.split()
        if not (inputs / words[-1]).exists():
            subprocess.run(command(*words), cwd=inputs, check=True, capture_output=True)
    return inputs


def linked(inputs: Path, folder: Path) -> Path:
    """A fresh folder with links to the inputs."""
    folder.mkdir(parents=True)
    for name in KEPT:
        (folder / name).symlink_to(inputs / name)
    return folder
