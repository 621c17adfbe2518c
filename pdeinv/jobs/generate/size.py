"""Whether a data set can be held: by the disk it goes to, and its batches by memory."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

from pdeinv.errors import ConfigError
from pdeinv.jobs.generate.plan import Plan
from pdeinv.memory import check_fits, size_of
from pdeinv.plugins.problem import Problem

__all__ = ["check_points", "check_size", "sample_bytes"]

BYTES_PER_BATCH = 100
"""What the process that leads remembers of a batch, at least."""

HYPERCUBES = 3
"""Arrays of all points that a Latin hypercube is made of: places, their orders, both together."""


def sample_bytes(problem: Problem, plan: Plan) -> int:
    """Bytes of one sample in the file, at least."""
    prior = problem.prior()
    n_obs = len(next(iter(plan.sensors.values())))
    directions = min(plan.jacobian, prior.dim)
    grid = 0 if plan.grid is None else math.prod(plan.grid)
    fields = prior.dim + prior.space.size + n_obs + directions * (n_obs + prior.dim) + grid
    return 8 * fields


def check_points(plan: Plan, dim: int) -> None:
    """Refuse a design of which all points are made at once where these cannot be held.

    Raises:
        ConfigError: with their size.
    """
    if plan.sampling == "lhs":
        remedy = "lower n, or take --design sobol, which is made point by point"
        check_fits(f"a hypercube of {plan.n} points", HYPERCUBES * 8 * plan.n * dim, remedy)


def check_size(problem: Problem, plan: Plan, out: Path) -> None:
    """Refuse a data set that cannot be held, however much of disk and memory is free.

    Raises:
        ConfigError: with its size.
    """
    each = sample_bytes(problem, plan)
    disk = shutil.disk_usage(out.absolute().parent).total
    if each * plan.n > disk:
        raise ConfigError(
            f"n: {plan.n} samples would take at least {size_of(each * plan.n)}, and the disk of "
            f"{out} holds {size_of(disk)}; lower n, or store less of a sample"
        )
    check_fits(f"n: {plan.n} samples", BYTES_PER_BATCH * plan.n_batches, "lower n")
    check_fits(f"a batch of {plan.batch_size} samples", each * plan.batch_size, "store less of one")
