"""Seismic waves: what a run costs beside its bare matrix products, and how well waves leave.

    python benchmarks/seismic_forward.py
    python benchmarks/seismic_forward.py --only deepwave

Processor seconds of one thread, the least of three. The first table has a forward run, the run that
keeps states for a gradient, the gradient itself and a tangent, for every preset. The second has the
difference to a rectangle so wide that no wave comes back, relative, for layers of several widths.
The last line has a gradient of the least-squares misfit of preset `openfwi` through the fast model,
and one by deepwave alone for the same grid, time step, points and precision, in turns.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from pdeinv.kernels.sparse import Sparse
from pdeinv.plugins.recipe import make_problem
from pdeinv.problems.seismic.presets import PRESETS

SURVEY = {"sources": [[320.0, 320.0]], "receivers": [[200.0, 250.0], [500.0, 100.0]]}
CONSTANT = {"kind": "uniform", "low": 1800.0, "high": 3200.0}


def least(call: Callable[[], object], repeats: int = 3) -> float:
    found = []
    for _ in range(repeats):
        begin = time.process_time()
        call()
        found.append(time.process_time() - begin)
    return min(found)


def costs(preset: str) -> str:
    problem = make_problem("seismic", {"preset": preset})
    model, prior = problem.forward_model(problem.sensors("all")), problem.prior()
    m = prior.unwhiten(np.random.default_rng(0).standard_normal(prior.dim))
    steps, shots = model.on.clock.steps, len(problem.config.sources)
    bare = Sparse(model.state(m).step.matrix)
    x = np.random.default_rng(0).standard_normal((problem.dofs(0), shots))
    y = np.empty_like(x)
    products = 10 * least(lambda: [bare.tile(x, y) for _ in range(steps // 10)])
    forward = least(lambda: model(m))
    begin = time.process_time()
    at = model.linearize(m)
    kept = time.process_time() - begin
    gradient = least(lambda: at.vjp(at.value))
    tangent = least(lambda: at.jvp(m))
    memory = problem.memory_estimate() / 1e6
    return (
        f"{preset:14}{problem.dofs(0):6} x {shots} {steps:5} {products:9.2f} {forward:8.2f} "
        f"{kept:6.2f} {gradient:9.2f} {tangent:8.2f} {memory:7.0f}"
    )


def traces(width: float, reflection: float = 0.8) -> np.ndarray:
    boundary = {"width": width, "reflection": reflection}
    table = {"survey": SURVEY, "time": {"final": 0.8}, "boundary": boundary, "unknown": CONSTANT}
    problem = make_problem("seismic", table)
    return problem.forward_model(problem.sensors("all"))(np.array([2500.0]))


def deepwave_alone(repeats: int = 2) -> str:
    import deepwave
    import torch

    torch.set_num_threads(1)
    problem = make_problem("seismic", {"preset": "openfwi", "model": "deepwave"})
    model, prior = problem.forward_model(problem.sensors("all")), problem.prior()
    waves = model.state(prior.unwhiten(np.zeros(prior.dim)))
    scheme, sources, receivers = waves.scheme, *waves.ends
    given = waves.amplitudes(waves.wavelet)
    data = torch.zeros((5, 70, len(waves.wavelet) + 1), dtype=torch.float64)

    def bare() -> None:
        v = torch.tensor(waves.velocity.reshape(scheme.grid.shape), requires_grad=True)
        out = deepwave.scalar(
            v, scheme.grid.spacing, scheme.dt, source_amplitudes=given, source_locations=sources,
            receiver_locations=receivers, **scheme.options,
        )  # fmt: skip
        (0.5 * (out.receiver_amplitudes - data).square().sum()).backward()

    def ours(k: int) -> None:
        at = model.linearize(prior.unwhiten(np.full(prior.dim, 1e-3 * k)))
        at.vjp(at.value)

    times = [(least(lambda k=k: ours(k), 1), least(bare, 1)) for k in range(1, repeats + 1)]
    a, b = (min(column) for column in zip(*times, strict=True))
    return f"gradient through the fast model {a:.2f} s, by deepwave alone {b:.2f} s: {a / b:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", choices=("deepwave",))
    if parser.parse_args().only:
        print(deepwave_alone())
        return
    print(
        "preset         nodes x shots, steps, bare products, forward, kept, gradient, tangent, MB"
    )
    for preset in PRESETS:
        print(costs(preset), flush=True)
    wide = traces(1280.0)
    print("layer of 8 Hz at 2500 m/s (312 m), width: difference by reflection 0.05, 0.2, 0.5, 0.8")
    for width in (0.0, 160.0, 320.0, 480.0, 640.0):
        off = [
            np.linalg.norm(traces(width, r) - wide) / np.linalg.norm(wide)
            for r in ((0.05, 0.2, 0.5, 0.8) if width else (0.8,))
        ]
        print(f"{width:5.0f} m  " + "  ".join(f"{v:.4f}" for v in off), flush=True)
    print(deepwave_alone())


if __name__ == "__main__":
    main()
