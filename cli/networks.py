"""``pdeinv solve --solver pinn``: train a network on the equation and write its fields."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pdeinv import extras
from pdeinv.errors import ConfigError

from .progress import step_progress
from .stop import stoppable
from .terminal import Terminal

if TYPE_CHECKING:
    from pdeinv.plugins.problem import Problem
    from pdeinv.surrogates.pinn.config import PinnConfig
    from pdeinv.typing import Array

__all__ = ["SOLVERS", "Solver", "network_plan", "solve_by_network", "solver_config"]

SOLVERS = ("fenicsx", "pinn")


@dataclass(frozen=True)
class Solver:
    """What solves the equation."""

    solver: Annotated[
        str | None,
        typer.Option("--solver", metavar="fenicsx|pinn", help="Finite elements, or a network."),
    ] = None
    compare: Annotated[
        bool,
        typer.Option("--compare", help="pinn: also solve by FEniCSx and report the error."),
    ] = False
    resume: Annotated[
        bool, typer.Option("--resume", help="pinn: continue from the checkpoint in OUT.run.")
    ] = False


def solver_config(tables: dict[str, Any], flags: Solver) -> PinnConfig | None:
    """The options of the network; None where finite elements solve.

    Raises:
        ConfigError: an unknown solver or option, or a flag that belongs to the other solver.
        MissingDependency: torch is not installed.
    """
    options = dict(tables.get("solver", {}))
    name = options.pop("name", "fenicsx")
    if name not in SOLVERS:
        raise ConfigError(f"unknown solver '{name}'; expected {' or '.join(SOLVERS)}")
    if name == "pinn":
        extras.require("torch", "--solver pinn")
        from pdeinv.config import parse
        from pdeinv.surrogates.pinn.config import PinnConfig

        return parse(PinnConfig, options, "solver")
    given = [f"--{k}" for k in ("compare", "resume") if getattr(flags, k)]
    # --solver fenicsx on top of a file that sets up the network is meant
    wrong = given or ([] if flags.solver else [f"solver.{k}" for k in options])
    if wrong:
        raise ConfigError(f"{wrong[0]} belongs to the solver pinn; add --solver pinn or drop it")
    return None


def network_plan(problem: Problem, config: PinnConfig) -> dict[str, Any]:
    """What a training would do, and whether the problem allows it.

    Raises:
        ConfigError: the problem has no strong form.
    """
    from pdeinv.surrogates.pinn.ansatz import Ansatz
    from pdeinv.surrogates.pinn.forward import strong_form

    form = Ansatz(strong_form(problem)).form
    return {
        "solver": "pinn",
        "outputs": len(form.outputs),
        "blocks": config.blocks,
        "soft_conditions": len(form.soft),
    }


def solve_by_network(
    terminal: Terminal,
    problem: Problem,
    m: Array,
    config: PinnConfig,
    plan: dict[str, Any],
    flags: Solver,
) -> dict[str, Any]:
    """Train, and write truth file and weights; returns what to report."""
    from pdeinv.io.netcdf import write
    from pdeinv.io.runs import run_folder
    from pdeinv.jobs.observe import truth_tree
    from pdeinv.surrogates.pinn.forward import relative_l2, strong_form

    out = Path(plan["out"])
    began = time.perf_counter()
    solution = _trained(terminal, problem, m, config, plan, flags, run_folder(out))
    seconds = time.perf_counter() - began
    fields = solution.fields(plan["level"])
    found: dict[str, Any] = {
        "residual": solution.state.residual,
        "converged": solution.converged,
        "iterations": solution.state.iterations,
        "seconds": seconds,
    }
    if flags.compare:
        reference = problem.solve(m, plan["level"])
        found["relative_l2"] = relative_l2(strong_form(problem), fields, reference)
    solution.save(run_folder(out))
    more = {f"pdeinv_solver_{k}": int(v) if k == "converged" else v for k, v in found.items()}
    more |= {"pdeinv_solver": "pinn", "pdeinv_solver_config": json.dumps(config.model_dump())}
    tree = truth_tree(problem, m, fields, seed=plan["seed"], level=plan["level"], more=more)
    write(out, tree)
    return {**found, "weights": str(run_folder(out))}


def _trained(
    terminal: Terminal,
    problem: Problem,
    m: Array,
    config: PinnConfig,
    plan: dict[str, Any],
    flags: Solver,
    folder: Path,
) -> Any:
    from pdeinv.io.runs import remember
    from pdeinv.surrogates.common.fitting import FitRun
    from pdeinv.surrogates.pinn.forward import solve

    message = f"stopped; the training so far is saved in {folder}; continue with --resume"
    with stoppable(None, message) as stop, step_progress(terminal, "train") as step:

        def progress(block: int, blocks: int, loss: float, residual: float) -> None:
            step(block, blocks, f"loss {loss:.3g}, residual {residual:.3g}")

        remember(folder, {"seed": plan["seed"], "solver": {"name": "pinn", **config.model_dump()}})
        run = FitRun(folder, flags.resume, progress=progress, should_stop=stop.requested)
        return solve(problem, m, config, plan["seed"], run)
