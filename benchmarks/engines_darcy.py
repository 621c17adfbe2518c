"""Every engine on one small Darcy case: means, standard deviations and solves side by side.

    python benchmarks/engines_darcy.py            # a few minutes

Case: log-normal conductivity in 2 x 2 cells, ln κ ~ N(0, 1), 25 heads with 2 % noise, data from a
mesh twice as fine; default options but for `emcee` (2000 draws).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from pdeinv.bayes.noise import Noise
from pdeinv.errors import CapabilityError, ConfigError
from pdeinv.io import netcdf
from pdeinv.io.observations import Observations, to_dataset
from pdeinv.jobs.invert.run import Inversion, invert
from pdeinv.plugins import registry
from pdeinv.plugins.recipe import make_problem
from pdeinv.provenance import attributes
from pdeinv.rng import stream

CONFIG = {"unknown": {"kind": "piecewise", "cells": [2, 2], "std": 1.0}}
OPTIONS = {"emcee": {"draws": 2000}}
SEED = 3


def observe(path: Path) -> None:
    """Write the observation file."""
    problem = make_problem("darcy", CONFIG)
    sensors = problem.sensors("grid:5x5")
    truth = problem.prior().unwhiten(stream(SEED, "truth").standard_normal(4))
    clean = problem.forward_model(sensors, 1)(truth)
    noise = Noise(np.full(25, 0.02 * np.abs(clean).max()))
    data = Observations(
        problem.observed, clean + noise.sample(stream(SEED, "noise")), sensors, noise
    )
    netcdf.write(path, to_dataset(data, attributes({}, SEED)))


def figures(name: str, folder: Path) -> dict[str, object]:
    """What one engine finds and spends."""
    tables = {
        "seed": SEED,
        "workers": 2,
        "problem": {"name": "darcy", **CONFIG},
        "engine": {"name": name, **OPTIONS.get(name, {})},
    }
    inversion = Inversion.resolve(tables, folder / "obs.nc")
    tree = invert(inversion, folder / f"{name}.nc")
    xi = tree["unconstrained_posterior"]["xi"].values.reshape(-1, 4)
    spent = {k: int(tree.attrs[f"pdeinv_{k}"]) for k in ("n_forward", "n_adjoint", "n_surrogate")}
    return {
        "engine": name,
        "mean": np.round(xi.mean(axis=0), 3).tolist(),
        "sd": np.round(xi.std(axis=0, ddof=1), 3).tolist() if len(xi) > 1 else None,
        "converged": bool(tree.attrs["pdeinv_converged"]),
        **spent,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engines", nargs="+", default=registry.names("engines"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/engines_darcy.json"))
    options = parser.parse_args()
    rows = []
    with TemporaryDirectory() as scratch:
        observe(Path(scratch) / "obs.nc")
        for name in options.engines:
            if name == "gauss-newton":  # regularised in m; it has no prior and no ξ
                continue
            try:
                rows.append(figures(name, Path(scratch)))
                print(rows[-1], flush=True)
            except (CapabilityError, ConfigError) as error:  # not for this problem or unknown
                print(f"{name}: {error}", flush=True)
    options.out.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
