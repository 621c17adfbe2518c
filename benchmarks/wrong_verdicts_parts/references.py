"""The posterior of a problem: by quadrature, or by long chains that have converged; its mode."""

from __future__ import annotations

from typing import Any

import numpy as np

import pdeinv
from pdeinv.typing import Array

from .problems import Finite, Toy

__all__ = ["mode_of", "posterior_of"]

NODES, REACH, DEPTH = 801, 6.0, 25.0


def posterior_of(problem: Finite | Toy, seed: int) -> dict[str, Any]:
    """Mean and standard deviation of each xi, and what is known of their error."""
    return _by_quadrature(problem, seed) if isinstance(problem, Toy) else _by_chains(problem, seed)


def _by_quadrature(problem: Toy, seed: int) -> dict[str, Any]:
    """On a grid, then on a finer one where the mass is."""
    box = [(-REACH, REACH)] * 2
    for _ in range(3):
        m, log = _on_grid(problem, seed, box)
        kept = np.argwhere(log > log.max() - DEPTH)
        edge = [np.clip([k.min() - 1, k.max() + 1], 0, NODES - 1) for k in kept.T]
        box = [(float(m[i].take(lo, i).flat[0]), float(m[i].take(hi, i).flat[0]))
               for i, (lo, hi) in enumerate(edge)]  # fmt: skip
    w = np.exp(log - log.max())
    w /= w.sum()
    mean = np.array([np.sum(w * x) for x in m])
    sd = np.sqrt([np.sum(w * (x - c) ** 2) for x, c in zip(m, mean, strict=True)])
    at = np.unravel_index(int(log.argmax()), log.shape)
    top = [float(x[at]) for x in m]
    return {"mean": mean.tolist(), "sd": sd.tolist(), "error": 0.0, "mode": top,
            "objective": -float(log.max())}  # fmt: skip


def _on_grid(problem: Toy, seed: int, box: list[tuple[float, float]]) -> tuple[Array, Array]:
    """The nodes, (2, n, n), and minus Φ + R there."""
    m = np.stack(np.meshgrid(*(np.linspace(*ends, NODES) for ends in box), indexing="ij"))
    data, sigma = problem.numbers(seed)
    residual = (problem.forward(m) - data[:, None, None]) / sigma[:, None, None]
    return m, -0.5 * np.sum(residual**2, axis=0) - 0.5 * np.sum(m**2, axis=0)


def _by_chains(problem: Finite, seed: int) -> dict[str, Any]:
    """Four chains of hmc; the error is the largest standard error of a mean over its sd."""
    found = pdeinv.invert(**problem.arguments(seed), engine="hmc", draws=1000, warmup=300, seed=77)
    xi = found["unconstrained_posterior"]["xi"].values
    flat = xi.reshape(-1, xi.shape[-1])
    mean, sd = flat.mean(axis=0), flat.std(axis=0)
    error = found["diagnostics"]["xi_mcse"].values / sd
    return {
        "mean": mean.tolist(),
        "sd": sd.tolist(),
        "error": float(error.max()),
        "converged": int(found.attrs["pdeinv_converged"]),
        "message": str(found.attrs["pdeinv_message"]),
    }


def mode_of(problem: Finite | Toy, seed: int) -> dict[str, Any]:
    """The lowest of eight minimizations (a grid for toys) and the sds of a Gaussian there."""
    if isinstance(problem, Toy):
        return _toy_mode(problem, seed)
    arguments = problem.arguments(seed)
    best = pdeinv.invert(**arguments, engine="map", starts=8, tolerance=1e-9, seed=77)
    around = pdeinv.invert(**arguments, engine="laplace", seed=77, draws=4000)
    xi = around["unconstrained_posterior"]["xi"].values[0]
    return {
        "mean": best["unconstrained_posterior"]["xi"].values[0, 0].tolist(),
        "sd": xi.std(axis=0).tolist(),
        "objective": -float(best["sample_stats"]["lp"].item()),
    }


def _toy_mode(problem: Toy, seed: int) -> dict[str, Any]:
    found = _by_quadrature(problem, seed)
    return {"mean": found["mode"], "sd": found["sd"], "objective": found["objective"]}
