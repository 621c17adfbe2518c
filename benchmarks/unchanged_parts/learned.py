"""Cases of data sets and of every surrogate: trained, evaluated, inverted with."""

from __future__ import annotations

from .case import case

DATA, GRID = "../darcy-data/around.nc", "../darcy-data/grid.nc"
OBS = "../darcy/obs.nc"


def learned(name: str, data: str, options: str, *more: str, label: str = "", obs: str = OBS):
    """Train, evaluate at fresh draws, and find the most probable unknown with it."""
    words = " ".join(f"--set surrogate.{word}" for word in options.split())
    return case(
        label or f"learned-{name}",
        f"train-surrogate {name} --data {data} {words} --seed 5 --out net --json",
        f"evaluate net --obs {obs} --n 4 --seed 6 --out evaluation.nc --json",
        *(more or (f"invert {obs} --model surrogate --surrogate net --engine map "
                   "--set engine.max_iterations=3 --seed 7 --out map.nc",)),
    )  # fmt: skip


FIELDS = "modes=3 width=4 layers=2 epochs=3"
TWO_LEVEL = (
    "invert ../darcy/obs.nc --engine two-level --surrogate net --draws 6 --chains 2 "
    "--set engine.warmup=2 --set engine.tuning=30 --set engine.subchain=2 --seed 7 "
    "--out two-level.nc --json"
)

CASES = (
    case(
        "darcy-data",
        "generate --obs ../darcy/obs.nc --n 24 --design sobol --grid 9x9 --jacobian 2 "
        "--workers 2 --seed 3 --out grid.nc",
        "generate --obs ../darcy/obs.nc --n 32 --design sobol --grid 9x9 --jacobian 2 "
        "--resume --out grid.nc",
        "generate --obs ../darcy/obs.nc --n 20 --design lhs --jacobian 6 --level -1 --seed 3 "
        "--out lhs.nc",
        "generate --obs ../darcy/obs.nc --around ../darcy-laplace/laplace.nc --n 40 --seed 4 "
        "--out around.nc",
    ),
    learned(
        "multifidelity", DATA, "method=kernel",
        "invert ../darcy/obs.nc --engine pcn --draws 20 --chains 1 --set engine.warmup=10 "
        "--set engine.thin=1 --model surrogate --surrogate net --seed 7 --out pcn.nc",
        TWO_LEVEL,
    ),
    learned("multifidelity", DATA, "method=network coarse=linear", label="learned-linear"),
    learned("latent", GRID, "epochs=6 widths=[8,8] batch_size=8"),
    learned(
        "gp", DATA, "iterations=6 groups=2",
        "invert ../darcy/obs.nc --model surrogate --surrogate net --engine laplace "
        "--set surrogate.inflate=true --set engine.draws=20 --seed 7 --out laplace.nc",
    ),
    case(
        "learned-two-level",
        "generate --obs ../darcy-two-level-coarse/obs.nc --n 30 --design lhs --seed 4 --out lhs.nc",
        "train-surrogate gp --data lhs.nc --set surrogate.iterations=10 --seed 5 --out net --json",
        TWO_LEVEL.replace("../darcy/", "../darcy-two-level-coarse/"),
    ),
    learned("gp", DATA, "iterations=4 max_points=20 inducing=10 tune_points=20",
            label="learned-sparse-gp"),
    case(
        "learned-ensemble",
        "train-surrogate ensemble --data ../darcy-data/around.nc --config run.toml "
        "--seed 5 --out net --json",
        "evaluate net --obs ../darcy/obs.nc --n 4 --seed 6 --out evaluation.nc --json",
        "invert ../darcy/obs.nc --model surrogate --surrogate net --engine eki "
        "--set engine.ensemble_size=12 --seed 7 --out eki.nc",
        toml="""
[surrogate]
name = "ensemble"
member = "latent"
members = 2
options = { epochs = 4, widths = [8] }
""",
    ),
    learned("fno", GRID, FIELDS),
    learned("tfno", GRID, f"{FIELDS} rank=0.5"),
    learned("uno", GRID, "modes=3 width=4 layers=4 epochs=3"),
    learned("deeponet", GRID, "epochs=4 widths=[8] basis=6 places=30"),
    learned("deeponet", GRID, "epochs=4 widths=[8] basis=6 trunk=pod branch=coefficient "
            "branch_grid=[5,5]", label="learned-deeponet-pod"),
    case(
        "learned-resumed",
        "stops: train-surrogate latent --data ../darcy-data/grid.nc --set surrogate.epochs=8 "
        "--set surrogate.ema=0.9 --set surrogate.warmup=1 --time-limit 00:00:00 --seed 5 "
        "--out net",
        "train-surrogate latent --data ../darcy-data/grid.nc --set surrogate.epochs=8 "
        "--set surrogate.ema=0.9 --set surrogate.warmup=1 --resume --out net --json",
    ),
)  # fmt: skip
