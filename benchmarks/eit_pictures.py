"""Do default settings show what is in a tank? Pictures of data from another solver.

    python benchmarks/eit_pictures.py             # all of it; stop and repeat as you like
    python benchmarks/eit_pictures.py --seeds 2   # a part

Two discs (balls), five times as conductive and a fifth, at places of their own for each seed, in
water of 1 S/m; data of a complete-electrode program in NumPy and SciPy with meshes of its own
(tests/helpers/complete_electrode.py), noise 0.2 % of the largest voltage. Engines and unknown have
their defaults. A picture is right where the centres of conductor and resistor (of the part beyond
half of the extreme, in ln σ) are within a tenth of the radius.

Results are kept in ``results/eit_pictures.json`` run by run, and what is there is not run again.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import sys  # noqa: E402

sys.path.append(str(Path(__file__).parents[1] / "tests/helpers"))

import numpy as np  # noqa: E402
from two_discs import CASES, observations, picture  # noqa: E402

from pdeinv.errors import PdeinvError  # noqa: E402
from pdeinv.io import netcdf  # noqa: E402
from pdeinv.io.atomic import write_text  # noqa: E402
from pdeinv.jobs.invert.run import Inversion, invert  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "eit_pictures.json"
PENALTIES = "noser", "tikhonov", "smoothness", "tv", "prior"
METHODS = {
    **{f"gauss-newton, {p}": {"name": "gauss-newton", "regularization": p} for p in PENALTIES},
    **{name: {"name": name} for name in ("map", "laplace", "eki")},
}


def run(case: str, method: str, seed: int, folder: Path) -> dict:
    """One inversion, and what its picture shows."""
    path = folder / f"{case}-{seed}.nc"
    if not path.exists():
        netcdf.write(path, observations(case, seed))
    began = time.process_time()
    inversion = Inversion.resolve({"seed": seed, "engine": METHODS[method]}, path)
    try:
        tree = invert(inversion, folder / "out.nc", overwrite=True)
    except PdeinvError as error:
        return {"refused": str(error)}
    seconds = time.process_time() - began
    problem, shape = inversion.problem, CASES[case].grid
    found = tree["estimates"].to_dataset()
    names = {f"{v.name}_mean": v.name for v in problem.prior().space.variables}
    m = problem.prior().space.pack(found.rename(names))
    nodes = problem.grid(shape)
    points = np.stack([nodes[a] for a in problem.axes], axis=1)
    seen = picture(points, problem.mask(points), shape, problem.on_grid(m, shape), case, seed)
    return {
        "right": seen.right,
        "distance": seen.distance,
        "peak": seen.peak,
        "mean": seen.mean,
        "misfit_per_datum": float(tree["sample_stats"]["misfit"].mean())
        / inversion.observations.size,
        "converged": bool(tree.attrs["pdeinv_converged"]),
        "message": tree.attrs["pdeinv_message"],
        "cpu_seconds": round(seconds, 1),
    }


def table(rows: dict[str, dict]) -> str:
    """One line for each case and method."""
    heads = ("case", "method", "right", "farthest centre (R)", "σ at the conductor (5)",
             "at the resistor (0.2)", "Φ / datum", "converged", "CPU s")  # fmt: skip
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for case in CASES:
        for method in METHODS:
            own = [r for k, r in rows.items() if k.startswith(f"{case} | {method} | ")]
            if own:
                lines.append(_line(case, method, own))
    return "\n".join(lines)


def _line(case: str, method: str, own: list[dict]) -> str:
    done = [r for r in own if "right" in r]
    if not done:
        return f"| {case} | {method} | 0 of {len(own)} | {own[0]['refused']} | | | | | |"

    def spread(values: list[float]) -> str:
        low, high = f"{min(values):.2f}", f"{max(values):.2f}"
        return low if low == high else f"{low}–{high}"

    peaks = [spread([r["peak"][i] for r in done]) for i in (0, 1)]
    return (
        f"| {case} | {method} | {sum(r['right'] for r in done)} of {len(own)} | "
        f"{max(max(r['distance']) for r in done):.3f} | {peaks[0]} | {peaks[1]} | "
        f"{spread([r['misfit_per_datum'] for r in done])} | "
        f"{sum(r['converged'] for r in done)} of {len(own)} | "
        f"{np.median([r['cpu_seconds'] for r in done]):.1f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    rows = json.loads(options.out.read_text()) if options.out.exists() else {}
    with TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in range(options.seeds):
            for case in options.cases:
                for method in options.methods:
                    key = f"{case} | {method} | {seed}"
                    if key not in rows:
                        rows[key] = run(case, method, seed, Path(scratch))
                        write_text(options.out, json.dumps(rows, indent=1) + "\n")
                        print(key, json.dumps(rows[key]), flush=True)
    print(table(rows))


if __name__ == "__main__":
    main()
