"""How often the best of several searches is called converged though a lower minimum is known.

    python benchmarks/search_agreement.py        # four minutes of CPU time

The case is that of ``examples/eit``: two ellipses in a tank, of whose minima many are deep. ``map``
makes 40 searches with each of three seeds, and the minima of all are pooled; sets of 4 to 24 of
these searches, drawn with replacement, are then judged as a run of so many would be. Sets whose
best does not fit the data are left out, since their misfit tells. A best one is right where it is
at most 0.5 above the lowest of the pool.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402

import pdeinv  # noqa: E402
from pdeinv.bayes.fit import largest_misfit  # noqa: E402
from pdeinv.engines.agreement import Agreement  # noqa: E402
from pdeinv.typing import Array  # noqa: E402

OBS = Path(__file__).parents[1] / "examples/eit/obs.nc"
SEEDS, SEARCHES, SETS, SLACK = (1, 2, 3), 40, 3000, 0.5


def pooled() -> tuple[Array, float]:
    """J where each search ended, infinite where at no minimum; the J at which the data are fit."""
    heights = []
    for seed in SEEDS:
        found = pdeinv.invert(OBS, engine="map", seed=seed, starts=SEARCHES)
        optima = found["optima"]
        ended = np.repeat(optima["objective"].values, optima["searches"].values)
        heights += [ended, np.full(SEARCHES - len(ended), np.inf)]
    return np.concatenate(heights), largest_misfit(found["observed_data"].sizes["obs"])


def main() -> None:
    (heights, fits), rng = pooled(), np.random.default_rng(0)
    levels, counts = np.unique(heights[heights <= fits].round(2), return_counts=True)
    print(f"{np.isfinite(heights).sum()} of {len(heights)} searches ended at a minimum, of which")
    print("fit the data: " + ", ".join(f"{j} ({n})" for j, n in zip(levels, counts, strict=True)))
    print("| searches | sets that fit | wrong | wrong and converged | right and converged |")
    for n in (4, 8, 16, 24):
        sets = [s for s in rng.choice(heights, (SETS, n)) if s.min() <= fits]
        right = np.array([s.min() <= heights.min() + SLACK for s in sets])
        sure = np.array([not Agreement.of(s[np.isfinite(s)]).doubtful for s in sets])
        row = (len(sets), (~right).sum(), (sure & ~right).sum(), (sure & right).sum())
        print(f"| {n} | " + " | ".join(map(str, row)) + " |", flush=True)


if __name__ == "__main__":
    main()
