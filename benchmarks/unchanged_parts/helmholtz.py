"""Cases of the Helmholtz problem: truncations, measurements, quantities and shapes."""

from __future__ import annotations

from .case import case

FIELD = """
[problem]
name = "helmholtz"
cells = 8
element = "P2"
frequencies = [0.8]
[problem.incident]
kind = "plane"
count = 2
[problem.unknown]
kind = "gaussian"
length = 0.25
std = 0.2
modes = 5
grid = [9, 9]
"""

BUMPS = """
[problem]
name = "helmholtz"
cells = 5
element = "P3"
frequencies = [0.6, 0.9]
measure = "far-field"
[problem.truncation]
kind = "pml"
width = 0.2
[problem.incident]
kind = "plane"
angles = [0.0, 70.0]
[problem.unknown]
kind = "bumps"
count = 1
"""

DISCS = """
[problem]
name = "helmholtz"
cells = 8
element = "Q2"
frequencies = [0.7]
receivers = "integrate"
[problem.truncation]
kind = "impedance"
[problem.incident]
kind = "point"
count = 2
radius = 0.6
[problem.unknown]
kind = "inclusions"
count = 1
amplitude = [0.1, 1.0]
radius = [0.05, 0.2]
edge = 0.05
"""

SOURCE = """
[problem]
name = "helmholtz"
cells = 6
element = "Q2"
wavenumbers = [1.0]
quantity = "source"
[problem.truncation]
kind = "dirichlet"
[problem.unknown]
kind = "gaussian"
length = 0.3
modes = 6
grid = [9, 9]
"""

RADIATING = """
[problem]
name = "helmholtz"
cells = 6
element = "P3"
frequencies = [0.5, 0.8]
quantity = "source"
[problem.unknown]
kind = "gaussian"
length = 0.3
modes = 4
grid = [7, 7]
"""

TRACES = """
[problem]
name = "helmholtz"
cells = 4
element = "P4"
wavenumbers = [3.0]
measure = "normal-derivative"
total = true
quantity = "index"
[problem.truncation]
kind = "dirichlet"
[problem.incident]
kind = "plane"
count = 3
[problem.unknown]
kind = "log-gaussian"
mean = 0.3
std = 0.1
length = 0.4
modes = 4
grid = [7, 7]
"""

CASES = (
    case(
        "helmholtz",
        "solve --config run.toml --seed 1 --out truth.nc",
        "observe truth.nc --sensors ring:6 --noise-rel 0.05 --seed 2 --out obs.nc",
        "check obs.nc --seed 4 --json",
        "invert obs.nc --engine map --seed 3 --out map.nc --json",
        "score map.nc --truth truth.nc --grid 12 --json",
        toml=FIELD,
    ),
    case(
        "helmholtz-gauss-newton",
        "invert ../helmholtz/obs.nc --engine gauss-newton --set engine.regularization=tv "
        "--set engine.weight=0.5 --set engine.steps=5 --seed 3 --out tv.nc --json",
    ),
    case(
        "helmholtz-bumps",
        "solve --config run.toml --seed 1 --level 0 --out truth.nc",
        "observe truth.nc --sensors ring:8 --noise-rel 0.05 --seed 2 --out obs.nc",
        "invert obs.nc --engine eki --set engine.ensemble_size=12 --seed 3 --out eki.nc --json",
        toml=BUMPS,
    ),
    case(
        "helmholtz-inclusions",
        "solve --config run.toml --seed 1 --out truth.nc",
        "observe truth.nc --sensors ring:6:0.45 --noise-rel 0.05 --seed 2 --out obs.nc",
        "invert obs.nc --engine pcn --set engine.proposal=laplace --draws 20 --chains 1 "
        "--set engine.warmup=10 --seed 3 --out pcn.nc --json",
        toml=DISCS,
    ),
    case(
        "helmholtz-source",
        "solve --config run.toml --seed 1 --out truth.nc",
        "observe truth.nc --sensors grid:4x4 --noise-rel 0.02 --seed 2 --out obs.nc",
        "invert obs.nc --engine gaussian --draws 20 --chains 1 --seed 3 --out gaussian.nc --json",
        toml=SOURCE,
    ),
    case(
        "helmholtz-radiating",
        "solve --config run.toml --seed 1 --level 0 --out truth.nc",
        "observe truth.nc --sensors list:0.1,0.1;0.9,0.5 --noise-rel 0.02 --seed 2 --out obs.nc",
        "invert obs.nc --engine gaussian --draws 20 --chains 1 --seed 3 --out gaussian.nc",
        toml=RADIATING,
    ),
    case(
        "helmholtz-traces",
        "solve --config run.toml --seed 1 --level 0 --out truth.nc",
        "observe truth.nc --sensors boundary:5 --noise-rel 0.02 --seed 2 --out obs.nc",
        "invert obs.nc --engine laplace --set engine.draws=20 --seed 3 --out laplace.nc --json",
        toml=TRACES,
    ),
    case(
        "helmholtz-learned",
        "generate --obs ../helmholtz/obs.nc --n 30 --grid 7x7 --jacobian 2 --seed 3 --out data.nc",
        "train-surrogate latent --data data.nc --set surrogate.epochs=5 "
        "--set surrogate.widths=[8] --seed 5 --out latent --json",
        "invert ../helmholtz/obs.nc --engine laplace --set engine.draws=20 --seed 3 "
        "--out laplace.nc",
        "evaluate latent --obs ../helmholtz/obs.nc --around laplace.nc --n 3 --seed 6 "
        "--out evaluation.nc --json",
        "train-surrogate deeponet --data data.nc --set surrogate.epochs=3 "
        "--set surrogate.octaves=2 --set surrogate.widths=[8] --set surrogate.basis=6 --seed 5 "
        "--out deeponet --json",
        "invert ../helmholtz/obs.nc --model surrogate --surrogate deeponet --engine map --seed 7 "
        "--out map.nc",
    ),
    case(
        "helmholtz-pinn",
        "solve --config run.toml --solver pinn --set solver.width=6 --set solver.depth=2 "
        "--set solver.features=4 --set solver.activation=sine --set solver.points=40 "
        "--set solver.adam_steps=10 --set solver.block=10 --set solver.newton_steps=6 "
        "--set solver.newton_block=3 --set problem.truncation.kind=impedance --seed 1 "
        "--level 0 --out net.nc --json",
        toml=FIELD,
    ),
)
