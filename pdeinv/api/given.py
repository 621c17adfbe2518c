"""What a user may hand to a function, as what the jobs work on: files, tables and problems."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from pdeinv.bayes.likelihood import Likelihood
from pdeinv.config import dump_toml
from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.io import netcdf
from pdeinv.io.observations import Observations, noise_of, to_dataset
from pdeinv.plugins.own_declared import OWN, OwnTable, declare, load_reference
from pdeinv.plugins.own_model import OwnModel
from pdeinv.plugins.own_problem import OwnProblem
from pdeinv.plugins.problem import Problem
from pdeinv.plugins.recipe import make_problem
from pdeinv.rng import fresh_seed
from pdeinv.seeds import check_seed

__all__ = [
    "Data",
    "File",
    "Model",
    "Subject",
    "at_least",
    "declare_model",
    "files",
    "one_of",
    "problem_table",
    "seed_or_fresh",
    "to_problem",
    "written",
]

File = str | Path | xr.Dataset | xr.DataTree
"""A NetCDF file, or what one holds."""
Data = File | tuple[ArrayLike, ArrayLike | Callable[[int], Likelihood]]
"""Observations; with ``model=`` also (y, σ), σ one number, one per datum or a covariance, or
(y, likelihood) by a function of :mod:`pdeinv.bayes.likelihoods`."""
Model = OwnModel | str
"""What ``pdeinv.own_model`` makes, or ``module:factory``, which is imported."""
Subject = Problem | OwnModel | str
"""A problem: built, of one's own, or by its name."""


def at_least(least: int, **numbers: object) -> None:
    """Refuse arguments that are no whole numbers of at least ``least``.

    Raises:
        ConfigError: the first that is not.
    """
    for name, value in numbers.items():
        whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
        if not (whole and value >= least):  # type: ignore[operator]
            raise ConfigError(f"{name}: expected a whole number of at least {least}, got {value!r}")


def one_of(known: tuple[str, ...], **words: object) -> None:
    """Refuse arguments that are none of the words that there are.

    Raises:
        ConfigError: the first that is not.
    """
    for name, value in words.items():
        if value not in known:
            raise ConfigError(f"{name}: expected {', '.join(known)}, got {value!r}")


def seed_or_fresh(seed: int | None) -> int:
    """The root seed.

    Raises:
        ConfigError: no whole number, negative or too large.
    """
    if seed is None:
        return fresh_seed()
    return check_seed(seed)


def declare_model(model: Model | None) -> OwnTable | None:
    """Make an own model known, so that files that belong to it can be read; its table."""
    if model is None:
        return None
    if isinstance(model, str):
        return declare(load_reference(model))
    if not isinstance(model, OwnModel):
        raise ConfigError(
            f"model: expected what pdeinv.own_model makes or 'module:factory', got "
            f"{type(model).__name__}"
        )
    return declare(model)


def to_problem(given: Subject) -> Problem:
    """The problem that a user means.

    Raises:
        UnknownPlugin: no problem of that name.
        ConfigError: a model that cannot be imported.
    """
    if isinstance(given, OwnModel):
        return OwnProblem.of(given)
    if isinstance(given, str):
        if ":" in given:
            return OwnProblem.of(load_reference(given))
        return make_problem(given, {})
    return given


def problem_table(problem: Subject | None, model: Model | None) -> dict[str, Any]:
    """The table ``[problem]`` of a problem or an own model; empty for neither.

    Raises:
        ConfigError: both are given.
    """
    if problem is not None and model is not None:
        raise ConfigError("give the problem once: problem= or model=, not both")
    own = declare_model(model)
    if own is not None:
        return {"name": OWN, **own}
    if problem is None:
        return {}
    if isinstance(problem, str) and ":" not in problem:
        return {"name": problem}
    made = to_problem(problem)
    return {"name": made.name, **made.config.model_dump(mode="json")}


def paths(*given: object) -> list[Path]:
    """Those of the arguments that name files or folders: what an output must not replace."""
    return [Path(one) for one in given if isinstance(one, str | Path)]


@contextmanager
def files() -> Iterator[Path]:
    """A folder for what has no name of its own, while the block runs."""
    with TemporaryDirectory(prefix="pdeinv-") as folder:
        yield Path(folder)


def written(given: Data, folder: Path, name: str, model: OwnTable | None = None) -> Path:
    """The file that is given, or one in ``folder`` with what is given.

    Raises:
        DataSchemaError: something that is no file.
        ConfigError: numbers without a model.
    """
    if isinstance(given, str | Path):
        return Path(given)
    if isinstance(given, tuple):
        given = _measured(given, model)
    if not isinstance(given, xr.Dataset | xr.DataTree):
        raise DataSchemaError(
            f"{name}: expected a path, an xarray Dataset or DataTree, got {type(given).__name__}"
        )
    path = folder / f"{name}.nc"
    netcdf.write(path, given)
    return path


def _measured(pair: tuple[Any, ...], model: OwnTable | None) -> xr.Dataset:
    """Numbers of an own model's data as an observation file; NaN: not measured."""
    if model is None:
        raise ConfigError("(y, sigma) says not what was measured; pass model= as well, or a file")
    if len(pair) != 2:
        raise ConfigError(f"observations: expected (y, sigma), got {len(pair)} parts")
    problem = make_problem(OWN, model)
    places = problem.sensors("all")
    n = len(next(iter(places.values())))
    values = np.asarray(pair[0], dtype=np.float64)
    if values.shape != (n,):
        raise DataSchemaError(f"observations: the model predicts {n} data, got {values.shape}")
    attrs = {
        "pdeinv_kind": "observations",
        "pdeinv_problem": problem.name,
        "pdeinv_problem_config": dump_toml(model),
    }
    likelihood = pair[1](n) if callable(pair[1]) else noise_of(pair[1], n)
    observations = Observations(problem.observed, values, places, likelihood)
    return to_dataset(observations, attrs)
