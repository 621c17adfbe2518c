"""How flame speeds of Cantera depend on the grid, and what solves and derivatives cost.

    python benchmarks/flame_grids.py

Hydrogen and air at 1 atm and 298 K (``h2o2.yaml``): levels of ``flame-cantera``, which halve the
cells of one refined grid, the same extrapolated over two grids, and grids that Cantera refines by
smaller criteria. Then the seconds of one flame and of its derivative by all 29 rate constants.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import numpy as np  # noqa: E402

from pdeinv.config import parse  # noqa: E402
from pdeinv.problems.flame.detailed import DetailedConfig, FlameCantera  # noqa: E402
from pdeinv.problems.flame.detailed.solver import Solver  # noqa: E402
from pdeinv.typing import Array  # noqa: E402

RATIOS, REPEATS = (0.7, 1.0, 1.4), 5
FULL = {"transport": "multicomponent", "soret": True}


def made(**table: object) -> FlameCantera:
    """The problem with some keys."""
    return FlameCantera(parse(DetailedConfig, table, "problem"))


def speeds(level: int, **table: object) -> Array:
    """At the rates of the mechanism."""
    own = made(**table)
    at = own.sensors("speed:" + ",".join(map(str, RATIOS)))
    return np.asarray(own.forward_model(at, level)(np.zeros(2)))


def seconds(call: Callable[[], object]) -> float:
    """The least CPU time of some calls."""
    found = []
    for _ in range(REPEATS):
        began = time.process_time()
        call()
        found.append(time.process_time() - began)
    return min(found)


def main() -> None:
    """Print both tables."""
    print("| grid | " + " | ".join(f"phi {phi}" for phi in RATIOS) + " |")
    print("|---" * (1 + len(RATIOS)) + "|")

    def row(name: str, values: Array) -> None:
        print(f"| {name} | " + " | ".join(f"{v:.4f}" for v in values) + " |", flush=True)

    levels = [speeds(level) for level in range(5)]
    for level, values in enumerate(levels):
        row(f"level {level}", values)
    row("limit of levels 3 and 4", 2 * levels[4] - levels[3])
    for level in (0, 1):
        row(f"level {level}, extrapolate", speeds(level, extrapolate=True))
    for slope in (0.03, 0.02, 0.01):
        row(f"slope {slope}, curve {2 * slope}", speeds(0, slope=slope, curve=2 * slope))
    print("\n| transport | points | solve, s | derivative, s |\n|---|---|---|---|")
    m = np.array([0.1, -0.1])
    for name, table in (("mixture-averaged", {}), ("multicomponent, Soret", FULL)):
        own = made(**table)
        solver, at = Solver.of(own.config, 0), own.config.inlet
        state = solver.state(at, m)
        solve = seconds(lambda s=solver, a=at: s.state(a, m))
        slopes = seconds(lambda s=solver, a=at, u=state: s.by_each(a, m, u))
        print(f"| {name} | {state.shape[1]} | {solve:.3f} | {slopes:.3f} |", flush=True)


if __name__ == "__main__":
    main()
