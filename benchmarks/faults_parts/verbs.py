"""The verbs that are tried, and the commands that make their inputs."""

from __future__ import annotations

from .fault import Verb

__all__ = ["READY", "RUN_FILE", "TABLE", "VERBS"]

RUN_FILE = """seed = 1
[problem]
name = "darcy"
cells = 8
[problem.unknown]
kind = "log-gaussian"
modes = 4
grid = [9, 9]
"""
TABLE = "drive_plus,drive_minus,meas_plus,meas_minus,value\n" + "".join(
    f"{i},{i % 8 + 1},{j},{j % 8 + 1},{0.1 + 0.01 * i + 0.001 * j}\n"
    for i in range(1, 9)
    for j in range(1, 9)
    if not {i, i % 8 + 1} & {j, j % 8 + 1}
)
"""Of an instrument with eight electrodes."""

_SENSORS = "--sensors grid:3x3 --noise-rel 0.02 --seed 1"
_TANK = "--electrodes 8 --first-number 1 --amplitude 1 --radius 1 --electrode-width 0.2"
_PCN = "--engine pcn --chains 2 --set engine.draws=40 --set engine.thin=1 --set engine.warmup=20"

READY = (
    "solve --config run.toml --out truth.nc",
    f"observe truth.nc {_SENSORS} --out obs.nc",
    "generate --obs obs.nc --n 60 --seed 4 --out data.nc",
    "train-surrogate gp --data data.nc --seed 5 --out gp",
    "invert obs.nc --engine laplace --seed 3 --out laplace.nc",
)
"""What runs once, without a fault, to make the inputs."""

VERBS = (
    Verb("solve", "solve --config {ready}/run.toml --out {out}/a.nc", solves=True),
    Verb(
        "solve --vtk",
        "solve --config {ready}/run.toml --out {out}/a.nc --vtk {out}/a.vtkhdf",
        solves=True,
    ),
    Verb(
        "solve --solver pinn",
        "solve --config {ready}/run.toml --out {out}/a.nc --solver pinn"
        " --set solver.adam_steps=20 --set solver.block=10 --set solver.newton_steps=20"
        " --set solver.points=50",
        resumes=True,
        learns=True,
        solves=True,
    ),
    Verb("observe", f"observe {{ready}}/truth.nc {_SENSORS} --out {{out}}/a.nc", solves=True),
    Verb(
        "generate",
        "generate --obs {ready}/obs.nc --n 40 --seed 4 --out {out}/a.nc",
        resumes=True,
        solves=True,
    ),
    Verb(
        "generate --workers 2",
        "generate --obs {ready}/obs.nc --n 40 --seed 4 --workers 2 --out {out}/a.nc",
        resumes=True,
        solves=True,
    ),
    Verb(
        "train-surrogate latent",
        "train-surrogate latent --data {ready}/data.nc --seed 5 --set surrogate.epochs=4"
        " --tensorboard {out}/events --out {out}/a",
        resumes=True,
        learns=True,
    ),
    Verb(
        "train-surrogate gp",
        "train-surrogate gp --data {ready}/data.nc --seed 5 --out {out}/a",
        resumes=True,
        learns=True,
    ),
    Verb(
        "evaluate",
        "evaluate {ready}/gp --obs {ready}/obs.nc --n 4 --seed 6 --out {out}/a.nc"
        " --figure {out}/a.png",
        solves=True,
        learns=True,
    ),
    Verb(
        "invert laplace",
        "invert {ready}/obs.nc --engine laplace --seed 3 --out {out}/a.nc",
        resumes=True,
        solves=True,
    ),
    Verb(
        "invert pcn",
        f"invert {{ready}}/obs.nc {_PCN} --seed 3 --out {{out}}/a.nc",
        resumes=True,
        solves=True,
    ),
    Verb(
        "invert --workers 2",
        f"invert {{ready}}/obs.nc {_PCN} --workers 2 --seed 3 --out {{out}}/a.nc",
        resumes=True,
        solves=True,
    ),
    Verb("check", "check {ready}/obs.nc --seed 1", writes=False, solves=True),
    Verb("score", "score {ready}/laplace.nc --truth {ready}/truth.nc", writes=False, solves=True),
    Verb("plot", "plot {ready}/laplace.nc --out {out}/a.png"),
    Verb("export", "export {ready}/laplace.nc --vtk {out}/a.vtkhdf"),
    Verb(
        "import",
        f"import eit csv {{ready}}/tank.csv {_TANK} --noise-rel 0.01 --out {{out}}/a.nc",
        solves=True,
    ),
    Verb("info", "info {ready}/laplace.nc --json", writes=False),
    Verb("list", "list", writes=False),
    Verb("config show", "config show --config {ready}/run.toml", writes=False),
)
