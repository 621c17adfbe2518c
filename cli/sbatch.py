"""A Slurm script for a training that continues by itself after the end of each allocation."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import typer

__all__ = ["Slurm", "script"]

slurm_option = partial(typer.Option, rich_help_panel="Slurm script")


@dataclass(frozen=True)
class Slurm:
    """What ``--print-sbatch`` asks the scheduler for."""

    print_sbatch: Annotated[
        bool,
        slurm_option(
            "--print-sbatch", help="Print a Slurm script for this command and do nothing else."
        ),
    ] = False
    nodes: Annotated[int, slurm_option("--nodes", min=1, help="Machines.")] = 1
    gpus: Annotated[
        int,
        slurm_option("--gpus", min=0, help="GPUs of a machine; 0: CPUs."),
    ] = 1
    cpus: Annotated[int, slurm_option("--cpus", min=1, help="Cores of a process.")] = 8
    time: Annotated[str, slurm_option("--time", help="Of one allocation.")] = "12:00:00"
    partition: Annotated[str | None, slurm_option("--partition", help="Queue.")] = None
    account: Annotated[str | None, slurm_option("--account", help="Who pays.")] = None


def script(slurm: Slurm, name: str, tasks: int, command: Sequence[str]) -> str:
    """The script.

    Args:
        slurm: what to ask for.
        name: of the job.
        tasks: processes on a machine; one per GPU.
        command: the ``pdeinv`` command, ``--resume`` included.
    """
    asked = {
        "job-name": name,
        "partition": slurm.partition,
        "account": slurm.account,
        "nodes": slurm.nodes,
        "ntasks-per-node": tasks,
        "gpus-per-node": slurm.gpus or None,
        "cpus-per-task": slurm.cpus,
        "time": slurm.time,
        "signal": "USR1@120",
        "open-mode": "append",
        "output": f"{name}-%j.log",
    }
    lines = [f"#SBATCH --{k}={shlex.quote(str(v))}" for k, v in asked.items() if v is not None]
    return "\n".join(("#!/bin/bash", *lines, "#SBATCH --requeue", "", BODY % shlex.join(command)))


BODY = """\
# Two minutes before the end every task gets SIGUSR1, saves and exits with 75; the job then queues
# again and goes on from its checkpoint. Load modules or activate the environment here.
export OMP_NUM_THREADS=$SLURM_CPUS_PER_TASK
trap : USR1  # this shell only waits, also where it gets the signal too

srun --kill-on-bad-exit=1 %s
code=$?
if [ "$code" -eq 75 ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
"""
