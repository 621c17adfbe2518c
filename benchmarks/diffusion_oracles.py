"""How far the draws of diffusion engines are from posteriors that are known exactly.

    python benchmarks/diffusion_oracles.py                   # all rows; stop, repeat as you like
    python benchmarks/diffusion_oracles.py --n 32 --engines pnp-dm pigdm --laws "mixture .75"
    python benchmarks/diffusion_oracles.py --n 32 --table    # the rows that are kept

The source of a Poisson problem on 32² or 64² nodes from its state at 128 points with noise of 1 or
10 % of the rms; the prior is a Gaussian field or a mixture of two, known by its exact denoiser, so
that nothing is trained and all error is the engine's. Rows are of 1000 particles (``enkg``: one
ensemble of 1000), with the exact sampler as a positive control; ``dps`` is the negative one.
An engine that claims ``posterior`` has to have a bias of at most .1 posterior standard deviations,
ratios of standard deviations between .9 and 1.1 and weights of modes within .07. Rows are kept in
``results/diffusion_oracles.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import numpy as np  # noqa: E402
from diffusion_parts.judged import Yardstick, missed  # noqa: E402
from diffusion_parts.laws import WEIGHTS, Oracle  # noqa: E402

from pdeinv.engines.run.driver import run  # noqa: E402
from pdeinv.engines.run.spec import Run  # noqa: E402
from pdeinv.io.atomic import write_text  # noqa: E402
from pdeinv.plugins import registry  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "diffusion_oracles.json"
PARTICLES = 1000
ONE = {"chains": 1, "particles": PARTICLES}
OPTIONS: dict[str, dict[str, Any]] = {
    "pnp-dm": {"chains": 1, "walkers": PARTICLES, "warmup": 100, "draws": 60, "thin": 60},
    "pigdm": ONE,
    "diffpir": ONE,
    "dmps": ONE,
    "dds": ONE,
    "daps": ONE,
    "dps": ONE,
    "enkg": {"ensemble_size": PARTICLES},
    "fundps": ONE,
    "diffusionpde": ONE,
}
COLUMNS = ("bias", "pointwise", "widest", "fitted", "modes", "weight", "calls", "misses")


@cache
def yardstick(law: str, n: int, noise: float) -> Yardstick:
    return Yardstick(Oracle(law, n, noise))


def exact(law: str, n: int, noise: float) -> dict[str, Any]:
    stick = yardstick(law, n, noise)
    xi = stick.oracle.case.sample(np.random.default_rng(7), PARTICLES)
    return {**stick.row(xi), "calls": "", "seconds": 0.0}


def engine_row(name: str, law: str, n: int, noise: float) -> dict[str, Any]:
    kind = registry.load("engines", name)
    engine, stick = kind(kind.Config(**OPTIONS[name])), yardstick(law, n, noise)
    with tempfile.TemporaryDirectory() as folder:
        found = run(engine, stick.oracle.case.posterior, Run(1, Path(folder)))
    xi = found.outcome.xi.reshape(-1, n * n)
    calls = [int(found.outcome.summary.get(k, 0)) for k in ("n_denoiser", "n_denoiser_derivative")]
    return {
        **stick.row(xi),
        "calls": "+".join(str(c) for c in calls if c),
        "n_forward": found.counters.n_forward,
        "n_adjoint": found.counters.n_adjoint,
        "seconds": found.cpu_seconds,
    }


def kept() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    return found


def show(name: str, row: dict[str, Any]) -> None:
    def text(value: Any) -> str:
        if isinstance(value, list):
            return " ".join("-" if v is None else f"{v:.2f}" for v in value)
        return f"{value:.2f}" if isinstance(value, float) else str(value)

    cells = [text(row[c]) for c in COLUMNS[:-1]] + [", ".join(missed(row)) or "none"]
    print(f"| {name} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--n", type=int, nargs="+", default=[32, 64])
    parser.add_argument("--laws", nargs="+", default=list(WEIGHTS), choices=list(WEIGHTS))
    parser.add_argument("--noise", type=float, nargs="+", default=[0.01, 0.1])
    parser.add_argument("--engines", nargs="+", default=["exact", *OPTIONS])
    parser.add_argument("--table", action="store_true", help="print what is kept, measure nothing")
    args = parser.parse_args()
    for n, law, noise in product(args.n, args.laws, args.noise):
        print(f"\n{law}, {n}², noise {noise:g}\n\n| engine | {' | '.join(COLUMNS)} |", flush=True)
        print("|" + "---|" * (len(COLUMNS) + 1), flush=True)
        for name in args.engines:
            key = f"{law}, {n}, {noise:g}, {name}"
            if args.table and key not in kept():
                continue
            if key not in kept():
                began = time.monotonic()
                made = exact(law, n, noise) if name == "exact" else engine_row(name, law, n, noise)
                row = {**made, "wall": time.monotonic() - began}
                write_text(RESULTS, json.dumps({**kept(), key: row}, indent=1) + "\n")
            show(name, kept()[key])


if __name__ == "__main__":
    main()
