"""What every surrogate stores beside its weights: identity, range, errors and origin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from pdeinv.config import fingerprint, parse
from pdeinv.errors import ConfigError, DataSchemaError, reason
from pdeinv.model.learned import Role
from pdeinv.provenance import versions
from pdeinv.typing import Array

from .identity import Identity
from .metadata import Metadata
from .scaling import departure
from .storage import FORMAT

__all__ = ["Judgement", "Record", "heldout_errors"]


def heldout_errors(
    predicted: Array, true: Array, noise_std: Array, mean: Array
) -> dict[str, float]:
    """Errors on samples that were not used for training, each array (n, n_obs).

    Args:
        predicted: by the surrogate.
        true: by the reference.
        noise_std: σ, shape (n_obs,).
        mean: of the training data, shape (n_obs,).

    Returns:
        ``relative_l2``: mean over samples of ‖error‖ over the typical ‖u - mean‖;
        ``rms_over_sigma``: rms error in units of the noise σ. For k data, √k times the latter is
        about the sd of the misfit difference.
    """
    error, size = predicted - true, departure(true, mean)
    return {
        "relative_l2": float(np.mean(np.linalg.norm(error, axis=1) / size)),
        "rms_over_sigma": float(np.sqrt(np.mean((error / noise_std) ** 2))),
    }


@dataclass(frozen=True)
class Judgement:
    """What samples that were held out say.

    Attributes:
        errors: by name.
        extra: further facts.
    """

    errors: Mapping[str, float]
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Record:
    """The metadata of a trained surrogate.

    Attributes:
        surrogate: registered name.
        identity: what it was trained for.
        low: smallest trained xi by component.
        high: largest trained xi by component.
        noise_std: σ that errors are weighed against.
        config: the surrogate's resolved configuration.
        seed: root seed of the training.
        dataset: sha256 of the data set file, or a note on where the pairs came from.
        level: mesh level of the reference model.
        sizes: samples by use (train, validation, held out).
        errors: held-out errors by name.
        extra: further facts of the kind of surrogate.
        role: what it is once it is bound.
        software: versions of the packages that made it.
    """

    surrogate: str
    identity: Identity
    low: Array
    high: Array
    noise_std: Array
    config: Mapping[str, Any]
    seed: int
    dataset: str
    level: int
    sizes: Mapping[str, int]
    errors: Mapping[str, float]
    extra: Mapping[str, Any] = field(default_factory=dict)
    role: Role = Role.FORWARD
    software: Mapping[str, str] = field(default_factory=versions)

    def judged(self, found: Judgement) -> Record:
        """The same with errors and facts that are known once it is trained."""
        errors, extra = {**self.errors, **found.errors}, {**self.extra, **found.extra}
        return replace(self, errors=errors, extra=extra)

    def as_json(self) -> dict[str, Any]:
        """JSON data; what ``metadata.json`` holds."""
        identity = self.identity.as_json()
        return {
            "format": FORMAT,
            "surrogate": self.surrogate,
            "role": str(self.role),
            **identity,
            "problem_fingerprint": fingerprint(identity["problem_config"]),
            "range": {"low": self.low.tolist(), "high": self.high.tolist()},
            "noise_std": self.noise_std.tolist(),
            "config": dict(self.config),
            "seed": self.seed,
            "dataset_sha256": self.dataset,
            "level": self.level,
            "sizes": dict(self.sizes),
            "errors": dict(self.errors),
            "extra": dict(self.extra),
            "versions": dict(self.software),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], folder: Path) -> Record:
        """The inverse of :meth:`as_json`; ``folder`` is named in errors.

        Raises:
            DataSchemaError: an entry is missing or of the wrong kind.
        """
        try:
            found = parse(Metadata, data, "")
        except ConfigError as error:
            raise DataSchemaError(
                f"{folder}: metadata.json is incomplete or damaged: {reason(error)}; train the "
                "surrogate again"
            ) from None
        return cls(
            surrogate=found.surrogate,
            identity=Identity.from_json(data),
            low=np.asarray(found.range.low, dtype=np.float64),
            high=np.asarray(found.range.high, dtype=np.float64),
            noise_std=np.asarray(found.noise_std, dtype=np.float64),
            config=found.config,
            seed=found.seed,
            dataset=found.dataset_sha256,
            level=found.level,
            sizes=found.sizes,
            errors=found.errors,
            extra=found.extra,
            role=found.role,
            software=found.versions,
        )
