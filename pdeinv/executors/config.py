"""The table ``[executor]``: where tasks run."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pdeinv.config import Config

__all__ = ["Backend", "ExecutorConfig"]

Backend = Literal["process", "mpi", "slurm", "dask"]


class ExecutorConfig(Config):
    """Where independent solves run; ``workers`` says how many at a time."""

    name: Backend = Field("process", description="process, mpi, slurm or dask")
    partition: str | None = Field(None, description="slurm: partition")
    account: str | None = Field(None, description="slurm: account")
    time: int = Field(60, ge=1, description="slurm: minutes of one array task")
    cpus: int = Field(1, ge=1, description="slurm: cores of one array task")
    memory: float | None = Field(None, gt=0, description="slurm: GB of one array task")
    setup: tuple[str, ...] = Field((), description="slurm: shell lines before the solves")
    parameters: dict[str, str | int] = Field(
        default_factory=dict, description="slurm: further #SBATCH options, such as qos"
    )
    cluster: Literal["slurm", "local"] = Field(
        "slurm", description="slurm: 'local' starts the array tasks on this machine instead"
    )
    scheduler: str | None = Field(
        None, description="dask: address such as tcp://host:8786; absent: processes of this machine"
    )
