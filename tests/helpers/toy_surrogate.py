"""A surrogate that keeps every clause: a straight line from xi to the data, by least squares."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from pdeinv.bayes.posterior import xi_space
from pdeinv.config import Config
from pdeinv.errors import CapabilityError, DataSchemaError
from pdeinv.model.forward import LinearModel
from pdeinv.model.learned import Role
from pdeinv.surrogates.common.identity import Identity
from pdeinv.surrogates.common.storage import load_folder, save_folder

__all__ = ["LineConfig", "ToySurrogate"]


class LineConfig(Config):
    """Options."""

    penalty: float = Field(1e-9, ge=0, description="weight of the ridge")


@dataclass(frozen=True)
class ToySurrogate:
    """A x + c."""

    matrix: Any
    offset: Any
    metadata: Mapping[str, Any]

    name = "toy"
    Config = LineConfig
    role = Role.FORWARD
    learns_fields = False
    learns_pairs = False

    @classmethod
    def needs(cls, config, training):
        return frozenset({"numpy"})

    @classmethod
    def shares_work(cls, config):
        return False

    @classmethod
    def fit(cls, dataset, problem, config, seed, run=None):
        identity = Identity.of_dataset(dataset)
        identity.check(problem, problem.prior())
        if dataset.size < 10:
            raise DataSchemaError(f"expected at least 10 samples, got {dataset.size}")
        train, test = cls.split(dataset.size)
        ones = np.column_stack([dataset.xi, np.ones(dataset.size)])
        gram = ones[train].T @ ones[train] + config.penalty * np.eye(ones.shape[1])
        both = np.linalg.solve(gram, ones[train].T @ dataset.values[train])
        error = ones[test] @ both - dataset.values[test]
        departure = dataset.values[test] - dataset.values[train].mean(axis=0)
        size = np.sqrt(np.mean(np.sum(departure**2, axis=1)))
        errors = {"relative_l2": float(np.mean(np.linalg.norm(error, axis=1)) / size)}
        metadata = {
            **identity.as_json(),
            "surrogate": cls.name,
            "role": str(cls.role),
            "noise_std": [0.01] * dataset.values.shape[1],
            "level": dataset.level,
            "config": config.model_dump(),
            "errors": errors,
            "dataset_sha256": dataset.digest,
        }
        return cls(both[:-1].T, both[-1], metadata)

    @classmethod
    def split(cls, n):
        return slice(n // 5, None), slice(0, n // 5)

    @classmethod
    def from_pairs(cls, problem, pairs, config, seed):
        raise CapabilityError("it does not learn from pairs")

    def save(self, folder):
        save_folder(folder, {"matrix": self.matrix, "offset": self.offset}, self.metadata)

    @classmethod
    def load(cls, folder):
        arrays, metadata = load_folder(Path(folder), cls.name)
        return cls(arrays["matrix"], arrays["offset"], metadata)

    def bind(self, problem, prior, sensors):
        identity = Identity.from_json(self.metadata)
        identity.check(problem, prior)
        rows = identity.select(sensors)
        spaces = xi_space(prior.dim), problem.observed.space(sensors)
        return LinearModel(*spaces, self.matrix[rows], self.offset[rows], kind="surrogate")
