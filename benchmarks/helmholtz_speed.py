"""What pdeinv costs on top of a bare sparse factorisation: Helmholtz with 20 incident waves.

Run ``python benchmarks/helmholtz_speed.py``; it prints a table and writes
``results/helmholtz_speed.json``.

One pdeinv solve is ``model(m)`` at about 9 k complex unknowns: contrast at the quadrature points,
assembly, factorisation, 20 right-hand sides and their solves, values at 32 receivers. The bare
program gets the ready matrix and right-hand sides and calls SciPy's SuperLU,
``splu(A).solve(B)``, with the minimum-degree options that pdeinv uses (the faster choice) and with
SciPy's defaults.

The gradient after the value costs 20 more triangular solves; a Gauss-Newton action 40.
Repetitions are interleaved, each with another m, and medians are compared.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from scipy.sparse.linalg import splu

from pdeinv.problems.helmholtz import Helmholtz, HelmholtzConfig
from pdeinv.provenance import versions
from pdeinv.rng import stream

TARGET = 1.3
OPTIONS = {
    "permc_spec": "MMD_AT_PLUS_A",
    "diag_pivot_thresh": 0.1,
    "options": {"SymmetricMode": True},
}
ELEMENTS = {"P2": 32, "P3": 22, "P4": 16}
"""Cells along each side that give about 9 k unknowns."""


def setting(element: str, cells: int) -> tuple[Helmholtz, Any]:
    config = {
        "element": element,
        "cells": cells,
        "frequencies": [3.0],
        "incident": {"kind": "plane", "count": 20},
    }
    problem = Helmholtz(HelmholtzConfig.model_validate(config))
    return problem, problem.forward_model(problem.sensors("ring:32"))


def measure(element: str, cells: int, repeats: int, now: Callable[[], float]) -> dict[str, Any]:
    """Median times in ms, and their ratios."""

    def clock(call: Callable[[], Any]) -> float:
        begin = now()
        call()
        return 1e3 * (now() - begin)

    problem, model = setting(element, cells)
    prior, rng = problem.prior(), stream(0, "benchmark")
    k = problem.config.ks[0]
    equation = problem.domain.system(k)
    w = rng.standard_normal(model.d_space.size)
    times: dict[str, list[float]] = {
        name: [] for name in ("bare", "default", "value", "gradient", "action")
    }
    for repeat in range(repeats + 1):
        m, dm = prior.unwhiten(rng.standard_normal((2, prior.dim)))
        q = problem.coefficient_at(equation.rule.points)(m)
        A = equation.matrix(q)
        B = equation.load(k**2 * q[:, None] * problem._incident(k, equation.rule))
        found = {
            "value": clock(lambda m=m: model(m)),
            "bare": clock(lambda A=A, B=B: splu(A, **OPTIONS).solve(B)),
            "default": clock(lambda A=A, B=B: splu(A).solve(B)),
        }
        at = model.linearize(m)
        found["gradient"] = clock(lambda at=at: at.vjp(w))
        found["action"] = clock(lambda at=at, dm=dm: at.vjp(at.jvp(dm)))
        if repeat:  # the first warms up caches
            for name, value in found.items():
                times[name].append(value)
    t = {name: float(np.median(v)) for name, v in times.items()}
    return {
        "element": element,
        "unknowns": problem.dofs(0),
        **{f"{name}_ms": v for name, v in t.items()},
        "over_bare": t["value"] / t["bare"],
        "over_default": t["value"] / t["default"],
        "gradient_over_value": t["gradient"] / t["value"],
        "action_over_value": t["action"] / t["value"],
        "met": t["value"] <= TARGET * t["bare"],
    }


def show(rows: list[dict[str, Any]]) -> None:
    names = (
        "unknowns",
        "bare ms",
        "default ms",
        "value ms",
        "/bare",
        "/default",
        "grad ms",
        "GN ms",
    )
    print(f"{'':>8}" + "".join(f"{n:>12}" for n in names) + "  met")
    for r in rows:
        print(
            f"{r['element']:>8}{r['unknowns']:>12}{r['bare_ms']:>12.1f}{r['default_ms']:>12.1f}"
            f"{r['value_ms']:>12.1f}{r['over_bare']:>12.2f}{r['over_default']:>12.2f}"
            f"{r['gradient_ms']:>12.1f}{r['action_ms']:>12.1f}  {'yes' if r['met'] else 'NO'}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    default = Path(__file__).parent / "results" / "helmholtz_speed.json"
    parser.add_argument("--out", type=Path, default=default)
    arguments = parser.parse_args()
    now = time.perf_counter if arguments.clock == "wall" else time.thread_time
    rows = [measure(e, n, arguments.repeats, now) for e, n in ELEMENTS.items()]
    show(rows)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    machine = {"clock": arguments.clock, "machine": platform.machine(), "target": TARGET}
    report = {**machine, "versions": versions(), "rows": rows}
    arguments.out.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
