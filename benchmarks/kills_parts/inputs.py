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

WARM = """
[problem]
name = "heat"
cells = 24
[problem.time]
steps = 40
[problem.unknown]
kind = "initial-state"
[problem.unknown.prior]
kind = "gaussian"
length = 0.3
modes = 200
"""
"""For an engine of linear problems."""
BODY = """
[problem]
name = "eit"
model = "continuum"
"""
"""For an engine of boundary maps."""

MADE = (
    "solve --config warm.toml --seed 1 --out warm.nc",
    "observe warm.nc --sensors grid:5x5@0.1:1:5 --noise-rel 0.02 --seed 2 --out linear.nc",
    "solve --config body.toml --seed 1 --out body.nc",
    "observe body.nc --sensors all --noise-rel 0.001 --seed 2 --out map.nc",
    "solve --config small.toml --seed 1 --out truth.nc",
    "observe truth.nc --sensors grid:5x5 --noise-rel 0.02 --seed 2 --out obs.nc",
    "solve --config large.toml --seed 1 --out fine.nc",
    "observe fine.nc --sensors grid:9x9 --noise-rel 0.02 --seed 2 --out many.nc",
    "invert obs.nc --engine laplace --seed 3 --out lap.nc",
    "generate --obs obs.nc --around lap.nc --inflation 3 --n 400 --grid 9x9 --seed 4 --out data.nc",
    "train-surrogate latent --data data.nc --seed 5 --set surrogate.epochs=60 --out S",
)
KEPT = ("small.toml", "truth.nc", "obs.nc", "fine.nc", "many.nc", "linear.nc", "map.nc", "lap.nc",
        "data.nc", "S")  # fmt: skip
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
    (inputs / "warm.toml").write_text(WARM)
    (inputs / "body.toml").write_text(BODY)
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
