"""Cases of impedance tomography: bodies, protocols, unknowns, boundary maps and imports."""

from __future__ import annotations

from .case import case

FIELD = """
[problem]
name = "eit"
cells = 8
[problem.electrodes]
count = 8
cells = 2
[problem.unknown]
kind = "log-gaussian"
modes = 6
grid = [9, 9]
"""

COMPLEX = """
[problem]
name = "eit"
cells = 6
frequency = 1e5
[problem.domain]
kind = "ellipse"
axes = [0.12, 0.08]
[problem.electrodes]
count = 6
cells = 2
impedance = 0.001
[problem.drive.pattern]
kind = "trigonometric"
[problem.measure.pattern]
kind = "single"
[problem.permittivity]
kind = "piecewise"
cells = [2, 2]
mean = -13.0
std = 0.3
[problem.unknown]
kind = "piecewise"
cells = [2, 2]
std = 0.3
"""

CONTACTS = """
[problem]
name = "eit"
cells = 6
difference = true
reference = 0.8
[problem.domain]
kind = "rectangle"
lengths = [2.0, 1.5]
[problem.electrodes]
count = 6
cells = 2
impedance = 0.05
impedance_std = 0.3
[problem.drive.pattern]
kind = "skip"
skip = 1
[problem.measure]
include_driven = true
[problem.measure.pattern]
kind = "against-one"
references = [0]
[problem.unknown]
kind = "elements"
std = 0.3
"""

PHASES = """
[problem]
name = "eit"
cells = 6
element = "P2"
[problem.electrodes]
count = 6
cells = 1
[problem.drive.pattern]
kind = "opposite"
[problem.unknown]
kind = "level-set"
thresholds = [-0.3, 0.7]
values = [0.5, 1.0, 2.0]
grid = [9, 9]
modes = 3
"""

CHEST = """
[problem]
name = "eit"
cells = 8
[problem.domain]
kind = "thorax"
radius = 0.15
[problem.electrodes]
count = 8
cells = 1
spacing = "angle"
direction = "clockwise"
[problem.unknown]
kind = "ellipses"
count = 1
background = 0.5
"""

MAPS = """
[problem]
name = "eit"
model = "continuum"
map = "neumann-to-dirichlet"
modes = 4
cells = 10
[problem.unknown]
kind = "log-gaussian"
grid = [13, 13]
modes = 6
"""

TANK = """
[problem]
name = "eit"
preset = "ktc2023"
ktc_level = 7
cells = 8
[problem.electrodes]
cells = 1
[problem.unknown]
kind = "piecewise"
cells = [16, 16]
"""

SMOOTH = """
[problem]
name = "eit"
[problem.unknown]
kind = "log-gaussian"
length = 0.03
modes = 6
grid = [9, 9]
"""

SOLID = """
[problem]
name = "eit"
cells = 4
[problem.domain]
kind = "disc"
radius = 1.0
depth = 0.5
[problem.electrodes]
count = 4
cells = 1
[problem.unknown]
kind = "log-gaussian"
modes = 4
grid = [5, 5, 3]
"""

CASES = (
    case(
        "eit",
        "solve --config run.toml --seed 1 --out truth.nc",
        "observe truth.nc --sensors all --noise-rel 0.02 --seed 2 --out obs.nc",
        "check obs.nc --seed 4 --json",
        "invert obs.nc --engine gauss-newton --set engine.positivity=log --seed 3 "
        "--out noser.nc --json",
        "score noser.nc --truth truth.nc --grid 16 --json",
        toml=FIELD,
    ),
    case(
        "eit-two-level",
        "invert ../eit/obs.nc --engine two-level --draws 5 --chains 1 --set engine.warmup=2 "
        "--set engine.tuning=20 --set engine.subchain=2 --set surrogate.name=multifidelity "
        "--set surrogate.round_size=12 --set surrogate.max_rounds=2 --set surrogate.target_sd=3.0 "
        "--seed 3 --out two-level.nc --json",
    ),
    case(
        "eit-complex",
        "solve --config run.toml --seed 1 --level 0 --out truth.nc",
        "observe truth.nc --sensors injections:0,2,3 --noise-rel 0.01 --seed 2 --out obs.nc",
        "invert obs.nc --engine laplace --set engine.draws=20 --seed 3 --out laplace.nc --json",
        toml=COMPLEX,
    ),
    case(
        "eit-contacts",
        "solve --config run.toml --seed 1 --level 0 --out truth.nc",
        "observe truth.nc --sensors all --noise-rel 0.02 --seed 2 --out obs.nc",
        "invert obs.nc --engine gauss-newton --set engine.regularization=tv "
        "--set engine.positivity=log --set engine.steps=4 --seed 3 --out tv.nc --json",
        "invert obs.nc --engine gauss-newton --set engine.steps=1 --seed 3 --out one.nc",
        toml=CONTACTS,
    ),
    case(
        "eit-level-set",
        "solve --config run.toml --seed 1 --level 0 --out truth.nc",
        "observe truth.nc --sensors all --noise-rel 0.05 --seed 2 --out obs.nc",
        "invert obs.nc --engine eki --set engine.ensemble_size=12 --seed 3 --out eki.nc",
        "invert obs.nc --engine pcn --draws 30 --chains 1 --set engine.warmup=10 --seed 3 "
        "--out pcn.nc --json",
        toml=PHASES,
    ),
    case(
        "eit-ellipses",
        "solve --config run.toml --seed 1 --out truth.nc",
        "observe truth.nc --sensors all --noise-rel 0.02 --seed 2 --out obs.nc",
        "invert obs.nc --engine map --seed 3 --out map.nc --json",
        toml=CHEST,
    ),
    case(
        "eit-d-bar",
        "solve --config run.toml --m phantom:heart-and-lungs --seed 1 --out truth.nc",
        "observe truth.nc --sensors all --noise-rel 0.001 --seed 2 --out obs.nc",
        "invert obs.nc --engine d-bar --set engine.grid=16 --set engine.parts=4 --seed 3 "
        "--out d-bar.nc --json",
        "invert obs.nc --engine d-bar --set engine.grid=16 --set engine.parts=4 "
        "--set engine.scattering=exp --set engine.radius=3.0 --seed 3 --out exp.nc",
        toml=MAPS,
    ),
    case(
        "eit-tank",
        "solve --config run.toml --m phantom:tank --level 0 --seed 3 --out truth.nc",
        "observe truth.nc --sensors all --noise-rel 0.002 --seed 4 --out obs.nc",
        toml=TANK,
    ),
    case(
        "eit-tank-map",
        "invert ../eit-tank/obs.nc --config run.toml --engine map --set engine.max_iterations=5 "
        "--seed 3 --out map.nc --json",
        "score map.nc --truth ../eit-tank/truth.nc --metric ktc --metric rel-l2 --grid 32 --json",
        toml=SMOOTH,
    ),
    case(
        "eit-solid",
        "solve --config run.toml --seed 1 --level 0 --out truth.nc",
        "observe truth.nc --sensors all --noise-rel 0.02 --seed 2 --out obs.nc",
        "invert obs.nc --engine gauss-newton --set engine.regularization=smoothness --seed 3 "
        "--out smoothness.nc --json",
        toml=SOLID,
    ),
    case(
        "eit-import",
        "csv: ../eit/obs.nc voltages.csv",
        "import eit csv voltages.csv --electrodes 8 --first-number 1 --amplitude 1 "
        "--first-angle 0 --direction ccw "
        "--current-unit mA --radius 1 --electrode-width 0.39 --noise-rel 0.02 --out obs.nc",
        "check obs.nc --config run.toml --seed 4 --json",
        "invert obs.nc --config run.toml --engine map --seed 3 --out map.nc",
        toml=FIELD,
    ),
    case(
        "eit-learned",
        "generate --obs ../eit/obs.nc --n 24 --seed 3 --out data.nc",
        "train-surrogate fno --data data.nc --set surrogate.modes=3 --set surrogate.width=4 "
        "--set surrogate.layers=2 --set surrogate.epochs=2 --set surrogate.grid=9 --seed 5 "
        "--out net --json",
        "evaluate net --obs ../eit/obs.nc --n 3 --seed 6 --out evaluation.nc --json",
    ),
)
