"""What a surrogate was trained for, so that it is used for nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from pdeinv.bayes.prior import Prior
from pdeinv.errors import SurrogateRejected
from pdeinv.io.datasets import TrainingSet, same_prior
from pdeinv.model.observed import Observed, Sensors
from pdeinv.plugins.problem import Problem
from pdeinv.typing import Array

from .split import Index

__all__ = ["OF_DATA", "Identity", "check_coordinates"]

OF_MODELS = "'fno', which takes any"
"""What to use at other sensors than a forward model was trained for."""

OF_DATA = "an engine of the model alone (map, gauss-newton)"
"""The same of an inverse."""

UNKNOWN = "unknown"
"""The table of a problem's configuration that says what is looked for, by the name that all use."""

TOLD, LONGEST = 3, 60
"""Differences that a message lists, and characters of a value in it."""

GRID, MESH = f"{UNKNOWN}.grid", "cells"
"""Keys for the grid of the unknown, and for how fine the mesh is."""

PLACE_TOLERANCE = 1e-9
"""Sensors closer than this share of their extent are the same."""


def check_coordinates(trained: Iterable[str], sensors: Sensors) -> None:
    """Refuse sensors with other coordinates than the trained ones.

    Raises:
        SurrogateRejected: names both.
    """
    if sorted(sensors) != sorted(trained):
        raise SurrogateRejected(
            f"surrogate was trained for sensor coordinates {', '.join(sorted(trained))}, this run "
            f"has {', '.join(sorted(sensors))}; train it again"
        )


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The entries of nested tables by dotted key; None counts as absent, as in TOML."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    elif value is not None:
        yield path, list(value) if isinstance(value, tuple) else value


def _telling(keys: Sequence[str]) -> list[str]:
    """The keys that differ, kinds first; of a table of another kind the kind alone."""
    kinds = sorted(key for key in keys if key.rpartition(".")[2] == "kind")
    tables = tuple(key.removesuffix("kind") for key in kinds)
    return kinds + sorted(k for k in keys if not k.startswith(tables)) if kinds else sorted(keys)


def _shown(value: Any) -> str:
    """A value in a message, cut where it is long."""
    text = "none" if value is None else repr(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


@dataclass(frozen=True)
class Identity:
    """The problem, prior and sensors of a training set.

    Attributes:
        problem: registered name.
        problem_config: its resolved configuration.
        prior_dim: length of xi.
        prior_probe: see :func:`pdeinv.io.datasets.prior_probe`.
        observed: name and units of the data.
        sensors: where the data are.
    """

    problem: str
    problem_config: Mapping[str, Any]
    prior_dim: int
    prior_probe: Array
    observed: Observed
    sensors: Sensors

    @classmethod
    def of_dataset(cls, data: TrainingSet) -> Identity:
        """That of a data set."""
        return cls(
            data.problem,
            data.problem_config,
            data.xi.shape[1],
            data.prior_probe,
            data.observed,
            data.sensors,
        )

    def check(self, problem: Problem, prior: Prior) -> None:
        """Refuse another problem, configuration or prior.

        Raises:
            SurrogateRejected: names what differs.
        """
        self._check_name(problem)
        self._check_config(problem, lambda _: True)
        if prior.dim != self.prior_dim:
            raise SurrogateRejected(
                f"surrogate was trained for {self.prior_dim} unknowns, this run's prior has "
                f"{prior.dim}; train it again with this prior"
            )
        self._check_prior(prior)

    def _check_prior(self, prior: Prior) -> None:
        if not same_prior(prior, self.prior_probe):
            raise SurrogateRejected(
                "surrogate was trained for another prior of the same size; train it again with "
                "this prior"
            )

    def check_fields(self, problem: Problem, prior: Prior, *, grid: bool) -> None:
        """Refuse another problem or configuration; the mesh, which fields know nothing of, is free.

        Args:
            problem: of the run.
            prior: of it; on the grid of the training it has to be that of the training.
            grid: whether the grid of the unknown has to be that of the training.

        Raises:
            SurrogateRejected: names what differs.
        """
        free = {MESH} if grid else {MESH, GRID}
        self._check_name(problem)
        self._check_config(problem, lambda key: key not in free)
        then, now = self._both(problem)
        if then.get(GRID) == now.get(GRID):
            self._check_prior(prior)

    def check_setup(self, problem: Problem) -> None:
        """Refuse another problem, body or protocol; its unknown may be another.

        Raises:
            SurrogateRejected: names the first difference.
        """
        self._check_name(problem)
        self._check_config(problem, lambda key: not key.startswith(f"{UNKNOWN}."))

    def _check_name(self, problem: Problem) -> None:
        if problem.name != self.problem:
            raise SurrogateRejected(
                f"surrogate was trained for problem '{self.problem}', this run is "
                f"'{problem.name}'; choose another --surrogate or train one for it"
            )

    def _check_config(self, problem: Problem, counts: Callable[[str], bool]) -> None:
        """Compare the entries of the configuration that count, by their dotted keys."""
        then, now = self._both(problem)
        keys = _telling([k for k in filter(counts, {*then, *now}) if then.get(k) != now.get(k)])
        if not keys:
            return
        was = ", ".join(f"{k} = {_shown(then.get(k))}" for k in keys[:TOLD])
        has = ", ".join(_shown(now.get(k)) for k in keys[:TOLD])
        more = f" ({len(keys) - TOLD} more differ)" * (len(keys) > TOLD)
        raise SurrogateRejected(
            f"surrogate was trained for {self.problem} with {was}, this run has {has}{more}; use "
            "that configuration or train it again"
        )

    def _both(self, problem: Problem) -> tuple[dict[str, Any], dict[str, Any]]:
        """The entries of the training's configuration and of a run's, by dotted key."""
        configs = self.problem_config, problem.config.model_dump(mode="json")
        then, now = (dict(_leaves(config)) for config in configs)
        return then, now

    def select(self, sensors: Sensors, instead: str = OF_MODELS) -> Index:
        """The positions of ``sensors`` among the trained ones.

        Args:
            sensors: coordinates of the data.
            instead: what to use for others, in the refusal.

        Raises:
            SurrogateRejected: a sensor is not among them.
        """
        names = list(self.sensors)
        check_coordinates(names, sensors)
        trained = np.stack([np.asarray(self.sensors[c], dtype=float) for c in names], axis=1)
        asked = np.stack([np.asarray(sensors[c], dtype=float) for c in names], axis=1)
        extent = max(float(np.ptp(trained, axis=0).max()), float(np.abs(trained).max()), 1e-300)
        distance, index = cKDTree(trained).query(asked)
        far = np.flatnonzero(distance > PLACE_TOLERANCE * extent)
        if len(far):
            place = ", ".join(f"{c} = {asked[far[0], j]:g}" for j, c in enumerate(names))
            raise SurrogateRejected(
                f"{len(far)} of {len(asked)} sensors are not among the {len(trained)} that the "
                f"surrogate was trained for, the first at {place}; generate and train with these "
                f"sensors, or use {instead}"
            )
        return np.asarray(index, dtype=np.intp)

    def as_json(self) -> dict[str, Any]:
        """JSON data."""
        return {
            "problem": self.problem,
            "problem_config": dict(self.problem_config),
            "prior_dim": self.prior_dim,
            "prior_probe": self.prior_probe.tolist(),
            "observed": {
                "name": self.observed.name,
                "units": self.observed.units,
                "long_name": self.observed.long_name,
                "coords": dict(self.observed.coords),
            },
            "sensors": {c: np.asarray(v).tolist() for c, v in self.sensors.items()},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Identity:
        """The inverse of :meth:`as_json`; further entries are left alone."""
        seen = data["observed"]
        return cls(
            data["problem"],
            data["problem_config"],
            int(data["prior_dim"]),
            np.asarray(data["prior_probe"], dtype=np.float64),
            Observed(*(seen[k] for k in ("name", "units", "long_name", "coords"))),
            {c: np.asarray(v, dtype=np.float64) for c, v in data["sensors"].items()},
        )
