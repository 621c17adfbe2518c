"""Seismic waves: what a run costs beside the bare work in it, and the memory that it takes.

    python benchmarks/seismic_speed.py [--parts forward gradient memory] [--repeats N]

``forward``: a run of spectral elements for every preset, over as many products of its sparse matrix
with the block of all shots, by scipy and by pdeinv's own kernel, of which the faster counts. Beside
it the error of the traces, relative L2, against elements of half the size and half the time step;
those nearer than 40 m to their source are left out. Also the run that keeps states for a gradient,
the gradient itself and a tangent.

``gradient``: of the least-squares misfit through the fast model, linearization included, over
deepwave alone with the same grid, time step, points and precision, with all states kept or with ten
parts of the run of which all but the last run again, of which the faster counts.

``memory``: the peak that ``pdeinv invert --dry-run`` predicts, over the one that the operating
system counted for the same command without that flag, two iterations of L-BFGS on all data.

Processor seconds of one thread, the least of several in turns; a ratio is the median of those of
the turns, which a busy machine hardly changes. Rows are kept in
``benchmarks/results/seismic_speed.json``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

from pdeinv.kernels.sparse import Sparse
from pdeinv.plugins.recipe import make_problem
from pdeinv.problems.seismic.presets import PRESETS

RESULTS = Path(__file__).parent / "results" / "seismic_speed.json"
PARTS = ("forward", "gradient", "memory")
NEAREST, PARTED = 40.0, 10
FAST: dict[str, dict[str, Any]] = {
    "float32, layer of 10": {"precision": "float32", "layer": 10, "spacing": 10.0},
    "float64, layer of 20": {},
}
"""Options of deepwave: those of ``seismic_fwi.py``, and the preset's own."""
RUNS: dict[str, tuple[str, tuple[str, ...]]] = {
    "openfwi, spectral elements": ("openfwi", ()),
    "openfwi, spectral elements, 100 MB": ("openfwi", ("time.memory_mb=100",)),
    "openfwi, deepwave": ("openfwi", ("model=deepwave",)),
    "openfwi, deepwave, 100 MB": ("openfwi", ("model=deepwave", "time.memory_mb=100")),
    "transmission, spectral elements": ("transmission", ()),
    "transmission, deepwave": ("transmission", ("model=deepwave",)),
}
"""Presets and what is set beside them."""
SETTINGS = ("starts=1", "method=lbfgs", "max_iterations=2")
PEAK = """
import resource, subprocess, sys
done = subprocess.run([sys.executable, "-m", "pdeinv", *sys.argv[1:]], capture_output=True)
if done.returncode:
    sys.exit(done.stderr.decode())
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
"""
"""A program of its own: a process counts the peak of the one that started it."""


def seconds(call: Callable[[], object]) -> float:
    begin = time.process_time()
    call()
    return time.process_time() - begin


def in_turns(calls: dict[str, Callable[[], object]], repeats: int) -> dict[str, np.ndarray]:
    """Processor seconds of each, one after the other, as often as asked."""
    rounds = [{name: seconds(call) for name, call in calls.items()} for _ in range(repeats)]
    return {name: np.array([one[name] for one in rounds]) for name in calls}


def ratio(ours: np.ndarray, bare: np.ndarray) -> float:
    return float(np.median(ours / bare))


def products(model: Any, m: np.ndarray, shots: int) -> dict[str, Callable[[], object]]:
    """All products of a run, by scipy and by our kernel."""
    matrix, steps = model.state(m).step.matrix, model.on.clock.steps
    own = Sparse(matrix)
    x = np.random.default_rng(0).standard_normal((matrix.shape[0], shots))
    y = np.empty_like(x)
    return {
        "scipy": lambda: [matrix @ x for _ in range(steps)],
        "kernel": lambda: [own.tile(x, y) for _ in range(steps)],
    }


def off(preset: str, m: np.ndarray, model: Any) -> float:
    """Relative L2 of the traces, against half the size and half the step."""
    problem, fine = model_of({"preset": preset}, level=1)
    at, config = problem.sensors("all"), problem.config
    shot, receiver = at["shot"].astype(int), at["receiver"].astype(int)
    far = np.hypot(*(config.sources[shot] - config.receivers[receiver]).T) >= NEAREST
    exact = fine(m)[far]
    return float(np.linalg.norm(model(m)[far] - exact) / np.linalg.norm(exact))


def model_of(table: dict[str, Any], level: int = 0) -> tuple[Any, Any]:
    """The problem and its model of all data."""
    problem = make_problem("seismic", table)
    return problem, problem.forward_model(problem.sensors("all"), level)


def unknowns(problem: Any) -> list[np.ndarray]:
    """Two, for a model keeps what it has of its last one."""
    prior, rng = problem.prior(), np.random.default_rng(0)
    return [prior.unwhiten(rng.standard_normal(prior.dim)) for _ in range(2)]


def forward_of(model: Any, ms: Iterator[np.ndarray]) -> None:
    model(next(ms))


def gradient_of(model: Any, ms: Iterator[np.ndarray]) -> None:
    at = model.linearize(next(ms))
    at.vjp(at.value)


def row(spent: dict[str, np.ndarray], ours: str) -> dict[str, float]:
    """The least times, and the ratio to the faster of the bare ones."""
    ratios = [ratio(spent[ours], times) for name, times in spent.items() if name != ours]
    return {**{name: float(times.min()) for name, times in spent.items()}, "ratio": max(ratios)}


def forward(repeats: int) -> Iterator[tuple[str, dict[str, Any]]]:
    for preset in PRESETS:
        problem, model = model_of({"preset": preset})
        ms, shots = unknowns(problem), len(problem.config.sources)
        calls = {
            "forward": partial(forward_of, model, cycle(ms)),
            **products(model, ms[0], shots),
        }
        size = {"nodes": problem.dofs(0), "shots": shots, "steps": model.on.clock.steps}
        timed = row(in_turns(calls, repeats), "forward")
        model(ms[1])
        kept = seconds(partial(model.linearize, ms[0]))
        at = model.linearize(ms[0])
        yield (
            preset,
            {
                **size,
                **timed,
                "error": off(preset, ms[0], model),
                "kept": kept,
                "gradient": seconds(partial(at.vjp, at.value)),
                "tangent": seconds(partial(at.jvp, ms[0])),
            },
        )


def gradient(repeats: int) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, options in FAST.items():
        table = {"preset": "openfwi", "model": "deepwave", "deepwave": options}
        problem, model = model_of(table)
        ms = unknowns(problem)
        calls = {
            "pdeinv": partial(gradient_of, model, cycle(ms)),
            "whole": alone(model, ms[0], 1),
            "in parts": alone(model, ms[0], PARTED),
        }
        yield name, row(in_turns(calls, repeats), "pdeinv")


def alone(model: Any, m: np.ndarray, parts: int) -> Callable[[], None]:
    """The same gradient by deepwave itself, by v at the nodes, in so many parts of the run."""
    import deepwave
    import torch

    torch.set_num_threads(1)
    waves = model.state(m)
    scheme, (sources, receivers) = waves.scheme, waves.ends
    given = waves.amplitudes(waves.wavelet)
    shape = (waves.survey.shots, len(waves.survey.receivers), given.shape[-1])
    data = torch.zeros(shape, dtype=scheme.dtype)

    def run() -> None:
        v = scheme.tensor(waves.velocity.reshape(scheme.grid.shape)).requires_grad_()
        out = deepwave.scalar(
            v, scheme.grid.spacing, scheme.dt, source_amplitudes=given, source_locations=sources,
            receiver_locations=receivers, checkpoint_segments=parts, **scheme.options,
        )  # fmt: skip
        (0.5 * (out.receiver_amplitudes - data).square().sum()).backward()

    return run


def pdeinv(*words: str | Path) -> str:
    command = [sys.executable, "-m", "pdeinv", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout


def observed(preset: str, folder: Path) -> tuple[Path, Path]:
    """The run file of a preset and an observation file of all its data, made once."""
    file, truth, config = (folder / f"{preset}{end}" for end in (".nc", "-truth.nc", ".toml"))
    if not file.exists():
        config.write_text(f'[problem]\nname = "seismic"\npreset = "{preset}"\n')
        pdeinv("solve", "--config", config, "--seed", "1", "--out", truth)
        noise = ("--noise-rms", "0.05", "--seed", "2")
        pdeinv("observe", truth, "--sensors", "all", *noise, "--out", file)
    return config, file


def peaks(words: tuple[str | Path, ...]) -> dict[str, float]:
    """Of a command: what it predicts and what it takes, MiB."""
    plan = json.loads(pdeinv(*words, "--dry-run", "--json"))
    command = [sys.executable, "-c", PEAK, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    predicted, measured = 1e6 / 2**20 * plan["peak memory per process (MB)"], float(done.stdout)
    return {"predicted": predicted, "measured": measured, "ratio": predicted / measured}


def memory(_: int) -> Iterator[tuple[str, dict[str, Any]]]:
    with tempfile.TemporaryDirectory() as scratch:
        for name, (preset, options) in RUNS.items():
            config, file = observed(preset, Path(scratch))
            chosen = [f"engine.{one}" for one in SETTINGS] + [f"problem.{one}" for one in options]
            more = [word for one in chosen for word in ("--set", one)]
            named = ("--engine", "map", "--seed", "3", "--out", Path(scratch, f"{name}.nc"))
            words = ("invert", file, "--config", config, *named, *more)
            yield name, peaks(words)


def told(rows: dict[str, Any]) -> None:
    for part, own in rows.items():
        columns = list(next(iter(own.values())))
        print(f"{part:36}" + "".join(f"{name:>11}" for name in columns))
        for name, found in own.items():
            print(f"{name:36}" + "".join(f"{found[column]:11.4g}" for column in columns))


def main() -> None:
    said = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    said.add_argument("--parts", nargs="*", default=PARTS, choices=PARTS)
    said.add_argument("--repeats", type=int, default=5)
    given = said.parse_args()
    rows = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for part in given.parts:
        made = {"forward": forward, "gradient": gradient, "memory": memory}[part]
        for name, found in made(given.repeats):
            rows.setdefault(part, {})[name] = found
            print(part, name, json.dumps(found), flush=True)
            RESULTS.write_text(json.dumps(rows, indent=1, sort_keys=True) + "\n")
    told(rows)


if __name__ == "__main__":
    main()
