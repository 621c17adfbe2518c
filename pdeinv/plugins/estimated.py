"""What a trained inverse says of the data of an inversion, in the unknown of this run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast

import numpy as np

from pdeinv.errors import CapabilityError, ConfigError, DataSchemaError, SurrogateRejected
from pdeinv.model.learned import Estimate, Family, Inverse
from pdeinv.model.multilinear import multilinear
from pdeinv.model.spaces import Space
from pdeinv.plugins.aligned import Aligned, Measured
from pdeinv.plugins.hooks import aligned
from pdeinv.plugins.problem import Problem
from pdeinv.plugins.surrogate import Surrogate
from pdeinv.typing import Array

__all__ = ["estimate_of", "told_of_data"]

type Make = Callable[[str, Mapping[str, Any]], Problem]
"""What builds a problem by its name and configuration."""

LEAST = 0.01
"""The smallest standard deviation that is believed, in those of the prior: a search whose first
steps are shorter gets nowhere."""


def estimate_of(surrogate: Surrogate, problem: Problem, make: Make, measured: Measured) -> Estimate:
    """The estimate from one measurement, of ξ, shapes (dim,), or of the unknown itself, (n_m,).

    Where the problem aligns bodies, an inverse of another body is shown the data as they would be
    there, and what it says is carried back.

    Args:
        surrogate: of role ``inverse``.
        problem: that is inverted.
        make: builds a problem by its name and configuration.
        measured: the data.

    Raises:
        CapabilityError: it estimates a field, and the unknown of this run is none.
        DataSchemaError: what it says is not finite.
        SurrogateRejected: trained for another problem, prior or sensor set.
    """
    mapped, trained = _aligned(surrogate, problem, make, measured)
    if mapped is None:
        found = _placed(*_asked(surrogate, problem, measured), problem)
    else:
        there = _placed(*_asked(surrogate, trained, mapped[1]), trained)
        found = _carried(there, mapped[0].back)
    if not np.isfinite([found.mean, found.std]).all():
        raise DataSchemaError(
            f"surrogate '{surrogate.name}' says nothing finite of these data; check them, or leave "
            "--surrogate out"
        )
    if found.of == "xi":
        return replace(found, std=np.maximum(found.std, LEAST))
    return found


def told_of_data(
    surrogate: Surrogate, problem: Problem, make: Make, measured: Measured
) -> Estimate:
    """What it says of the data, as it says it: an image too where this run's unknown is no field.

    Args and errors are those of :func:`estimate_of`, but for the first of these.
    """
    mapped, trained = _aligned(surrogate, problem, make, measured)
    if mapped is None:
        return _asked(surrogate, problem, measured)[0]
    return _asked(surrogate, trained, mapped[1])[0]


def _aligned(
    surrogate: Surrogate, problem: Problem, make: Make, measured: Measured
) -> tuple[tuple[Aligned, Measured] | None, Problem]:
    """The data in the body that it was trained for, and that problem; None where it is this one.

    Raises:
        SurrogateRejected: they cannot be carried there.
    """
    told = surrogate.metadata
    if told["problem"] != problem.name:
        return None, problem  # bind says so
    sensors = {c: np.asarray(v, dtype=np.float64) for c, v in told["sensors"].items()}
    other = make(str(told["problem"]), told["problem_config"])
    try:
        mapped = aligned(problem, measured, lambda: other, sensors)
    except (ConfigError, DataSchemaError) as error:
        raise SurrogateRejected(f"surrogate of another body: {error}; train it again") from None
    if mapped is None:
        return None, problem
    there = {c: v[mapped.columns] for c, v in sensors.items()}
    return (mapped, Measured(there, mapped.values, mapped.likelihood)), other


def _asked(surrogate: Surrogate, problem: Problem, measured: Measured) -> tuple[Estimate, Space]:
    """The estimate, and the space that it is in."""
    bound = cast(Inverse, surrogate.bind(problem, problem.prior(), measured.sensors))
    return bound(measured.values[None], measured.likelihood.std).row(0), bound.space


def _placed(found: Estimate, grid: Space, problem: Problem) -> Estimate:
    """A coefficient on a grid as the unknown that holds its values at places, linear in between.

    Raises:
        CapabilityError: the unknown holds something else.
    """
    if found.of != "grid":
        return found
    space = problem.prior().space
    (image,), unknown = grid.variables, space.variables
    axes = [a for a in "xyz" if a in image.coords]
    if len(unknown) != 1 or not set(axes) <= set(unknown[0].coords):
        raise CapabilityError(
            f"an image of the coefficient is learned, and the unknown {', '.join(space.names)} of "
            "this run is no field of values at places; set problem.unknown.kind to one "
            "(log-gaussian, or piecewise)"
        )
    matrix = multilinear([image.coords[a][1] for a in axes], unknown[0].places)
    told = found.family
    family = None if told is None else Family(matrix @ told.mean, matrix @ told.modes)
    return replace(found, mean=matrix @ found.mean, std=matrix @ found.std, of="m", family=family)


def _carried(found: Estimate, back: Callable[[Array], Array]) -> Estimate:
    """Mean and spread through a map of ξ, the latter by differences of one standard deviation.

    What no estimate moves was known where the inverse was trained, such as a threshold: of it the
    inverse says nothing, and the prior remains.
    """
    step = np.diag(found.std)
    half = 0.5 * (back(found.mean + step) - back(found.mean - step))
    mean, std = back(found.mean[None])[0], np.sqrt(np.sum(half**2, axis=0))
    told = std > 0
    return replace(found, mean=np.where(told, mean, 0.0), std=np.where(told, std, 1.0))
