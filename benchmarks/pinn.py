"""Physics-informed networks beside finite elements: forward solves, and inversions beside MAP.

Run ``python benchmarks/pinn.py``; it prints two tables and writes ``results/pinn.json``.
``--quick`` is a small run that only shows that all of it works; ``--cases darcy heat`` and
``--kinds inverse`` pick some and keep the others of an earlier run.

Forward: one prior draw of the unknown (of a tumor the middle of the prior, and level 0), solved by
FEniCSx on mesh level 1 and by a network that is trained on the strong form. The error is the relative L2 norm of their difference over all nodes
(and times). ``seconds to 1 %`` is when a block of training first ended below it.

Inverse: data of the same draw from mesh level 1, with noise. ``map`` minimises with the adjoint of
the finite elements on level 0, ``pinn`` trains network and unknown together; both minimise
Φ + ½‖ξ‖². The error is the relative L2 norm of m − m_true over the unknown's nodes, the misfit that
of the finite elements at each answer. All times are those of one thread, wall or CPU (``--clock``).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from pdeinv.bayes.noise import Noise
from pdeinv.engines.gaussian.minimize import find_map
from pdeinv.engines.requests import drive
from pdeinv.plugins.recipe import PosteriorRecipe, make_problem
from pdeinv.provenance import versions
from pdeinv.rng import stream
from pdeinv.surrogates.pinn.config import PinnConfig
from pdeinv.surrogates.pinn.engine import Pinn, PinnEngineConfig
from pdeinv.surrogates.pinn.forward import NetworkSolution, done, relative_l2, strong_form
from pdeinv.surrogates.pinn.network import Network
from pdeinv.surrogates.pinn.objective import Objective
from pdeinv.surrogates.pinn.training import advance, first_state

SEED = 1
GOAL = 0.01
LIMIT = 300.0
WALLS = {"truncation": {"kind": "dirichlet"}}


@dataclass(frozen=True)
class Case:
    """A problem with sensors, noise relative to the peak, and options of network and engine.

    Forward it is solved on ``level``, for the ``unknown`` where there is one, and beside that with
    what of the configuration is of a ``rival``, another solver.
    """

    problem: str
    config: dict[str, Any]
    sensors: str = ""
    noise: float = 0.01
    network: dict[str, Any] = field(default_factory=dict)
    engine: dict[str, Any] = field(default_factory=dict)
    level: int = 1
    rival: dict[str, Any] = field(default_factory=dict)
    unknown: tuple[float, ...] = ()


HEAT = {
    "time": {"steps": 50},
    "initial": "sin(pi*x)*sin(pi*y)",
    "unknown": {"kind": "conductivity"},
}
SOURCE = {
    **WALLS,
    "quantity": "source",
    "wavenumbers": [8.0],
    "unknown": {"kind": "gaussian", "length": 0.3},
}
SCATTER = {**WALLS, "wavenumbers": [6.0], "incident": {"kind": "plane", "count": 2}}
TUMOR = {"time": {"stored": 50}}
BRAIN = {
    "width": 20,
    "points": 8000,
    "adam_steps": 150,
    "block": 150,
    "newton_steps": 150,
    "newton_block": 10,
    "tolerance": 0.02,
}
LBFGS = {"finish": "lbfgs", "width": 40, "adam_steps": 500}
FORWARD = {
    "darcy": Case("darcy", {}),
    "heat": Case("heat", HEAT),
    "helmholtz": Case("helmholtz", SOURCE),
    "helmholtz, scattered": Case("helmholtz", SCATTER),
    "darcy, L-BFGS": Case("darcy", {}, network=LBFGS),
    "tumor": Case(
        "tumor",
        TUMOR,
        network=BRAIN,
        level=0,
        rival={"solver": "finite-differences"},
        unknown=(0.5, 0.06, 120.0, 120.0),
    ),
}
INVERSE = {
    "darcy": Case("darcy", {}, "grid:9x9"),
    "heat": Case("heat", HEAT, "grid:5x5"),
    "helmholtz": Case("helmholtz", SOURCE, "grid:9x9"),
    "darcy, L-BFGS": Case("darcy", {}, "grid:9x9", engine=LBFGS),
}
QUICK = {
    "width": 8,
    "depth": 2,
    "points": 64,
    "adam_steps": 20,
    "newton_steps": 20,
    "lbfgs_steps": 40,
    "block": 20,
}


def draw(problem: Any) -> np.ndarray:
    prior = problem.prior()
    return prior.unwhiten(stream(SEED, "truth").standard_normal(prior.dim))


def clocked(call: Callable[[], Any], now: Callable[[], float]) -> tuple[Any, float]:
    begin = now()
    return call(), now() - begin


def forward(case: Case, options: dict[str, Any], now: Callable[[], float]) -> dict[str, Any]:
    problem = make_problem(case.problem, case.config)
    m = np.array(case.unknown) if case.unknown else draw(problem)
    level = case.level
    problem.solve(m, level)  # compiles the equation
    reference, reference_seconds = clocked(lambda: problem.solve(m, level), now)
    other = make_problem(case.problem, {**case.config, **case.rival}) if case.rival else problem
    _, rival_seconds = clocked(lambda: other.solve(m, level), now)
    config = PinnConfig(**{**case.network, **options})
    form = strong_form(problem)
    net = Network.of(form, config, stream(SEED, "pinn-features"), m)
    objective = Objective(form, config, net, m=m)
    state = first_state(objective, stream(SEED, "pinn-weights"))
    spent, course, reached = 0.0, [], None
    while state.block < config.blocks and not done(state, config) and spent < LIMIT:
        rng = stream(SEED, "pinn", state.block)
        state, seconds = clocked(lambda s=state, r=rng: advance(objective, s, config, r), now)
        spent += seconds
        found = NetworkSolution(problem, config, m, state, SEED).fields(level)
        error = relative_l2(form, found, reference)
        course.append([round(spent, 2), error])
        reached = spent if reached is None and error <= GOAL else reached
    return {
        "reference_seconds": reference_seconds,
        "reference_dofs": problem.dofs(level),
        **({"rival_seconds": rival_seconds} if case.rival else {}),
        "seconds": spent,
        "seconds_to_goal": reached,
        "error": error,
        "residual": state.residual,
        "iterations": state.iterations,
        "weights": net.n_weights,
        "course": course,
    }


def inverse(case: Case, options: dict[str, Any], now: Callable[[], float]) -> dict[str, Any]:
    problem = make_problem(case.problem, case.config)
    m, sensors = draw(problem), problem.sensors(case.sensors)
    clean = problem.observe(problem.solve(m, 1), sensors)
    std = case.noise * np.abs(clean).max() * np.ones(len(clean))
    data = clean + std * stream(SEED, "noise").standard_normal(len(clean))
    table = problem.config.model_dump(mode="json")
    posterior = PosteriorRecipe(problem.name, table, sensors, data, Noise(std))()
    prior = posterior.prior

    def judged(xi: np.ndarray, seconds: float) -> dict[str, float]:
        error = np.linalg.norm(prior.unwhiten(xi) - m) / np.linalg.norm(m)
        misfit = float(posterior.misfit(xi))
        objective = misfit + 0.5 * float(xi @ xi)
        return {"seconds": seconds, "error": float(error), "misfit": misfit, "objective": objective}

    best, seconds = clocked(lambda: drive(posterior, find_map(posterior, stream(SEED, "map"))), now)
    engine = Pinn(PinnEngineConfig(**{**case.engine, **options}))
    rng, spent = stream(SEED, "chain"), 0.0
    state = drive(posterior, engine.init(posterior, rng))
    while state.block < engine.n_steps and not engine.finished(state) and spent < LIMIT:
        state, more = clocked(lambda s=state: drive(posterior, engine.step(posterior, s, rng)), now)
        spent += more
    xi = state.z[-prior.dim :]
    network = judged(xi, spent) | {
        "misfit_of_network": state.misfit,
        "residual": state.residual,
        "iterations": state.iterations,
        "settled": engine.finished(state),
        "distance": float(np.linalg.norm(xi - best) / np.linalg.norm(best)),
    }
    return {"data": len(data), "unknowns": prior.dim, "map": judged(best, seconds), "pinn": network}


def show(results: dict[str, Any]) -> None:
    print("| forward | FEniCSx: unknowns, seconds | network: seconds to 1 % | in all | error |")
    print("|---|---|---|---|---|")
    for name, r in results["forward"].items():
        goal = "not reached" if r["seconds_to_goal"] is None else f"{r['seconds_to_goal']:.0f}"
        print(
            f"| {name} | {r['reference_dofs']}, {r['reference_seconds']:.3g} | {goal} | "
            f"{r['seconds']:.0f} | {100 * r['error']:.2g} % |"
        )
    print("\n| inverse | engine | seconds | error of m | misfit | Φ + R | distance to map |")
    print("|---|---|---|---|---|---|---|")
    for name, r in results["inverse"].items():
        for engine in ("map", "pinn"):
            e = r[engine]
            distance = f"{100 * e['distance']:.2g} %" if "distance" in e else ""
            print(
                f"| {name} | {engine} | {e['seconds']:.3g} | {100 * e['error']:.3g} % | "
                f"{e['misfit']:.1f} | {e['objective']:.1f} | {distance} |"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="tiny networks; only a smoke test")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--cases", nargs="*", help="names of cases; all where not given")
    parser.add_argument("--kinds", nargs="*", default=("forward", "inverse"))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results/pinn.json")
    args = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    now = time.process_time if args.clock == "cpu" else time.perf_counter
    results: dict[str, Any] = {"forward": {}, "inverse": {}}
    work = {"forward": (forward, FORWARD), "inverse": (inverse, INVERSE)}
    for kind in args.kinds:
        run, cases = work[kind]
        for name, case in cases.items():
            if not args.cases or name in args.cases:
                results[kind][name] = run(case, QUICK if args.quick else {}, now)
    part = args.cases or len(args.kinds) < len(work)
    if part and args.out.exists() and not args.quick:
        before = json.loads(args.out.read_text())
        results = {kind: before[kind] | results[kind] for kind in work}
    results |= {"clock": args.clock, "machine": platform.machine(), "versions": versions()}
    show(results)
    if not args.quick:
        args.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
