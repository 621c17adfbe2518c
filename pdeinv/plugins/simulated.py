"""The simulations of a data set file, held against the data of an inversion."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pdeinv.bayes.posterior import Posterior
from pdeinv.bayes.simulations import Simulations
from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.io.datasets import same_prior
from pdeinv.io.simulated import SimulatedSet, read_simulated
from pdeinv.model.observed import Sensors
from pdeinv.plugins.aligned import Aligned, Measured
from pdeinv.plugins.hooks import aligned
from pdeinv.plugins.problem import Problem

__all__ = ["simulations_of"]

type Make = Callable[[str, Mapping[str, Any]], Problem]
"""What builds a problem by its name and configuration."""

NEAR = 1e-9
"""Places closer than this share of their extent are the same."""


def simulations_of(
    path: Path, problem: Problem, make: Make, sensors: Sensors, on: Posterior
) -> Simulations:
    """The samples of a data set of the same problem: of the same body, prior and sensors.

    Of another body where the problem aligns the two.

    Args:
        path: the file.
        problem: that is inverted.
        make: builds a problem by its name and configuration.
        sensors: where its data are.
        on: the posterior, which has the data and their likelihood.

    Raises:
        DataSchemaError: no data set, or one of something else.
    """
    found = read_simulated(path)
    _check_problem(found, problem)
    measured = Measured(sensors, on.data, on.likelihood)
    mapped = _aligned(found, problem, make, measured)
    if mapped is not None:
        xi, rows = mapped.back(found.xi), mapped.columns
        return Simulations(path.name, xi, found.predictions, mapped.values, mapped.likelihood, rows)
    if not (found.xi.shape[1] == on.dim and same_prior(on.prior, found.prior_probe)):
        raise DataSchemaError(
            f"{path}: simulated with another prior of {found.xi.shape[1]} unknowns, this run's has "
            f"{on.dim}; generate it with the configuration of this run"
        )
    _check_sensors(found, sensors)
    return Simulations(path.name, found.xi, found.predictions, on.data, on.likelihood)


def _aligned(
    found: SimulatedSet, problem: Problem, make: Make, measured: Measured
) -> Aligned | None:
    other = partial(make, found.problem, found.problem_config)
    try:
        return aligned(problem, measured, other, found.sensors)
    except (ConfigError, DataSchemaError) as error:
        raise DataSchemaError(f"{found.path}: {error}") from None


def _check_problem(found: SimulatedSet, problem: Problem) -> None:
    """Refuse simulations of another problem or quantity."""
    mine, theirs = problem.observed, found.observed
    if found.problem != problem.name:
        raise DataSchemaError(
            f"{found.path}: simulations of problem '{found.problem}', this run is of "
            f"'{problem.name}'; generate it for that"
        )
    if (mine.name, mine.units) != (theirs.name, theirs.units):
        raise DataSchemaError(
            f"{found.path}: simulations of '{theirs.name}' in {theirs.units}, the data are "
            f"'{mine.name}' in {mine.units}; generate it with the configuration of this run"
        )


def _check_sensors(found: SimulatedSet, sensors: Sensors) -> None:
    """Refuse simulations at other places, times or whatever numbers the data."""
    theirs, mine = found.sensors, sensors
    names = ", ".join(sorted(theirs)), ", ".join(sorted(mine))
    if sorted(theirs) != sorted(mine):
        what = f"has sensors by {names[0]}, the data are by {names[1]}"
    elif (n := _count(theirs)) != (own := _count(mine)):
        what = f"has {n} sensors, the data have {own}"
    elif far := [c for c in mine if not _alike(np.asarray(theirs[c]), np.asarray(mine[c]))]:
        what = f"has its sensors at another {far[0]} than the data"
    else:
        return
    raise DataSchemaError(
        f"{found.path}: {what}; generate it with --obs and the observations of this run"
    )


def _count(sensors: Sensors) -> int:
    return len(next(iter(sensors.values())))


def _alike(one: np.ndarray, other: np.ndarray) -> bool:
    extent = max(float(np.ptp(other)), float(np.abs(other).max()), 1e-300)
    return bool(np.all(np.abs(one - other) <= NEAR * extent))
