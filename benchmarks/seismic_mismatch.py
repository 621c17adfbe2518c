"""How far apart records of one section are that should be alike: by absorbing layer, and by model.

    python benchmarks/seismic_mismatch.py [--family NAME] [--model N] [--only layer|deepwave]

The survey is the preset ``openfwi``; sections, fine mesh, high-pass and noise are those of
``benchmarks/seismic_fwi.py``. ``layer``: spectral elements with absorbing layers of several widths
against one of 900 m, and the processor seconds of each. ``deepwave``: finite differences on nodes
every 10 m, velocities by the mean of 1/v² over cells, against those elements. The measure is the
root mean square of the difference over that of the data, and in each band the noise that would
make the misfit of both together, over the noise of the data alone.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from seismic_fwi import (
    FAST,
    FINE,
    HELD_OUT,
    SIDE,
    WIDE,
    centres,
    clean,
    judged_by,
    noise_level,
    velocity,
)

from pdeinv.bayes.causal import Causal
from pdeinv.bayes.filtered import in_band
from pdeinv.bayes.noise import Noise
from pdeinv.plugins.recipe import make_problem

WIDTHS = (300.0, 450.0, 600.0)
BANDS = (8.0, 11.0, 14.0, 22.0)
CELLS = FINE // 2


def coarse(family: str, seed: int, at: dict[str, np.ndarray]) -> np.ndarray:
    """Data by deepwave of the mean of 1/v² in cells of 10 m."""
    cells = {"kind": "piecewise", "cells": [CELLS, CELLS], "mean": np.log(2500.0), "std": 0.1}
    table = {"preset": "openfwi", "unknown": cells, "time": {"fastest": 4600.0}, **FAST}
    v = velocity(family, seed, centres(FINE)).reshape(CELLS, 2, CELLS, 2)
    mean = np.mean(v**-2.0, axis=(1, 3)) ** -0.5
    return np.asarray(make_problem("seismic", table).forward_model(at)(mean.ravel()))


def told(name: str, off: np.ndarray, values: np.ndarray, at: dict[str, np.ndarray]) -> None:
    """One line of the table."""
    sigma = noise_level(at, values)
    law = judged_by(Noise(np.full(len(values), sigma)), at)
    passed = law.along.filter
    share = np.linalg.norm(passed(off)) / np.linalg.norm(passed(values))
    laws = [in_band(law, Causal(law.along.traces, below)) for below in BANDS]
    factors = [np.sqrt(1 + float(one.misfit(off, 0 * off)) / (one.count / 2)) for one in laws]
    print(f"{name:26} {share:8.2%}   " + "  ".join(f"{f:6.2f}" for f in factors), flush=True)


def compared(family: str, seed: int, only: str | None) -> Iterator[tuple[str, Any]]:
    """Names and differences from the widest layer."""
    at, best = clean(family, seed)
    yield "", (at, best)
    for width in WIDTHS if only != "deepwave" else ():
        begin = time.process_time()
        other = clean(family, seed, width)[1]
        yield f"layer {width:g} m, {time.process_time() - begin:.1f} CPU s", other - best
    if only != "layer":
        yield "deepwave, 10 m", coarse(family, seed, at) - best


def main() -> None:
    said = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    said.add_argument("--family", default="curvefault-a", choices=HELD_OUT)
    said.add_argument("--model", type=int, default=100)
    said.add_argument("--only", choices=("layer", "deepwave"))
    given = said.parse_args()
    print(f"{given.family} {given.model}, {SIDE:g} m, against a layer of {WIDE:g} m")
    print(f"{'':26} above 5 Hz   noise factor below " + ", ".join(f"{b:g}" for b in BANDS) + " Hz")
    at: dict[str, np.ndarray] = {}
    values = np.zeros(0)
    for name, found in compared(given.family, given.model, given.only):
        if name:
            told(name, found, values, at)
        else:
            at, values = found


if __name__ == "__main__":
    main()
