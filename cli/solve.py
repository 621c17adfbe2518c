"""``pdeinv solve``: the fields for one unknown, by finite elements or by a network."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pdeinv import extras
from pdeinv.errors import ConfigError

from .options import Output, Own, Reproducible, Settings, verb
from .progress import step_progress
from .settings import build_problem, load_tables, seed_of, with_flags
from .stop import resumable, stoppable
from .terminal import Terminal

if TYPE_CHECKING:
    import xarray as xr

    from pdeinv.plugins.problem import Problem
    from pdeinv.surrogates.pinn.config import PinnConfig
    from pdeinv.typing import Array

__all__ = ["solve"]

SOLVERS = ("fenicsx", "pinn")
SHOWN = ("residual", "iterations", "seconds", "relative_l2")
"""What a solve by a network tells beside its file and the numbers that it solved for."""
ERROR_OF = "relative_error_of_"
"""What precedes the names of those numbers, where both solvers were asked."""


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

    def network(self, tables: dict[str, Any]) -> PinnConfig | None:
        """The options of the network; None where finite elements solve.

        Raises:
            ConfigError: an unknown solver or option, or a flag that belongs to the other solver.
            MissingDependency: torch is not installed.
        """
        from pdeinv.config import named, parse

        name, options = named({"name": "fenicsx", **tables.get("solver", {})})
        if name not in SOLVERS:
            raise ConfigError(f"unknown solver '{name}'; expected {' or '.join(SOLVERS)}")
        if name == "pinn":
            from pdeinv.surrogates.pinn.config import PinnConfig

            extras.require("torch", "networks need")
            return parse(PinnConfig, options, "solver")
        given = [f"--{k}" for k in ("compare", "resume") if getattr(self, k)]
        # --solver fenicsx on top of a file that sets up the network is meant
        wrong = given or ([] if self.solver else [f"solver.{k}" for k in options])
        if wrong:
            raise ConfigError(
                f"{wrong[0]} belongs to the solver pinn; add --solver pinn or drop it"
            )
        return None


@verb
def solve(
    terminal: Terminal,
    output: Output,
    settings: Settings,
    random: Reproducible,
    solver: Solver,
    own: Own,
    problem: Annotated[
        str | None, typer.Argument(help="Name of the problem; else 'name' in table \\[problem].")
    ] = None,
    level: Annotated[
        int,
        typer.Option("--level", help="Mesh: 1 makes data, 0 is what inversion uses, -1 is coarse."),
    ] = 1,
    m: Annotated[
        str,
        typer.Option(
            "--m", metavar="prior-draw|mean|phantom:NAME|FILE", help="The unknown to solve for."
        ),
    ] = "prior-draw",
    vtk: Annotated[
        Path | None, typer.Option("--vtk", help="Also write the fields as VTKHDF for ParaView.")
    ] = None,
) -> None:
    """Solve a problem for one unknown and write all fields (the "truth").

    Under 'mpiexec -n N' the ranks share the solve and the first one writes. With --solver pinn a
    network is trained on the equation instead; its weights stay in OUT.run.
    """
    from pdeinv.io.lock import owned
    from pdeinv.jobs.observe import choose_unknown, make_truth
    from pdeinv.plugins import registry
    from pdeinv.plugins.hooks import phantom, prepare
    from pdeinv.provenance import files_of

    flags = {"problem__name": problem, "solver__name": solver.solver}
    tables = own.into(with_flags(load_tables(settings), seed=random.seed, **flags), problem)
    level = level if own.own_model is None else min(level, 0)
    network = solver.network(tables)
    physics = build_problem(tables.get("problem", {}))
    inputs = files_of([settings.config, Path(m), physics.config])
    _check_outputs(output, vtk, network is not None, solver.resume, inputs)
    if network is None or solver.compare:
        registry.require("problems", physics.name)
    world = _communicator()
    if world is not None and network is not None:
        raise ConfigError("solver pinn trains in one process; start it without mpiexec")
    seed = seed_of(tables, output.folder if solver.resume else None)
    seed = seed if world is None else world.bcast(seed)
    unknown = choose_unknown(physics.prior(), m, seed, phantom(physics))
    plan = {"out": str(output.out), "problem": physics.name, "level": level, "seed": seed}
    plan["dofs"] = physics.dofs(level)
    if network is not None:
        plan |= _network_plan(physics, network)
    if output.dry_run and (network is None or solver.compare):
        prepare(physics, level)
    terminal.plan(plan, output.dry_run)
    if network is not None:
        with owned(output.out), resumable():
            _check_outputs(output, vtk, True, solver.resume, inputs)  # nobody else writes there now
            tree, found = _by_network(terminal, physics, unknown, network, plan, output, solver)
            _write(output.out, vtk, tree)
        plan |= found
        terminal.result(plan, *_said(plan), str(output.out))
        return
    tree = make_truth(physics, unknown, seed=seed, level=level, comm=world)
    if world is None or world.rank == 0:
        with owned(output.out):
            _write(output.out, vtk, tree)
        terminal.note(f"solved {physics.name} with {plan['dofs']} dofs, seed {seed}")
        terminal.result(plan, str(output.out))


def _said(found: dict[str, Any]) -> list[str]:
    """Lines of a solve by a network."""
    names = [k for k in found if k in SHOWN or k.startswith(ERROR_OF)]
    shown = {**found.get("numbers", {}), **{k: found[k] for k in names}}
    return [f"{k}: {value}" for k, value in shown.items()]


def _check_outputs(
    output: Output, vtk: Path | None, network: bool, resume: bool, inputs: Sequence[Path]
) -> None:
    from pdeinv.io.atomic import check_output

    output.check(*inputs, resume=resume if network else None, folder=network)
    if vtk is not None:
        extras.require("h5py", "--vtk needs")
        from pdeinv.io.vtkhdf import check_vtkhdf_name

        check_output(vtk, overwrite=output.overwrite, option="--vtk", inputs=inputs)
        check_vtkhdf_name(vtk)


def _communicator() -> Any:
    """The world communicator when a launcher started several ranks, else None."""
    launchers = ("PMI_SIZE", "PMIX_RANK", "OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS")
    if not any(name in os.environ for name in launchers):
        return None
    from pdeinv.fem.env import fenicsx

    comm = fenicsx().MPI.COMM_WORLD
    return comm if comm.size > 1 else None


def _write(out: Path, vtk: Path | None, tree: xr.DataTree) -> None:
    """Write the truth file and its view, or neither where there is no mesh to view."""
    from pdeinv.io.atomic import together
    from pdeinv.io.netcdf import write
    from pdeinv.io.vtkhdf import write_fields

    with together(out, *([] if vtk is None else [vtk])) as targets:
        write(targets[0], tree)
        for view in targets[1:]:
            write_fields(view, tree.to_dataset())


def _network_plan(problem: Problem, config: PinnConfig) -> dict[str, Any]:
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


def _by_network(
    terminal: Terminal,
    problem: Problem,
    m: Array,
    config: PinnConfig,
    plan: dict[str, Any],
    output: Output,
    solver: Solver,
) -> tuple[xr.DataTree, dict[str, Any]]:
    """Train and save the weights; returns the truth file and what to report."""
    from pdeinv.jobs.observe import truth_tree
    from pdeinv.surrogates.pinn.forward import relative_l2, strong_form

    folder, began = output.folder, time.perf_counter()
    solution = _trained(terminal, problem, m, config, plan["seed"], folder, solver.resume)
    found: dict[str, Any] = {
        "residual": solution.state.residual,
        "converged": solution.converged,
        "iterations": solution.state.iterations,
        "seconds": time.perf_counter() - began,
    }
    fields = solution.fields(plan["level"])
    if solver.compare:
        reference = problem.solve(m, plan["level"])
        found["relative_l2"] = relative_l2(strong_form(problem), fields, reference)
        found |= {
            f"{ERROR_OF}{name}": abs(value / float(reference[name]) - 1.0)
            for name, value in solution.numbers.items()
        }
    solution.save(folder)
    more = {f"pdeinv_solver_{k}": int(v) if k == "converged" else v for k, v in found.items()}
    if solution.numbers:
        found["numbers"] = solution.numbers
    more |= {"pdeinv_solver": "pinn", "pdeinv_solver_config": json.dumps(config.model_dump())}
    tree = truth_tree(problem, m, fields, seed=plan["seed"], level=plan["level"], more=more)
    return tree, {**found, "weights": str(folder)}


def _trained(
    terminal: Terminal,
    problem: Problem,
    m: Array,
    config: PinnConfig,
    seed: int,
    folder: Path,
    resume: bool,
) -> Any:
    from pdeinv.io.runs import drop_unless_resumable, remember
    from pdeinv.plugins.fitting import FitRun
    from pdeinv.surrogates.pinn.forward import decided_by, solve

    message = f"stopped; the training so far is saved in {folder}; continue with --resume"
    with stoppable(None, message) as stop, step_progress(terminal, "train") as step:

        def progress(block: int, blocks: int, loss: float, residual: float) -> None:
            step(block, blocks, f"loss {loss:.3g}, residual {residual:.3g}")

        told = {"seed": seed, "solver": {"name": "pinn", **config.model_dump()}}
        remember(folder, told, decides=decided_by(problem, m, config, seed), resume=resume)
        run = FitRun(folder, resume, progress=progress, should_stop=stop.requested)
        try:
            return solve(problem, m, config, seed, run)
        except BaseException:
            drop_unless_resumable(folder)
            raise
