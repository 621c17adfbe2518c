"""Cases of the heat problem: every unknown, scheme and number of dimensions."""

from __future__ import annotations

from .case import case

INITIAL = """
[problem]
name = "heat"
cells = 6
[problem.time]
steps = 6
[problem.boundary.right]
kind = "flux"
value = "0.01*t"
[problem.unknown]
kind = "initial-state"
prior = { kind = "gaussian", length = 0.4, modes = 6, grid = [9, 9] }
"""

SOURCE = """
[problem]
name = "heat"
cells = 6
element = "P2"
capacity = "1 + x"
[problem.time]
steps = 8
scheme = "bdf2"
[problem.unknown]
kind = "source"
profile = "1 + sin(3*t)"
prior = { kind = "gaussian", representation = "fft", length = 0.3, smoothness = 0.5, grid = [5, 5] }
"""

CONDUCTIVITY = """
[problem]
name = "heat"
cells = 6
source = "2*t + where(x > 0.5, 1, 0)"
[problem.time]
steps = 6
scheme = "implicit-euler"
[problem.boundary.top]
kind = "robin"
coefficient = 0.5
ambient = "0.5*t"
[problem.unknown]
kind = "conductivity"
prior = { kind = "log-gaussian", mean = -3.0, std = 0.5, length = 0.4, modes = 5, grid = [9, 9] }
"""

ROD = """
[problem]
name = "heat"
lengths = [1.0]
cells = 16
conductivity = 0.2
[problem.time]
steps = 20
scheme = "bdf2"
[problem.boundary.left]
kind = "flux"
[problem.boundary.right]
kind = "robin"
coefficient = 0.5
[problem.unknown]
kind = "flux"
side = "left"
knots = 17
prior = { std = 2.0, length = 0.3, modes = 6 }
"""

MOVING = """
[problem]
name = "heat"
cells = 8
element = "Q1"
[problem.time]
steps = 6
[problem.unknown]
kind = "point-sources"
count = 1
width = 0.1
speed = 0.3
low = [0.1, 0.1]
high = [0.9, 0.9]
strength = { mean = 0.0, std = 0.5 }
"""

TRANSFER = """
[problem]
name = "heat"
lengths = [1.0]
cells = 8
initial = 1.0
[problem.time]
steps = 8
[problem.boundary.right]
kind = "robin"
coefficient = 1.0
[problem.unknown]
kind = "robin"
side = "right"
prior = { kind = "uniform", low = 0.1, high = 3.0 }
"""

BOX = """
[problem]
name = "heat"
lengths = [1.0, 1.0, 0.5]
cells = [4, 4, 2]
element = "Q1"
source = 1.0
[problem.time]
steps = 4
[problem.unknown]
kind = "conductivity"
prior = { kind = "piecewise", cells = [2, 1, 1], mean = -2.0, std = 0.4 }
"""

CASES = (
    case(
        "heat",
        "solve --config run.toml --seed 1 --out truth.nc",
        "observe truth.nc --sensors grid:3x3@0.2:1:3 --noise-rel 0.03 --seed 2 --out obs.nc",
        "check obs.nc --seed 4 --json",
        "invert obs.nc --engine gaussian --draws 20 --chains 2 --seed 3 --out gaussian.nc --json",
        toml=INITIAL,
    ),
    case(
        "heat-source",
        "solve --config run.toml --seed 1 --out truth.nc",
        "observe truth.nc --sensors list:0.3,0.4;0.6,0.5@0.25,0.5,1.0 --noise-rel 0.03 --seed 2 "
        "--out obs.nc",
        "invert obs.nc --engine gaussian --draws 20 --chains 2 --seed 3 --out gaussian.nc",
        "invert obs.nc --engine laplace --set engine.draws=20 --set engine.rank=8 --seed 3 "
        "--out laplace.nc --json",
        toml=SOURCE,
    ),
    case(
        "heat-conductivity",
        "solve --config run.toml --seed 1 --out truth.nc",
        "observe truth.nc --sensors grid:3x3@0.25:1:4 --noise-rel 0.03 --seed 2 --out obs.nc",
        "invert obs.nc --engine map --seed 3 --out map.nc --json",
        "invert obs.nc --engine gauss-newton --set engine.regularization=tikhonov "
        "--set engine.positivity=log --seed 3 --out tikhonov.nc",
        "invert obs.nc --engine pcn --set engine.proposal=laplace --draws 20 --chains 1 "
        "--set engine.warmup=10 --seed 3 --out pcn.nc",
        toml=CONDUCTIVITY,
    ),
    case(
        "heat-two-level",
        "invert ../heat-conductivity/obs.nc --engine two-level --draws 5 --chains 2 "
        "--set engine.warmup=2 --set engine.tuning=20 --set engine.subchain=2 "
        "--set surrogate.name=multifidelity --set surrogate.round_size=12 "
        "--set surrogate.max_rounds=2 --set surrogate.target_sd=3.0 --workers 2 --seed 3 "
        "--out two-level.nc --json",
    ),
    case(
        "heat-flux",
        "solve --config run.toml --seed 1 --out truth.nc",
        "observe truth.nc --sensors list:0.2;0.6;1.0@0.1:1:8 --noise-std 0.02 --seed 2 "
        "--out obs.nc",
        "invert obs.nc --engine gaussian --draws 20 --chains 1 --seed 3 --out gaussian.nc",
        "invert obs.nc --engine gauss-newton --set engine.regularization=smoothness --seed 3 "
        "--out smoothness.nc --json",
        toml=ROD,
    ),
    case(
        "heat-sources",
        "solve --config run.toml --seed 1 --out truth.nc",
        "observe truth.nc --sensors grid:4x4@0.5,1.0 --noise-rel 0.05 --seed 2 --out obs.nc",
        "invert obs.nc --engine emcee --draws 4 --set engine.warmup=2 --set engine.walkers=12 "
        "--set engine.thin=1 --set engine.ensembles=1 --seed 3 --out emcee.nc --json",
        toml=MOVING,
    ),
    case(
        "heat-transfer",
        "solve --config run.toml --seed 1 --out truth.nc",
        "observe truth.nc --sensors grid:3@0.5:1:3 --noise-rel 0.05 --seed 2 --out obs.nc",
        "invert obs.nc --engine pcn --draws 60 --chains 2 --set engine.warmup=20 --seed 3 "
        "--out pcn.nc --json",
        toml=TRANSFER,
    ),
    case(
        "heat-box",
        "solve --config run.toml --seed 1 --level 0 --out truth.nc",
        "observe truth.nc --sensors grid:2x2x1@0.5,1.0 --noise-rel 0.05 --seed 2 --out obs.nc",
        "invert obs.nc --engine map --seed 3 --out map.nc --json",
        toml=BOX,
    ),
    case(
        "heat-data",
        "generate --obs ../heat/obs.nc --n 20 --grid 7x7 --times 0:1:4 --seed 3 --out start.nc",
        "generate --obs ../heat-conductivity/obs.nc --n 20 --grid 7x7 --times 0:1:5 --seed 3 "
        "--out data.nc",
    ),
    case(
        "heat-steps",
        "train-surrogate fno --data ../heat-data/data.nc --set surrogate.time=steps "
        "--set surrogate.unroll=2 --set surrogate.modes=3 --set surrogate.width=4 "
        "--set surrogate.layers=2 --set surrogate.epochs=2 --seed 5 --out net --json",
        "evaluate net --obs ../heat-conductivity/obs.nc --n 3 --seed 6 --out evaluation.nc --json",
        "invert ../heat-conductivity/obs.nc --model surrogate --surrogate net --engine eki "
        "--set engine.ensemble_size=10 --seed 7 --out eki.nc",
        "train-surrogate fno --data ../heat-data/start.nc --set surrogate.time=steps "
        "--set surrogate.modes=3 --set surrogate.width=4 --set surrogate.layers=2 "
        "--set surrogate.epochs=2 --seed 5 --out start --json",
    ),
    case(
        "heat-trajectory",
        "train-surrogate fno --data ../heat-data/data.nc --set surrogate.modes=3 "
        "--set surrogate.width=4 --set surrogate.layers=2 --set surrogate.epochs=2 --seed 5 "
        "--out fno --json",
        "evaluate fno --obs ../heat-conductivity/obs.nc --n 3 --seed 6 --out fno.nc --json",
        "train-surrogate deeponet --data ../heat-data/data.nc --set surrogate.epochs=3 "
        "--set surrogate.widths=[8] --set surrogate.basis=6 --set surrogate.places=30 --seed 5 "
        "--out deeponet --json",
        "evaluate deeponet --obs ../heat-conductivity/obs.nc --n 3 --seed 6 --out deeponet.nc "
        "--json",
    ),
    case(
        "heat-pinn",
        "solve --config run.toml --solver pinn --set solver.width=6 --set solver.depth=2 "
        "--set solver.points=40 --set solver.side_points=8 --set solver.adam_steps=10 "
        "--set solver.block=5 --set solver.finish=lbfgs --set solver.lbfgs_steps=10 --seed 1 "
        "--out net.nc --json",
        toml=TRANSFER,
    ),
)
