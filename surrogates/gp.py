"""Gaussian-process regression of the data on few unknowns, with its predictive variance.

The data are expanded in their proper orthogonal modes, and every mode's coefficient gets a Gaussian
process of its own with a squared-exponential kernel and one length per unknown (Rasmussen, Williams
2006, §2.2 and §5.1). Hyper-parameters maximise the marginal likelihood with gpytorch, the
best-kept library for it on torch; prediction is plain numpy, so that it costs microseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from pdeinv.bayes.prior import Prior
from pdeinv.config import Config
from pdeinv.errors import CapabilityError, DataSchemaError
from pdeinv.io.datasets import TrainingSet
from pdeinv.models import Capability, ForwardModel, Linearization
from pdeinv.protocols import Problem, Sensors
from pdeinv.rng import stream
from pdeinv.typing import Array

from .bound import ALL, BoundModel, RangeWatch
from .fitting import FitRun, Index, Split
from .identity import Identity, data_space
from .processes import ModeProcesses, maximise
from .record import Record, heldout_errors
from .scaling import Pod, reference_noise
from .storage import load_folder, save_folder

__all__ = ["Gp", "GpConfig"]

MAX_UNKNOWNS = 20
"""Above this many unknowns a stationary kernel needs more samples than exact regression takes."""


class GpConfig(Config):
    """Options of ``gp``."""

    max_points: int = Field(1000, ge=20, description="samples kept; time grows with their cube")
    tune_points: int = Field(200, ge=20, description="samples that tune the hyper-parameters")
    iterations: int = Field(80, ge=1, description="Adam steps on the marginal likelihood")
    learning_rate: float = Field(0.1, gt=0, description="of Adam")
    tolerance: float = Field(0.1, gt=0, description="rms truncation of the data, in units of σ")
    noise_rel: float = Field(
        0.02, gt=0, description="σ as a share of the peak, for errors, where no σ is given"
    )


@dataclass(frozen=True)
class _Emulator:
    """xi to data at the chosen sensors."""

    processes: ModeProcesses
    scale: Array
    mean: Array
    decoder: Array

    def __call__(self, xi: Array) -> Array:
        z = self.processes.mean(xi.reshape(-1, xi.shape[-1]))
        return np.asarray(self.mean + (z * self.scale) @ self.decoder).reshape(*xi.shape[:-1], -1)

    def variance(self, xi: Array) -> Array:
        z = self.processes.variance(xi.reshape(-1, xi.shape[-1]))
        return np.asarray((z * self.scale**2) @ self.decoder**2).reshape(*xi.shape[:-1], -1)

    def linearize(self, xi: Array) -> Linearization:
        z, slope = self.processes.jacobian(xi)
        jacobian = (self.decoder * self.scale[:, None]).T @ slope
        value = self.mean + (z * self.scale) @ self.decoder
        return Linearization(value, lambda v: jacobian @ v, lambda w: jacobian.T @ w)


@dataclass(frozen=True)
class Gp:
    """Trained processes with all that is needed to use them again.

    Attributes:
        processes: one per mode, on xi.
        scale: standard deviation of each coefficient, shape (n_modes,).
        pod: the modes.
        record: metadata.
    """

    processes: ModeProcesses
    scale: Array
    pod: Pod
    record: Record

    name: ClassVar[str] = "gp"
    Config: ClassVar[type[Config]] = GpConfig

    @property
    def metadata(self) -> Mapping[str, Any]:
        """See :class:`pdeinv.surrogates.record.Record`."""
        return self.record.as_json()

    @classmethod
    def fit(
        cls,
        dataset: TrainingSet,
        problem: Problem,
        config: GpConfig,
        seed: int,
        run: FitRun | None = None,
    ) -> Gp:
        """Regress the data set's values on its xi; deterministic, hence ``resume`` starts anew.

        Raises:
            CapabilityError: more than 20 unknowns.
            SurrogateRejected: the data set belongs to another problem.
        """
        run = run or FitRun()
        identity = Identity.of_dataset(dataset)
        identity.check(problem, problem.prior())
        dim = dataset.xi.shape[1]
        if dim > MAX_UNKNOWNS:
            raise CapabilityError(
                f"surrogate 'gp' takes at most {MAX_UNKNOWNS} unknowns, the data set has {dim}; "
                "use 'latent' or 'multifidelity', or fewer modes in the prior"
            )
        split = Split.of(dataset.size, seed)
        rows = _subset(np.sort(np.concatenate([split.train, split.valid])), config.max_points, seed)
        x, y = dataset.xi[rows], dataset.values[rows]
        noise_std = reference_noise(y, run.noise_std, config.noise_rel)
        pod = Pod.fit(y, noise_std, config.tolerance, len(rows) // 2)
        z = pod.encode(y)
        scale = np.maximum(z.std(axis=0), 1e-300)
        how = (config.tune_points, config.iterations, config.learning_rate)
        processes = maximise(x, (z / scale).T, how, run)
        emulator = _Emulator(processes, scale, pod.mean, pod.decoder)
        test = split.test
        errors = heldout_errors(emulator(dataset.xi[test]), dataset.values[test], noise_std)
        record = Record(
            cls.name,
            identity,
            x.min(axis=0),
            x.max(axis=0),
            noise_std,
            config.model_dump(mode="json"),
            seed,
            dataset.digest,
            dataset.level,
            {"train": len(rows), "test": len(test)},
            errors,
            {"modes": pod.n_modes, "coverage_95": _coverage(emulator, dataset, test)},
        )
        return cls(processes, scale, pod, record)

    def save(self, folder: Path) -> None:
        """Write inputs, targets, hyper-parameters, modes and the metadata."""
        p = self.processes
        arrays = {
            "points": p.points, "targets": p.targets, "lengths": p.lengths, "signal": p.signal,
            "nugget": p.nugget, "scale": self.scale, "pod_mean": self.pod.mean,
            "pod_noise_std": self.pod.noise_std, "pod_basis": self.pod.basis,
        }  # fmt: skip
        save_folder(folder, arrays, self.record.as_json())

    @classmethod
    def load(cls, folder: Path) -> Gp:
        """What :meth:`save` wrote.

        Raises:
            DataSchemaError: the folder does not hold a Gaussian-process surrogate.
        """
        a, metadata = load_folder(folder, cls.name)
        try:
            processes = ModeProcesses(
                a["points"], a["targets"], a["lengths"], a["signal"], a["nugget"]
            )
            pod = Pod(a["pod_mean"], a["pod_noise_std"], a["pod_basis"])
            return cls(processes, a["scale"], pod, Record.from_json(metadata, folder))
        except KeyError as error:
            raise DataSchemaError(f"{folder}: array {error} is missing; train it again") from None

    def bind(self, problem: Problem, prior: Prior, sensors: Sensors) -> ForwardModel:
        """The processes' mean as a forward model on xi; sensors may be any of the trained ones.

        Raises:
            SurrogateRejected: trained for another problem, prior or sensor set.
        """
        self.record.identity.check(problem, prior)
        return BoundModel(
            self._emulator(self.record.identity.select(sensors)),
            prior.dim,
            data_space(self.record.identity.observed, sensors),
            RangeWatch(self.record.low, self.record.high, self.name),
            ALL | {Capability.VARIANCE},
            report=self.metadata,
        )

    def predict_with_variance(self, xi: Array, sensors: Sensors) -> tuple[Array, Array]:
        """Mean and variance of the data, each (..., n_d), at the given trained sensors."""
        emulator = self._emulator(self.record.identity.select(sensors))
        return emulator(xi), emulator.variance(xi)

    def _emulator(self, chosen: Index) -> _Emulator:
        return _Emulator(
            self.processes, self.scale, self.pod.mean[chosen], self.pod.decoder[:, chosen]
        )


def _subset(rows: Index, most: int, seed: int) -> Index:
    """At most ``most`` of the rows, in order."""
    if len(rows) <= most:
        return rows
    return np.sort(stream(seed, "subset").permutation(rows)[:most])


def _coverage(emulator: _Emulator, dataset: TrainingSet, test: Index) -> float:
    """The share of held-out data inside the predicted 95 % interval."""
    xi, y = dataset.xi[test], dataset.values[test]
    half = 1.96 * np.sqrt(emulator.variance(xi))
    return float(np.mean(np.abs(emulator(xi) - y) <= half))
