"""Cases of the Darcy problem: the engines, and every kind of field."""

from __future__ import annotations

from .case import case

PLAIN = """
[problem]
name = "darcy"
cells = 8
[problem.unknown]
kind = "log-gaussian"
modes = 6
grid = [9, 9]
"""

CELLS = """
[problem]
name = "darcy"
cells = [8, 6]
element = "Q2"
lengths = [1.0, 0.75]
source = "1 + where(x < 0.5, y, 0)"
[problem.boundary.left]
kind = "dirichlet"
value = "1 + 0.1*y"
[problem.boundary.top]
kind = "flux"
value = 0.05
[problem.unknown]
kind = "piecewise"
cells = [2, 2]
std = 0.7
measure = "linear"
"""

PHASES = """
[problem]
name = "darcy"
cells = 8
element = "Q1"
[problem.unknown]
kind = "two-phase"
grid = [9, 9]
modes = 4
constant_mode = false
"""

LEVELS = """
[problem]
name = "darcy"
cells = 6
[problem.unknown]
kind = "level-set"
thresholds = [-0.4, 0.6]
values = [1.0, 4.0, 9.0]
grid = [9, 9]
modes = 3
"""

TORUS = """
[problem]
name = "darcy"
cells = 6
element = "P2"
[problem.unknown]
kind = "log-gaussian"
representation = "fft"
smoothness = 0.5
length = 0.2
grid = [7, 7]
"""

MESH = """
[problem]
name = "darcy"
cells = 6
[problem.unknown]
kind = "log-gaussian"
representation = "spde"
smoothness = 1.0
length = 0.4
"""

LAYERS = """
[problem]
name = "darcy"
cells = 6
[problem.unknown]
kind = "uniform"
low = 0.5
high = 2.0
cells = [1, 2]
"""

PINN = (
    "width=6",
    "depth=2",
    "points=24",
    "side_points=8",
    "adam_steps=10",
    "newton_block=2",
    "block=5",
)
SOLVER = " ".join(f"--set solver.{word}" for word in PINN)
ENGINE = " ".join(f"--set engine.{word}" for word in PINN)

CASES = (
    case(
        "darcy",
        "solve --config run.toml --seed 1 --out truth.nc --vtk truth.vtkhdf",
        "solve --config run.toml --seed 1 --m mean --level -1 --out mean.nc",
        "observe truth.nc --sensors grid:4x4 --noise-rel 0.05 --seed 2 --out obs.nc",
        "check obs.nc --seed 4 --json",
        toml=PLAIN,
    ),
    case(
        "darcy-map",
        "invert ../darcy/obs.nc --engine map --set engine.starts=2 --seed 3 --out map.nc --json",
        "invert ../darcy/obs.nc --engine map --set engine.method=lbfgs --noise-std 0.004 --seed 3 "
        "--out lbfgs.nc",
        "score map.nc --truth ../darcy/truth.nc --metric rel-l2 --metric rel-l1 --metric dice "
        "--threshold 1.0 --grid 16 --json",
    ),
    case(
        "darcy-laplace",
        "invert ../darcy/obs.nc --engine laplace --set engine.rank=2 --set engine.draws=40 "
        "--seed 3 --out laplace.nc --json",
    ),
    case(
        "darcy-pcn",
        "invert ../darcy/obs.nc --engine pcn --draws 60 --chains 2 --set engine.warmup=20 "
        "--set engine.thin=2 --workers 2 --seed 3 --out pcn.nc --json",
    ),
    case(
        "darcy-pcn-resumed",
        "invert ../darcy/obs.nc --engine pcn --draws 30 --chains 1 --set engine.warmup=20 "
        "--seed 3 --out pcn.nc",
        "invert ../darcy/obs.nc --engine pcn --draws 70 --chains 1 --set engine.warmup=20 "
        "--resume --out pcn.nc --json",
    ),
    case(
        "darcy-pcn-laplace",
        "invert ../darcy/obs.nc --engine pcn --set engine.proposal=laplace --draws 50 --chains 2 "
        "--set engine.warmup=20 --set engine.thin=1 --seed 3 --out pcn.nc --json",
    ),
    case(
        "darcy-budget",
        "invert ../darcy/obs.nc --engine pcn --draws 500 --chains 2 --set engine.warmup=10 "
        "--max-solves 40 --seed 3 --out pcn.nc --json",
    ),
    case(
        "darcy-emcee",
        "solve --config run.toml --seed 1 --out truth.nc",
        "observe truth.nc --sensors list:0.2,0.2;0.5,0.4;0.8,0.6 --noise-std 0.01 --seed 2 "
        "--out obs.nc",
        "invert obs.nc --engine emcee --draws 12 --set engine.warmup=4 --set engine.thin=2 "
        "--set engine.walkers=10 --seed 3 --out emcee.nc --json",
        "invert obs.nc --engine emcee --draws 8 --set engine.warmup=0 --set engine.walkers=10 "
        "--set engine.moves=stretch --set engine.ensembles=1 --set engine.thin=1 --seed 3 "
        "--out stretch.nc",
        toml=CELLS,
    ),
    case(
        "darcy-eki",
        "solve --config run.toml --seed 1 --out truth.nc",
        "observe truth.nc --sensors all --noise-rel 0.05 --seed 2 --out obs.nc",
        "invert obs.nc --engine eki --set engine.ensemble_size=16 --workers 2 --seed 3 "
        "--out eki.nc --json",
        "invert obs.nc --engine eki --set engine.ensemble_size=12 --set engine.until=discrepancy "
        "--seed 3 --out early.nc",
        "generate --obs obs.nc --around eki.nc --inflation 1.2 --n 8 --seed 4 --out around.nc",
        toml=PHASES,
    ),
    case(
        "darcy-level-set",
        "solve --config run.toml --seed 1 --out truth.nc",
        "observe truth.nc --sensors grid:3x3 --noise-rel 0.1 --seed 2 --out obs.nc",
        "invert obs.nc --engine pcn --draws 60 --chains 2 --set engine.warmup=20 --seed 3 "
        "--out pcn.nc --json",
        "invert obs.nc --engine map --set problem.unknown.blend=0.3 --seed 3 --out blend.nc",
        toml=LEVELS,
    ),
    case(
        "darcy-gauss-newton",
        "solve --config run.toml --seed 1 --out truth.nc",
        "observe truth.nc --sensors grid:4x4 --noise-rel 0.05 --seed 2 --out obs.nc",
        "invert obs.nc --engine gauss-newton --set engine.positivity=log --seed 3 "
        "--out noser.nc --json",
        "invert obs.nc --engine gauss-newton --set engine.regularization=smoothness "
        "--set engine.positivity=log --set engine.rule=gcv --seed 3 --out smoothness.nc",
        "invert obs.nc --engine gauss-newton --set engine.regularization=tv "
        "--set engine.positivity=bounds --set engine.lower=0.1 --set engine.upper=5.0 "
        "--set engine.steps=6 --seed 3 --out tv.nc",
        toml=TORUS,
    ),
    case(
        "darcy-spde",
        "solve --config run.toml --seed 1 --out truth.nc",
        "observe truth.nc --sensors grid:3x3 --noise-rel 0.05 --seed 2 --out obs.nc",
        "invert obs.nc --engine laplace --set engine.draws=20 --seed 3 --out laplace.nc --json",
        "invert obs.nc --engine gauss-newton --set engine.regularization=prior --seed 3 "
        "--out prior.nc",
        toml=MESH,
    ),
    case(
        "darcy-two-level",
        "invert ../darcy/obs.nc --engine two-level --draws 8 --chains 2 --set engine.warmup=2 "
        "--set engine.tuning=40 --set engine.subchain=2 --set surrogate.name=multifidelity "
        "--set surrogate.round_size=12 --set surrogate.max_rounds=3 --set surrogate.target_sd=3.0 "
        "--seed 3 --out two-level.nc --json",
    ),
    case(
        "darcy-two-level-coarse",
        "solve --config run.toml --seed 1 --out truth.nc",
        "observe truth.nc --sensors grid:3x3 --noise-rel 0.1 --seed 2 --out obs.nc",
        "invert obs.nc --engine two-level --draws 8 --chains 1 --set engine.warmup=2 "
        "--set engine.tuning=40 --set engine.subchain=2 --set engine.correction_every=3 "
        "--set surrogate.name=multifidelity --set surrogate.start=coarse "
        "--set surrogate.round_size=12 --set surrogate.max_rounds=3 --set surrogate.target_sd=3.0 "
        "--seed 3 --out two-level.nc --json",
        toml=LAYERS,
    ),
    case(
        "darcy-pinn",
        f"solve --config run.toml --solver pinn --compare {SOLVER} --set solver.newton_steps=4 "
        "--seed 1 --out net.nc --json",
        f"solve --config run.toml --solver pinn --compare {SOLVER} --set solver.newton_steps=8 "
        "--resume --out net.nc --json",
        f"invert ../darcy/obs.nc --engine pinn {ENGINE} --set engine.newton_steps=6 --seed 3 "
        "--out pinn.nc --json",
        toml=PLAIN,
    ),
)
