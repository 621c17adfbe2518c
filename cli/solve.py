"""``pdeinv solve``: the fields for one unknown."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

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
    problem: Annotated[
        str | None, typer.Argument(help="Name of the problem; else 'name' in table [problem].")
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

    Under 'mpiexec -n N' the ranks share the solve and the first one writes.
    """
    from pdeinv.io.atomic import check_output
    from pdeinv.synthetic import choose_unknown

    tables = with_flags(load_tables(settings), problem__name=problem, seed=random.seed)
    physics = build_problem(tables.get("problem", {}))
    check_output(output.out, overwrite=output.overwrite)
    if vtk is not None:
        check_output(vtk, overwrite=output.overwrite)
    world = _communicator()
    seed = seed_of(tables) if world is None else world.bcast(seed_of(tables))
    unknown = choose_unknown(physics.prior(), m, seed, getattr(physics, "phantom", None))
    plan = {"out": str(output.out), "problem": physics.name, "level": level, "seed": seed}
    plan["dofs"] = physics.dofs(level)
    if output.dry_run:
        terminal.result({"dry_run": True, **plan}, *(f"{k}: {v}" for k, v in plan.items()))
        return
    _write(physics, unknown, plan, output.out, vtk, world)
    if world is None or world.rank == 0:
        terminal.note(f"solved {physics.name} with {plan['dofs']} dofs, seed {seed}")
        terminal.result(plan, str(output.out))


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
