"""Are the derivatives of a model right, and do the data make sense? The findings, line by line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pdeinv.bayes.check import (
    MAX_DOT_PRODUCT_ERROR,
    MIN_TAYLOR_SLOPE,
    dot_product_test,
    taylor_test,
)
from pdeinv.bayes.likeness import UNLIKE, share_in_words
from pdeinv.bayes.noise import Noise
from pdeinv.bayes.posterior import WhitenedModel
from pdeinv.engines.ended import Ended
from pdeinv.io.likelihoods import likelihood_attrs
from pdeinv.io.observations import Observations
from pdeinv.jobs.foreseen import compared
from pdeinv.jobs.untrained import noise_remark
from pdeinv.model.forward import DERIVATIVES
from pdeinv.model.learned import Estimate, Role
from pdeinv.plugins import registry
from pdeinv.plugins.aligned import Measured
from pdeinv.plugins.estimated import told_of_data
from pdeinv.plugins.problem import Problem
from pdeinv.plugins.recipe import (
    PosteriorRecipe,
    load_surrogate,
    make_problem,
    surrogate_kind,
    whitened_model,
)
from pdeinv.plugins.surrogate import role_of
from pdeinv.rng import stream
from pdeinv.typing import Array

__all__ = ["Verdict", "check_observations", "check_problem"]


@dataclass(frozen=True)
class Verdict:
    """One line of the report; ``ok`` is None for a figure that is neither good nor bad.

    ``flag`` is a word for such a figure that is odd all the same; it fails no check.
    """

    test: str
    value: float | int | str
    limit: str
    ok: bool | None
    flag: str = ""


def check_problem(problem: Problem, sensors: str | None, level: int, seed: int) -> list[Verdict]:
    """Test the derivatives of a problem.

    Args:
        problem: the physics.
        sensors: places as text; the problem's own where None.
        level: mesh level.
        seed: draws the point and the directions.

    Raises:
        MissingDependency: what the problem needs is not installed.
    """
    registry.require("problems", problem.name)
    places = problem.sensors(problem.default_sensors if sensors is None else sensors)
    model = whitened_model(problem, places, level)
    return _derivatives(model, seed)


def check_observations(
    problem: Problem,
    data: Observations,
    notes: Sequence[str],
    level: int,
    seed: int,
    trained: Path | None = None,
) -> list[Verdict]:
    """Audit observations and test the derivatives of their problem.

    Args:
        problem: the physics.
        data: what was measured of it.
        notes: remarks on both, which become lines of the report.
        level: mesh level.
        seed: draws the point and the directions.
        trained: folder of a surrogate; a learned prior or inverse says how alike the data are to
            those that it knows.

    Raises:
        MissingDependency: what the problem needs is not installed.
        SurrogateRejected: it was trained for another problem.
    """
    registry.require("problems", problem.name)
    model = whitened_model(problem, data.coords, level)
    alike = () if trained is None else _alike(problem, data, level, seed, trained)
    told = (Verdict("note", note, "", None) for note in notes)
    return [*_audit(data), *alike, *told, *_derivatives(model, seed)]


def _alike(
    problem: Problem, data: Observations, level: int, seed: int, trained: Path
) -> Iterator[Verdict]:
    """How alike the data are to those of a learned prior or inverse, where it judges that."""
    role = role_of(surrogate_kind(trained))
    if role is Role.FORWARD:
        return
    if role is Role.INVERSE:
        measured = Measured(data.coords, data.values, data.likelihood)
        inverse = load_surrogate(trained)
        yield from _of_inverse(told_of_data(inverse, problem, make_problem, measured))
        return
    posterior = PosteriorRecipe.of(problem, data, level=level, denoiser=trained)()
    assert posterior.denoiser is not None
    found = compared(posterior, posterior.denoiser, seed)
    if found.likeness is not None:
        yield _likeness(found.likeness)
    if found.remark:
        yield Verdict("note", found.remark, "", None)


def _of_inverse(told: Estimate) -> Iterator[Verdict]:
    """How odd data and their noise are to a trained inverse; whatever the unknown is."""
    if told.likeness is not None:
        share = float(told.likeness)
        yield _likeness(share)
        if share < UNLIKE:
            odd = f"{share_in_words(share)} of the held-out data are as odd as these, or odder"
            yield Verdict("note", Ended.UNLIKE.sentence(odd), "", None)
    if told.noise is not None:
        low, high = told.noise.served
        flag = "outside" if told.noise.far else ""
        yield Verdict("noise / noise of the training", told.noise.ratio,
                      f"usually {low:g} to {high:g}", None, flag)  # fmt: skip
    if noise_remark(told):
        yield Verdict("note", noise_remark(told), "", None)


def _likeness(share: float) -> Verdict:
    """No test: of data that are right a share of that size is unlike by chance."""
    flag = "unlike" if share < UNLIKE else ""
    return Verdict("likeness to what was learned", share, f"usually >= {UNLIKE:g}", None, flag)


def _audit(data: Observations) -> list[Verdict]:
    """Figures of data that were read without error: units, signs and places are right by then."""
    found = [
        Verdict("data", data.size, "", None),
        Verdict("dropped data", data.n_dropped, "", None),
    ]
    additive = isinstance(data.likelihood, Noise)
    for part in _parts(data):
        peak = float(np.max(np.abs(part.values)))
        found.append(Verdict(f"largest |{part.name}| ({part.units})", peak, "", None))
        if additive:
            std = float(np.median(data.noise.std[part.own]) * part.scale)
            label = "median noise std" + f" of {part.name}" * bool(data.observed.kinds)
            found.append(Verdict(f"{label} ({part.units})", std, "", None))
            found.append(Verdict("median noise / largest value", std / peak, "", None))
    if additive:
        return found
    return [
        *found,
        Verdict("likelihood", likelihood_attrs(data.likelihood)["likelihood"], "", None),
    ]


@dataclass(frozen=True)
class _Part:
    """Data of one quantity, in its own units: which they are, and what they were divided by."""

    name: str
    units: str
    values: Array
    own: NDArray[np.int64]
    scale: float


def _parts(data: Observations) -> list[_Part]:
    observed, numbers = data.observed, data.observed.numbers(data.coords)
    if numbers is None:
        own = np.arange(data.size)
        return [_Part(observed.name, observed.units, data.values, own, 1.0)]
    found = []
    for number in np.unique(numbers):
        kind, own = observed.kinds[number], np.flatnonzero(numbers == number)
        values = data.values[own] * kind.scale
        found.append(_Part(kind.name, kind.units, values, own, kind.scale))
    return found


def _derivatives(model: WhitenedModel, seed: int) -> list[Verdict]:
    if not model.capabilities >= DERIVATIVES:
        return [Verdict("derivatives", "none declared", "", None)]
    rng = stream(seed, "check")
    xi = 0.5 * rng.standard_normal(model.m_space.size)
    error = dot_product_test(model, xi, rng)
    slope = float(taylor_test(model, xi, rng).slope)
    return [
        Verdict(
            "dot product", error, f"<= {MAX_DOT_PRODUCT_ERROR:g}", error <= MAX_DOT_PRODUCT_ERROR
        ),
        Verdict("Taylor slope", slope, f">= {MIN_TAYLOR_SLOPE:g}", slope >= MIN_TAYLOR_SLOPE),
    ]
