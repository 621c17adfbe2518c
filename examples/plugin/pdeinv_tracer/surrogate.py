"""The surrogate ``quadratic``: least squares of the data on all products of two unknowns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import Field

from pdeinv.model.forward import Linearization
from pdeinv.surrogates.common.bound import ALL
from pdeinv.surrogates.common.lesson import Lesson, LessonConfig, Where
from pdeinv.surrogates.common.record import Record
from pdeinv.surrogates.common.trained import Trained
from pdeinv.typing import Array

__all__ = ["Quadratic", "QuadraticConfig"]


class QuadraticConfig(LessonConfig):
    """Options of ``quadratic``."""

    ridge: float = Field(1e-6, gt=0, description="penalty on the weights, relative to the samples")


def features(xi: Array) -> Array:
    """1, xi_i and xi_i xi_j with i <= j: (..., dim) to (..., n)."""
    i, j = np.triu_indices(xi.shape[-1])
    one = np.ones((*xi.shape[:-1], 1))
    return np.concatenate([one, xi, xi[..., i] * xi[..., j]], axis=-1)


@dataclass(frozen=True)
class Polynomial:
    """xi to data: features times weights."""

    weights: Array
    capabilities = ALL

    def __call__(self, xi: Array) -> Array:
        return np.asarray(features(xi) @ self.weights)

    def linearize(self, xi: Array) -> Linearization:
        n = len(xi)
        i, j = np.triu_indices(n)
        slopes = np.zeros((len(self.weights), n))
        slopes[1 : n + 1] = np.eye(n)
        rows = np.arange(n + 1, len(self.weights))
        np.add.at(slopes, (rows, i), xi[j])
        np.add.at(slopes, (rows, j), xi[i])
        jacobian = self.weights.T @ slopes
        return Linearization(self(xi), lambda v: jacobian @ v, lambda w: jacobian.T @ w)


@dataclass(frozen=True)
class Quadratic(Trained):
    """The weights, shape (features, n_obs)."""

    weights: Array

    name = "quadratic"
    Config = QuadraticConfig

    @classmethod
    def learn(cls, lesson: Lesson) -> Quadratic:
        """Ridge regression; deterministic."""
        a = features(lesson.xi)
        normal = a.T @ a + lesson.config.ridge * len(a) * np.eye(a.shape[1])
        return cls(lesson.record(cls, {}), np.linalg.solve(normal, a.T @ lesson.values))

    def arrays(self) -> dict[str, Array]:
        """What is stored."""
        return {"weights": self.weights}

    @classmethod
    def restored(cls, arrays: Mapping[str, Array], record: Record) -> Quadratic:
        """The inverse of :meth:`arrays`."""
        return cls(record, arrays["weights"])

    def emulator(self, where: Where) -> Any:
        """The polynomial at some of the trained sensors."""
        return Polynomial(self.weights[:, where.chosen(self.record.identity)])
