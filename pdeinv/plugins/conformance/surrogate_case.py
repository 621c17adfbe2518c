"""One surrogate under test: small options, a data set, and what it learns from it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np

from pdeinv.bayes.prior import Prior
from pdeinv.config import Config
from pdeinv.io.datasets import TrainingSet
from pdeinv.model.forward import ForwardModel
from pdeinv.model.learned import Role
from pdeinv.model.observed import Sensors
from pdeinv.plugins.problem import Problem
from pdeinv.plugins.surrogate import Surrogate, role_of
from pdeinv.rng import stream
from pdeinv.typing import Array

__all__ = ["PROTOCOL", "SEED", "Case"]

PROTOCOL = "pdeinv.plugins.surrogate.Surrogate"
SEED = 1


@dataclass(frozen=True)
class Case:
    """A surrogate's class with options and something to learn.

    Attributes:
        kind: the class.
        config: an instance of its ``Config`` that trains quickly.
        problem: what it is trained for.
        dataset: solved samples of it.
        allowed: the largest held-out relative error.
        registered: the name it is registered by; None where it is not.
    """

    kind: Any
    config: Config
    problem: Problem
    dataset: TrainingSet
    allowed: float
    registered: str | None = None

    def fit(self) -> Surrogate:
        """Learn anew."""
        return cast(Surrogate, self.kind.fit(self.dataset, self.problem, self.config, SEED))

    @cached_property
    def trained(self) -> Surrogate:
        """What most clauses share."""
        return self.fit()

    @property
    def forward(self) -> bool:
        """Whether it is bound to a forward model."""
        return role_of(self.kind) == Role.FORWARD

    @cached_property
    def prior(self) -> Prior:
        """The problem's."""
        return self.problem.prior()

    @property
    def sensors(self) -> Sensors:
        """Where the data are."""
        return self.dataset.sensors

    def bound(self, surrogate: Surrogate | None = None) -> Any:
        """What it is for the sensors that it was trained at."""
        found = self.trained if surrogate is None else surrogate
        return found.bind(self.problem, self.prior, self.sensors)

    def model(self, surrogate: Surrogate | None = None) -> ForwardModel:
        """The same, of a surrogate of role forward."""
        return cast(ForwardModel, self.bound(surrogate))

    def xi(self, n: int, k: int = 0) -> Array:
        """Whitened unknowns that training has not seen, shape (n, dim)."""
        return stream(0, "conformance", 20 + k).standard_normal((n, self.prior.dim))

    def coordinates(self, n: int) -> Array:
        """Standard normal numbers of the coordinates of a denoiser, shape (n, dim)."""
        return stream(0, "conformance", 30).standard_normal((n, self.bound().space.size))

    def answers(self, surrogate: Surrogate | None = None) -> Array:
        """Numbers by which two surrogates are told apart, whatever their role."""
        bound, role = self.bound(surrogate), role_of(self.kind)
        if role == Role.FORWARD:
            return np.asarray(bound(self.xi(3)))
        if role == Role.DENOISER:
            return np.asarray(bound(self.coordinates(3), 0.5))
        found = bound(self.dataset.values[:3], self.noise_std)
        return np.stack([found.mean, found.std])

    @property
    def noise_std(self) -> Array:
        """Noise of 1 % of the largest value, one σ per datum."""
        peak = float(np.abs(self.dataset.values).max())
        return np.full(self.dataset.values.shape[1], 0.01 * peak)

    def saved(self, folder: Path) -> Path:
        """The trained one, saved there."""
        self.trained.save(folder / "surrogate")
        return folder / "surrogate"

    def reloaded(self) -> tuple[Surrogate, Mapping[str, Any]]:
        """The trained one after saving and loading, with its metadata."""
        with tempfile.TemporaryDirectory() as folder:
            found = self.kind.load(self.saved(Path(folder)))
            return found, found.metadata
