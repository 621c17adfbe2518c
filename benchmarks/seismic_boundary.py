"""How well waves leave a rectangle, by the width of the absorbing layer and what it leaves of them.

    python benchmarks/seismic_boundary.py

Two traces in a homogeneous medium, relative to those of a rectangle so wide that no wave comes
back, for layers of several widths and reflections.
"""

from __future__ import annotations

import numpy as np

from pdeinv.plugins.recipe import make_problem

SURVEY = {"sources": [[320.0, 320.0]], "receivers": [[200.0, 250.0], [500.0, 100.0]]}
CONSTANT = {"kind": "uniform", "low": 1800.0, "high": 3200.0}
REFLECTIONS = (0.05, 0.2, 0.5, 0.8)
WIDTHS, WIDE = (0.0, 160.0, 320.0, 480.0, 640.0), 1280.0


def traces(width: float, reflection: float = 0.8) -> np.ndarray:
    boundary = {"width": width, "reflection": reflection}
    table = {"survey": SURVEY, "time": {"final": 0.8}, "boundary": boundary, "unknown": CONSTANT}
    problem = make_problem("seismic", table)
    return problem.forward_model(problem.sensors("all"))(np.array([2500.0]))


def main() -> None:
    wide = traces(WIDE)
    told = ", ".join(f"{r:g}" for r in REFLECTIONS)
    print(f"layer of 8 Hz at 2500 m/s (312 m), width: difference by reflection {told}")
    for width in WIDTHS:
        off = [
            np.linalg.norm(traces(width, r) - wide) / np.linalg.norm(wide)
            for r in (REFLECTIONS if width else (0.8,))
        ]
        print(f"{width:5.0f} m  " + "  ".join(f"{v:.4f}" for v in off), flush=True)


if __name__ == "__main__":
    main()
