"""``pdeinv solve``: the fields for one unknown."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pdeinv.errors import ConfigError

from .networks import Solver, network_plan, solve_by_network, solver_config
from .options import Output, Reproducible, Settings, verb
from .settings import build_problem, load_tables, seed_of, with_flags
from .terminal import Terminal

__all__ = ["solve"]


@verb
def solve(
    terminal: Terminal,
    output: Output,
    settings: Settings,
    random: Reproducible,
    solver: Solver,
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
    from pdeinv.hooks import phantom
    from pdeinv.io.runs import discard, run_folder
    from pdeinv.synthetic import choose_unknown

    flags = {"problem__name": problem, "solver__name": solver.solver}
    tables = with_flags(load_tables(settings), seed=random.seed, **flags)
    network = solver_config(tables, solver)
    physics = build_problem(tables.get("problem", {}))
    _check_outputs(output, vtk, network is not None, solver.resume)
    world = _communicator()
    if world is not None and network is not None:
        raise ConfigError("solver pinn trains in one process; start it without mpiexec")
    resumed = run_folder(output.out) if solver.resume else None
    seed = seed_of(tables, resumed) if world is None else world.bcast(seed_of(tables))
    unknown = choose_unknown(physics.prior(), m, seed, phantom(physics))
    plan = {"out": str(output.out), "problem": physics.name, "level": level, "seed": seed}
    plan["dofs"] = physics.dofs(level)
    if network is not None:
        plan |= network_plan(physics, network)
    if output.dry_run:
        terminal.result({"dry_run": True, **plan}, *(f"{k}: {v}" for k, v in plan.items()))
        return
    if network is not None:
        if output.overwrite:
            discard(run_folder(output.out))
        plan |= solve_by_network(terminal, physics, unknown, network, plan, solver)
        _view(output.out, vtk)
        terminal.result(plan, *(f"{k}: {plan[k]}" for k in SHOWN if k in plan), str(output.out))
        return
    _write(physics, unknown, plan, output.out, vtk, world)
    if world is None or world.rank == 0:
        terminal.note(f"solved {physics.name} with {plan['dofs']} dofs, seed {seed}")
        terminal.result(plan, str(output.out))


SHOWN = ("residual", "iterations", "seconds", "relative_l2")
"""What a solve by a network tells beside its file."""


def _check_outputs(output: Output, vtk: Path | None, network: bool, resume: bool) -> None:
    from pdeinv.io.atomic import check_output
    from pdeinv.io.runs import run_folder

    check_output(output.out, overwrite=output.overwrite, resume=resume)
    if network:
        check_output(run_folder(output.out), overwrite=output.overwrite, resume=resume)
    if vtk is not None:
        check_output(vtk, overwrite=output.overwrite)


def _view(out: Path, vtk: Path | None) -> None:
    if vtk is not None:
        from pdeinv.io.netcdf import read_dataset
        from pdeinv.io.vtkhdf import write_fields

        write_fields(vtk, read_dataset(out))


def _write(
    physics: Any, unknown: Any, plan: dict[str, Any], out: Path, vtk: Path | None, world: Any
) -> None:
    from pdeinv.io.netcdf import write
    from pdeinv.synthetic import make_truth

    tree = make_truth(physics, unknown, seed=plan["seed"], level=plan["level"], comm=world)
    if world is not None and world.rank != 0:
        return
    if vtk is not None:
        from pdeinv.io.vtkhdf import write_fields

        write_fields(vtk, tree.to_dataset())
    write(out, tree)


def _communicator() -> Any:
    """The world communicator when a launcher started several ranks, else None."""
    import os

    launchers = ("PMI_SIZE", "PMIX_RANK", "OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS")
    if not any(name in os.environ for name in launchers):
        return None
    from pdeinv.fem.env import fenicsx

    comm = fenicsx().MPI.COMM_WORLD
    return comm if comm.size > 1 else None
