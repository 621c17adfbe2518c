"""How often the guard of rows of waves is needed, and how well rows agree with single solves.

Run ``python benchmarks/helmholtz_rows.py``; it prints a table. Rows of Helmholtz are factored
without pivots. For many draws of the prior it tells the backward error of such a solution before
anything is done about it, the shares of rows that are refined and that are solved alone, and the
largest difference from single solves with pivots, relative to the largest datum.
"""

from __future__ import annotations

import argparse
import os
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from pdeinv.fem import guarded_tiles
from pdeinv.kernels.lanewise import lane_largest
from pdeinv.plugins.recipe import make_problem
from pdeinv.rng import stream

SETTINGS: dict[str, dict[str, Any]] = {
    "default": {},
    "24 cells": {"cells": 24},
    "∂u/∂n = iku": {"truncation": {"kind": "impedance"}},
    "walls": {"truncation": {"kind": "dirichlet"}},
    "P2, 32 cells, frequency 3": {"element": "P2", "cells": 32, "frequencies": [3.0]},
    "contrasts 3 times as strong": {
        "cells": 16,
        "unknown": {"kind": "gaussian", "length": 0.2, "std": 0.9},
    },
}
SINGLE = 32
"""Rows that are solved one by one as well."""


class Watched(guarded_tiles.GuardedTiles):
    """The same, which notes the backward errors of solutions as the factor gives them."""

    seen: list[Any] = []
    lost = 0

    def refined(self, at: Any, x: Any, b: Any) -> Any:
        rest = b - self._pattern.times(at.entries, x)
        size = lane_largest(at.entries) * lane_largest(x) + lane_largest(b)
        Watched.seen.append(lane_largest(rest) / size)
        found = super().refined(at, x, b)
        Watched.lost += int(np.isnan(found).any(axis=(0, 1, 2)).sum())
        return found


def measured(config: dict[str, Any], count: int) -> str:
    """A row of the table."""
    problem = make_problem("helmholtz", config)
    model, prior = problem.forward_model(problem.sensors(problem.default_sensors)), problem.prior()
    ms = prior.unwhiten(stream(0, "benchmark").standard_normal((count, prior.dim)))
    Watched.seen, Watched.lost = [], 0
    values = model.rows(ms).values
    single = np.array([model(m) for m in ms[:SINGLE]])
    gap = np.abs(values[:SINGLE] - single).max() / np.abs(single).max()
    error = np.concatenate(Watched.seen)
    shares = (error > guarded_tiles.BOUND).mean(), Watched.lost / count
    inner = model._tiled.tile._bands[0].equation.points.values.shape[1]
    quantiles = np.quantile(error, [0.5, 0.99, 1.0])
    return (
        f"{problem.dofs(0)}, {inner} | " + ", ".join(f"{q:.1e}" for q in quantiles) + " | "
        f"{100 * shares[0]:.2f} % | {100 * shares[1]:.2f} % | {gap:.1e}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=2048, help="a multiple of the lanes of a tile")
    count = parser.parse_args().rows
    from pdeinv.fem import wave_tiles

    wave_tiles.GuardedTiles = Watched
    for name, config in SETTINGS.items():
        print(f"| {name} | {measured(config, count)} |", flush=True)


if __name__ == "__main__":
    main()
