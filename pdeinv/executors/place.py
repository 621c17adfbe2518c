"""Where a process stands among those that srun or torchrun has started."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pdeinv.errors import ConfigError

__all__ = ["Place", "first_host", "place_of"]


@dataclass(frozen=True)
class Place:
    """Where one process stands among those that train together.

    Attributes:
        rank: number of this process, from 0.
        size: how many there are.
        local: number of this process on its machine.
        address: machine of the first process.
        port: where it listens.
    """

    rank: int
    size: int
    local: int
    address: str
    port: int


def first_host(nodes: str) -> str:
    """The first machine of a Slurm node list such as ``gpu[003-007,9],login1``."""
    head = re.split(r",(?![^\[]*\])", nodes.strip())[0]
    found = re.fullmatch(r"([^\[\]]*)\[(\w+)[^\]]*\](.*)", head)
    return "".join(found.groups()) if found else head


def place_of(environ: Mapping[str, str]) -> Place | None:
    """The place that ``torchrun`` or ``srun`` gave this process; None without several processes.

    Raises:
        ConfigError: the launcher's variables are incomplete.
    """
    try:
        if "RANK" in environ and "WORLD_SIZE" in environ:
            found = _torchrun(environ)
        elif "SLURM_PROCID" in environ and ("SLURM_STEP_ID" in environ):
            # a batch script itself has SLURM_PROCID too, but no step; only srun starts tasks
            found = _slurm(environ)
        else:
            return None
    except (KeyError, ValueError) as error:
        raise ConfigError(
            f"the launcher's variable {error} is missing or malformed; start with srun, torchrun "
            "or --devices N"
        ) from None
    return found if found.size > 1 else None


def _torchrun(environ: Mapping[str, str]) -> Place:
    rank = int(environ["RANK"])
    local = int(environ.get("LOCAL_RANK", rank))
    size, port = int(environ["WORLD_SIZE"]), int(environ.get("MASTER_PORT", "29500"))
    return Place(rank, size, local, environ.get("MASTER_ADDR", "127.0.0.1"), port)


def _slurm(environ: Mapping[str, str]) -> Place:
    size = int(environ.get("SLURM_STEP_NUM_TASKS") or environ["SLURM_NTASKS"])
    nodes = environ.get("SLURM_STEP_NODELIST") or environ.get("SLURM_JOB_NODELIST", "127.0.0.1")
    job, step = int(environ.get("SLURM_JOB_ID", "0")), environ["SLURM_STEP_ID"]
    # one port per job step, so that two trainings on one node do not meet
    port = 20000 + (job * 16 + int(step) % 16) % 20000
    return Place(
        int(environ["SLURM_PROCID"]),
        size,
        int(environ.get("SLURM_LOCALID", "0")),
        environ.get("MASTER_ADDR") or first_host(nodes),
        int(environ.get("MASTER_PORT") or port),
    )
